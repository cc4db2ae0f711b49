// In a guest: tells what the black box on its disk says of the boot before, and then loads until the power goes.
//
//     node black-box.mjs FOLDER ROUND BYTES

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as after } from 'node:timers/promises'
import { BlackBox, MemoryBudget, readBlackBox } from 'plimsoll'

const [folder, round, text] = process.argv.slice(2)
const [path, bytes] = [join(folder, 'board.blackbox'), Number(text)]

if (existsSync(path)) {
  const { runs, toldIndex, damagedCount } = readBlackBox(path)
  const { name, isThisBoot, endedCleanly, verdict, words } = runs[toldIndex] ?? {}
  console.log(`READ ${JSON.stringify({ name, isThisBoot, endedCleanly, damagedCount, verdict, words })}`)
}

const budget = new MemoryBudget({ totalBytes: 2 * bytes })
const blackBox = new BlackBox(budget).start({ path, processName: `server-${round}` })
const weights = budget.allocate(bytes, 'weights')
const memory = Buffer.allocUnsafe(bytes)
console.log('LOADING')
const piece = 1 << 20
for (let taken = 0; taken < bytes; taken += piece) {
  memory.fill(1, taken, taken + piece)
  weights.commit(taken + piece)
  console.log(`TAKEN ${taken + piece}`)
  await after(100)
}
blackBox.close()
throw new Error('expected the power to go before the load was over')
