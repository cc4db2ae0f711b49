const { parentPort } = require('node:worker_threads')
const { MemoryBudget, MiB } = require('plimsoll')

const guard = MemoryBudget.forThisMachine().allocate(MiB, 'worker')
parentPort.postMessage('allocated')
parentPort.once('message', () => {
  guard.release()
  parentPort.postMessage('released')
})
