// Counts this process's threads before and after the package is loaded.

const { readdirSync } = require('node:fs')

const threads = () => readdirSync('/proc/self/task').length

const before = threads()
require('plimsoll')
console.log(JSON.stringify({ before, after: threads() }))
