// Cuts the power of a guest in the middle of a load that it has no room for, again and again, on one disk: after each cut the
// black box has to name the holder, what was still to come, and what of that was missing. The emulator is killed, so what the
// guest gave to its disk is there and all else is lost; the file system of the disk has no journal.
//
//     node scripts/test-cut.mjs [ROUNDS]

import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runPc } from './guest/pc.mjs'
import { packageFiles } from './guest/programs.mjs'

const checkout = fileURLToPath(new URL('..', import.meta.url))
const rounds = Number(process.argv[2] ?? 20)
const MiB = 2 ** 20
const folder = join(checkout, 'build/guest/cut')
rmSync(folder, { recursive: true, force: true })
mkdirSync(folder, { recursive: true })
const disk = join(folder, 'disk.img')
const files = Object.fromEntries([
  ...packageFiles,
  ['/app/black-box.mjs', join(checkout, 'scripts/guest/black-box.mjs')],
])

/** What was granted in a round, and what its load said last that it had taken. */
let before
let named = 0
for (let round = 0; round <= rounds; round += 1) {
  const bytes = (600 + 7 * round) * MiB
  const text = await runPc({
    name: 'cut',
    memoryMiB: 1024,
    files,
    disk,
    cut: { after: /^LOADING$/m, delayMs: 300 + Math.random() * 4000 },
    steps: [{ title: `round ${round}`, command: ['node', '/app/black-box.mjs', '/disk', `${round}`, `${bytes}`] }],
  })
  const taken = [...text.matchAll(/^TAKEN (\d+)$/gm)].map(([, number]) => Number(number)).at(-1) ?? 0
  if (before !== undefined) {
    const read = /^READ (.*)$/m.exec(text)?.[1]
    const { name, isThisBoot, endedCleanly, verdict } = read ? JSON.parse(read) : {}
    // The last block is at most some seconds old, in which the guest takes 10 MiB each at the most; and the console may lag.
    const least = before.bytes - before.taken - 2 * MiB
    const isRight =
      name === `server-${round - 1}` &&
      isThisBoot === false &&
      endedCleanly === false &&
      verdict?.holder?.heldBytes === before.bytes &&
      verdict.outstandingBytes >= least &&
      verdict.outstandingBytes <= least + 40 * MiB &&
      verdict.missingBytes > 0 &&
      verdict.missingBytes === verdict.outstandingBytes - verdict.roomBytes
    named += isRight ? 1 : 0
    console.log(`== ${isRight ? 'named' : 'NOT NAMED'}: ${read ?? 'nothing'}; expected ${JSON.stringify(before)}`)
  }
  before = { bytes, taken }
}
console.log(`${named} of ${rounds} cuts: the holder was named with what was missing`)
process.exitCode = named === rounds ? 0 : 1
