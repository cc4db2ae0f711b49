import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { headerOf } from '../../scripts/header-model.mjs'

/**
 * What llama.cpp says of a model under one set of options. Sizes are bytes.
 *
 * @typedef {object} Row
 * @property {string} model
 * @property {string} architecture
 * @property {string} path of a file that has the header alone
 * @property {number} contextLength tokens of one slot
 * @property {number} parallel
 * @property {boolean} flashAttention
 * @property {'F32' | 'F16' | 'Q8_0' | 'Q4_0'} kvType
 * @property {number} ubatch as llama.cpp took it
 * @property {boolean} swaFull
 * @property {boolean} embeddings
 * @property {number} [weightsBytes] where the figures have it
 * @property {number} cacheBytes keys, values and states
 * @property {{ kvBytes: number, stateBytes: number }} [caches] the same in parts, where the figures have them
 * @property {number} computeBytes with the logits of every token
 * @property {number} [limitedComputeBytes] with those of one token of each slot
 *
 * @typedef {object} Source
 * @property {'figures' | 'vectors'} name
 * @property {string} title
 * @property {Row[]} rows
 */

const CASES = fileURLToPath(new URL('../../crates/plimsoll/tests/cases/compute-buffers.json', import.meta.url))
const FIGURES = fileURLToPath(new URL('../../../shared/data/estimates', import.meta.url))

/**
 * All that is known of llama.cpp's own figures.
 *
 * @param {string} folder where the headers of the vectors are written
 * @param {(note: string) => void} note
 * @returns {Source[]}
 */
export function readSources(folder, note) {
  return [figures(note), vectors(folder)].filter(({ rows }) => rows.length > 0)
}

/** Models in full, quantised: the folder that the Rust tests take, which is not in the repository. */
function figures(note) {
  const folder = process.env.PLIMSOLL_ESTIMATES ?? FIGURES
  const path = join(folder, 'figures.jsonl')
  const lines = existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : []
  if (lines.length === 0) note(`no figures in ${folder}: PLIMSOLL_ESTIMATES names their folder`)
  const rows = lines.map((line) => figureRow(folder, JSON.parse(line)))
  return { name: 'figures', title: 'models in full', rows }
}

function figureRow(folder, figure) {
  return {
    model: figure.model,
    architecture: figure.architecture,
    path: join(folder, figure.file),
    contextLength: figure.context_per_sequence,
    parallel: figure.sequences,
    flashAttention: figure.flash_attention,
    kvType: figure.kv_type,
    ubatch: figure.ubatch_used,
    swaFull: false,
    embeddings: figure.embeddings,
    weightsBytes: figure.weights_bytes,
    cacheBytes: figure.kv_bytes + figure.state_bytes,
    caches: { kvBytes: figure.kv_bytes, stateBytes: figure.state_bytes },
    computeBytes: figure.compute_bytes,
    limitedComputeBytes: figure.compute_bytes_limited_outputs,
  }
}

/** The published models: mostly a few layers of each, in `F32`. */
function vectors(folder) {
  const models = JSON.parse(readFileSync(CASES, 'utf8'))
  const rows = models.flatMap((model, index) => {
    const path = join(folder, `${index}.gguf`)
    writeFileSync(path, headerOf(model))
    return model.runs.map((run) => vectorRow(model, path, run))
  })
  return { name: 'vectors', title: 'a few layers of each family', rows }
}

function vectorRow({ model, architecture }, path, run) {
  const { contextLength, parallel, flashAttention, kvType, ubatch, swaFull } = run
  return {
    ...{ model, architecture, path, contextLength, parallel, flashAttention, kvType, ubatch, swaFull },
    embeddings: false,
    cacheBytes: run.cacheAndStateBytes,
    computeBytes: run.computeBytes,
    limitedComputeBytes: run.limitedComputeBytes,
  }
}
