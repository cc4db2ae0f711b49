// Says what may still be taken, by several counts, and then takes it: a MiB at a time, until it is killed or until the
// number in a file passes a bound. Each line of its output but the first is what it holds, in bytes.
//
//     node hog.cjs PACKAGE [FILE BOUND]

const { readFileSync, writeSync } = require('node:fs')
const { totalmem } = require('node:os')

const [package, file, bound] = process.argv.slice(2)
const { MemoryBudget, MiB, signals } = require(package)
const say = (line) => writeSync(1, `${line}\n`)

const budget = MemoryBudget.forThisMachine()
const { bytes, bindingTerm } = budget.headroom()
say(
  JSON.stringify({
    bindingTerm,
    headroomBytes: bytes,
    availableMemory: process.availableMemory(),
    constrainedMemory: process.constrainedMemory(),
    cgroups: signals().cgroups,
  }),
)

// One mapping for all of it, so that the collector has no part in this.
const memory = Buffer.allocUnsafeSlow(Math.min(totalmem(), 4 * 1024 * MiB - 1))
const isOver = () => file !== undefined && Number(readFileSync(file)) > Number(bound)
for (let held = MiB; held < memory.length && !isOver(); held += MiB) {
  memory.fill(1, held - MiB, held)
  say(held)
}
