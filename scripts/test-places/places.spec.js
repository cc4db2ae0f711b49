// Every check by a test runner that has `test` as a global.
const checks = require('./checks.cjs')

for (const [name, check] of Object.entries(checks)) test(name, check)
