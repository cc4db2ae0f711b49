// The models of the guides: the headers that the real ones have, and a hole for the data, which takes no room on the disk.

import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs'
import { dimsOf, entry, layoutOf, namesOf } from '../header-model.mjs'
import { types } from '../llama/models.mjs'

const cases = new URL('../../crates/plimsoll/tests/cases/compute-buffers.json', import.meta.url)

/** The number of the mixture Q4_K_M in `general.file_type`. */
const Q4_K_M = 15

/** Writes Llama 3.1 8B at Q4_K_M to `path`. */
export function writeLlama8b(path) {
  const { architecture, keys, tensors } = JSON.parse(readFileSync(cases, 'utf8')).find(
    ({ model }) => model === 'llama-3.1-8b',
  )
  const entries = [
    entry('general.architecture', architecture),
    entry('general.name', 'Llama 3.1 8B Instruct'),
    entry('general.file_type', Q4_K_M),
    ...Object.entries(keys).map(([key, value]) => entry(`${architecture}.${key}`, value, key.endsWith('epsilon'))),
    entry('tokenizer.ggml.model', 'no_vocab'),
  ]
  const infos = Object.entries(tensors).flatMap(([name, shape]) =>
    namesOf(name, keys.block_count).map((each) => ({
      name: each,
      type: types[typeOf(each, keys.block_count)],
      dims: dimsOf(shape),
    })),
  )
  const { header, fileBytes } = layoutOf(entries, infos)
  const file = openSync(path, 'w')
  writeSync(file, header)
  ftruncateSync(file, fileBytes)
  closeSync(file)
}

/**
 * How llama.cpp's mixture Q4_K_M stores a tensor: `llama_tensor_get_type` in
 * https://github.com/ggml-org/llama.cpp/blob/master/src/llama-quant.cpp
 */
function typeOf(name, blocks) {
  if (/norm|rope_freqs/.test(name)) return 'F32'
  if (name === 'output.weight') return 'Q6_K'
  const [, block] = /^blk\.(\d+)\.(?:attn_v|ffn_down)\./.exec(name) ?? []
  return block !== undefined && hasMoreBits(Number(block), blocks) ? 'Q6_K' : 'Q4_K'
}

/** The first and the last eighth of the blocks, and each third between them. */
function hasMoreBits(block, blocks) {
  const eighth = Math.floor(blocks / 8)
  return block < eighth || block >= Math.floor((7 * blocks) / 8) || (block - eighth) % 3 === 2
}
