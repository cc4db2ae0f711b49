/** A server of its own that shares the ledger of the pictures, until its parent lets it go. */

import { createRequire } from 'node:module'

const require = createRequire(new URL('../../package.json', import.meta.url))
const { MemoryManager, MiB } = require('plimsoll')

const [directory] = process.argv.slice(2)
const manager = new MemoryManager({ shared: { directory, processName: 'embedding-server', force: true } })
const weights = manager.budget.hold(640 * MiB, 'weights')
weights.commit(640 * MiB)
manager.budget.hold(96 * MiB, 'batches')
process.once('disconnect', () => process.exit())
process.send('ready')
