// Every check by the test runner of Node.js.
import { test } from 'node:test'
import checks from './checks.cjs'

for (const [name, check] of Object.entries(checks)) test(name, check)
