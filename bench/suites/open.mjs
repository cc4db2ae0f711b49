import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gguf } from '@huggingface/gguf'
import { GgufArray, GgufFile } from 'plimsoll'
import { batchedMs, elapsedMs, paired } from '../measure.mjs'

export const title = 'GgufFile.open beside the local parse of @huggingface/gguf'

const VOCABULARY = fileURLToPath(new URL('../../../shared/data/gguf/good/ggml-vocab-gpt-2.gguf', import.meta.url))
const SAMPLE = fileURLToPath(new URL('../../examples/models/plimsoll-sample-llama.gguf', import.meta.url))

const ROUNDS = 15

/** One opening is too short to be timed alone. */
const OPENINGS = { batches: 1, perBatch: 20 }

/** @returns {Promise<import('../result.mjs').Result[]>} */
export async function measure(note) {
  const path = existsSync(VOCABULARY) ? VOCABULARY : SAMPLE
  note(path === SAMPLE ? 'ggml-vocab-gpt-2.gguf is not here: measured on the sample model' : 'on ggml-vocab-gpt-2.gguf')
  note('open checks everything and keeps arrays packed; the peer decodes every array into JavaScript values')
  const theirs = () => elapsedMs(() => gguf(path, { allowLocalFile: true }))
  const opened = await paired(() => batchedMs(() => GgufFile.open(path).close(), OPENINGS), theirs, ROUNDS)
  const decoded = await paired(() => elapsedMs(() => openAndDecode(path)), theirs, ROUNDS)
  return [
    { ...result('open', opened), target: { of: 'ratio', is: 'atLeast', bound: 20 } },
    result('open, decode all', decoded),
  ]
}

function result(name, { ours, theirs, ratio }) {
  return { name, unit: 'ms', value: ours, peer: { name: '@huggingface/gguf', value: theirs }, ratio: 1 / ratio }
}

function openAndDecode(path) {
  const model = GgufFile.open(path)
  const values = [...model.metadata].map(([, value]) => (value instanceof GgufArray ? value.toArray() : value))
  const { tensors } = model
  model.close()
  return { values, tensors }
}
