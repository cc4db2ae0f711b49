// The SHA-256 of a model's tensors as f32, in the order of their names.

const { createHash } = require('node:crypto')

exports.checksum = async (plimsoll, path) => {
  const model = plimsoll.GgufFile.open(path)
  const hash = createHash('sha256')
  for (const { name } of [...model.tensors].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    hash.update(await model.load(name, { as: 'f32' }))
  }
  model.close()
  return hash.digest('hex')
}
