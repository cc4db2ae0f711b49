// Every check by a runtime; then the program ends with a stream still open, which is no reason to end badly.
const { join } = require('node:path')
const checks = require('./checks.cjs')

async function main() {
  for (const [name, check] of Object.entries(checks)) {
    try {
      await check()
    } catch (error) {
      console.log(`fails: ${name}\n${error?.stack}`)
      process.exitCode = 1
    }
  }
  const stream = require('plimsoll').GgufFile.open(join(__dirname, 'model.gguf')).stream()
  await stream.next()
  console.log('every check was run')
}

main()
