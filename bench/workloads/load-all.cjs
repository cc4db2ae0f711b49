const { GgufFile, MemoryPool } = require('plimsoll')

/**
 * Loads every tensor of a model, into a pool or into new memory.
 *
 * @param {string} path
 * @param {'pool' | 'new'} where
 * @param {number} threads
 * @returns {Promise<{ tensorBytes: number, heldBytes: number }>} bytes that were loaded, and that hold them
 */
async function loadAll(path, where, threads) {
  const model = GgufFile.open(path)
  const tensorBytes = model.tensors.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  if (where === 'new') {
    await model.loadAll({ threads })
    return { tensorBytes, heldBytes: tensorBytes }
  }
  const pool = await MemoryPool.create({ device: 'host' })
  const buffers = await model.loadAll({ into: pool, threads })
  const { heldBytes } = pool.stats()
  for (const buffer of buffers.values()) buffer.release()
  await pool.close()
  return { tensorBytes, heldBytes }
}

module.exports = { loadAll }
