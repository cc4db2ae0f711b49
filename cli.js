#!/usr/bin/env node
'use strict';

const index_js = require('./index.js');

console.log(typeof index_js.GgufFile);
