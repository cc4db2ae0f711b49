// What the package says of the board that this guest seems to be, and what it loads there.

const { execFileSync } = require('node:child_process')
const { writeFileSync } = require('node:fs')
const { checksum } = require('./checksum.cjs')
const { report, swapOnZram } = require('./system.cjs')

const package = '/plimsoll'
const model = `${package}/plimsoll-sample-llama.gguf`
const plimsoll = require(package)

const command = (...args) =>
  JSON.parse(execFileSync(process.execPath, ['dist/cli.js', ...args, '--json'], { cwd: package }))

async function main() {
  const { L4T_RELEASE } = process.env
  if (L4T_RELEASE) writeFileSync('/etc/nv_tegra_release', `${decodeURIComponent(L4T_RELEASE)}\n`)
  swapOnZram('512M')
  const budget = plimsoll.MemoryBudget.forThisMachine()
  report({
    board: plimsoll.detectBoard(),
    signals: plimsoll.signals(),
    headroom: budget.headroom({ floorBytes: 0 }),
    doctor: command('doctor'),
    load: command('load', model, '--as', 'f32'),
    checksum: await checksum(plimsoll, model),
  })
}

main()
