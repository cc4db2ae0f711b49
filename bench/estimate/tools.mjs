import { execFile } from 'node:child_process'
import { copyFileSync, truncateSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { estimate } from 'plimsoll'

/**
 * What a tool says, in bytes. Nothing, or no number, where it refuses the model or knows nothing of its kind.
 *
 * @typedef {{ contextBytes: number, weightsBytes: number } | undefined} Said
 *
 * @typedef {object} Model
 * @property {import('plimsoll').GgufFile} file
 * @property {any} insights node-llama-cpp's
 * @property {number} weightsBytes what llama.cpp keeps
 *
 * @typedef {object} Tool
 * @property {string} name
 * @property {string} about how it was asked, for the page
 * @property {(row: import('./truth.mjs').Row, model: Model) => Said | Promise<Said>} ask
 */

const ALL_DIGITS = fileURLToPath(new URL('all-digits.cjs', import.meta.url))

const run = promisify(execFile)

/** Ids of ggml's types. */
const TYPE_IDS = { F32: 0, F16: 1, Q4_0: 2, Q8_0: 8 }

const TYPE_BITS = { F32: 32, F16: 16, Q8_0: 8.5, Q4_0: 4.5 }

/** fitllm's unit. */
const GIB = 2 ** 30

/** Options of {@link estimate} for a row: of the version that the row's figures are of. */
export function optionsOf({ contextLength, parallel, flashAttention, kvType, ubatch, swaFull, embeddings }) {
  const type = kvType.toLowerCase()
  const cache = { kvTypeK: type, kvTypeV: type, swaFull }
  const version = { llamaCppVersion: '0.5' }
  return {
    contextLength,
    parallel,
    flashAttention,
    ubatch,
    batch: ubatch,
    embeddings,
    ...cache,
    mmap: false,
    ...version,
  }
}

/** Options of node-llama-cpp for a row. It adds a token to the micro-batch where layers slide. */
export function llamaOptionsOf(row, insights) {
  const { contextLength, parallel, flashAttention, kvType, ubatch, swaFull, embeddings } = row
  const added = insights.swaSize > 0 && !swaFull ? 1 : 0
  const cache = { kvCacheKeyType: TYPE_IDS[kvType], kvCacheValueType: TYPE_IDS[kvType], swaFullCache: swaFull }
  const sizes = { contextSize: contextLength, sequences: parallel, batchSize: ubatch - added }
  return { ...sizes, ...cache, flashAttention, isEmbeddingContext: embeddings, modelGpuLayers: 0 }
}

/**
 * The tools, ours first.
 *
 * @param {{ fitllm: any, ggufView: string }} peers
 * @param {string} folder for files that are removed later
 * @returns {Tool[]}
 */
export function tools({ fitllm, ggufView }, folder) {
  return [
    { name: 'plimsoll', about: 'the best guess, not the bound', ask: ours },
    { name: 'node-llama-cpp V1', about: 'its formulas, which it takes where llama.cpp refuses a model', ask: formulas },
    {
      name: 'fitllm',
      about:
        'told the dimensions, the size of the file and which layers slide; without its reserve of a device. It knows one sequence: of several, caches count as often',
      ask: (row, model) => byFitllm(fitllm, row, model),
    },
    {
      name: '@huggingface/gguf',
      about: 'the command `gguf-view --context` with all tokens; it knows caches of F16 alone',
      ask: byGgufView(ggufView, folder),
    },
    {
      name: 'Ollama',
      about:
        'its rule before a load, computed here: the file, and 2 x layers x KV heads x head width x tokens x 2 bytes',
      ask: byOllama,
    },
  ]
}

function ours(row, { file }) {
  const needs = estimate(file, optionsOf(row))
  const contextBytes = needs.kvCacheBytes + needs.stateBytes + needs.computeBytes
  return { contextBytes, weightsBytes: needs.weightsBytes }
}

function formulas(row, { insights }) {
  const context = insights.estimateContextResourceRequirements(llamaOptionsOf(row, insights))
  const weights = insights.estimateModelResourceRequirements({ gpuLayers: 0, useMmap: false })
  return { contextBytes: context.cpuRam, weightsBytes: weights.cpuRam }
}

/** Only what its own reader of configurations takes: heads that are one number, and states of gated delta nets alone. */
function byFitllm(fitllm, { contextLength, parallel, kvType }, { file, weightsBytes }) {
  const key = keysOf(file)
  const { layers, stateBytes } = estimate(file, { contextLength: 256 })
  const heads = key('attention.head_count')
  const kvHeads = key('attention.head_count_kv') ?? heads
  if (!Number.isInteger(heads) || !Number.isInteger(kvHeads) || kvHeads === 0) return undefined
  if (stateBytes > 0 && key('ssm.group_count') === undefined) return undefined
  const attending = layers.filter(({ keyBytes }) => keyBytes > 0)
  const sliding = attending.filter(({ slides }) => slides).length
  const model = {
    name: file.architecture,
    totalParams: parameters(file) / 1e9,
    layerCount: layers.length,
    kvHeads,
    kvHeadDim: key('attention.key_length') ?? key('embedding_length') / heads,
    attnHeads: heads,
    hiddenSize: key('embedding_length'),
    maxContext: contextLength,
    mlaKvLoraRank: key('attention.kv_lora_rank'),
    mlaRopeDim: key('rope.dimension_count'),
  }
  const slidingWindow = key('attention.sliding_window')
  if (sliding > 0) Object.assign(model, { slidingWindow, globalAttnLayers: attending.length - sliding })
  if (stateBytes > 0) Object.assign(model, { fullAttnLayers: attending.length, linearAttn: deltaNet(key, layers) })
  const device = fitllm.gpuDevice({ vramGB: 80 })
  const quant = { weightBpw: (8 * weightsBytes) / parameters(file), kvBits: TYPE_BITS[kvType] }
  const { param, kv, linearState, rtDyn } = fitllm.simulate(model, device, contextLength, quant)
  return { contextBytes: (parallel * (kv + linearState) + rtDyn) * GIB, weightsBytes: param * GIB }
}

/** As its configuration calls them. */
function deltaNet(key, layers) {
  const numVHeads = key('ssm.time_step_rank')
  return {
    layers: layers.filter(({ stateBytes }) => stateBytes > 0).length,
    numKHeads: key('ssm.group_count'),
    numVHeads,
    headKDim: key('ssm.state_size'),
    headVDim: key('ssm.inner_size') / numVHeads,
    convKernel: key('ssm.conv_kernel'),
  }
}

/**
 * It exports no estimator: its command is asked, once for each model and number of tokens. It insists on a file that is as
 * large as its tensors, so it gets one with a hole.
 */
function byGgufView(program, folder) {
  const asked = new Map()
  const ask = async (path, file, tokens) => {
    const whole = join(folder, `whole-${basename(path)}`)
    copyFileSync(path, whole)
    truncateSync(whole, fileBytes(file))
    const args = ['--require', ALL_DIGITS, program, '--context', String(tokens), whole]
    // It ends with an error of its own where a header has a list of 64-bit numbers: no answer.
    const { stdout } = await run(process.execPath, args, { maxBuffer: 2 ** 26 }).catch(() => ({}))
    if (stdout === undefined) return undefined
    const gigabytes = (item) => Number(stdout.match(new RegExp(`^ *${item} *\\| *(\\S+) GB$`, 'm'))?.[1])
    const [keys, values, overhead, weights] = ['K cache', 'V cache', 'Overhead', 'Weight'].map(gigabytes)
    return { contextBytes: (keys + values + overhead) * 1e9, weightsBytes: weights * 1e9 }
  }
  return ({ path, contextLength, parallel }, { file }) => {
    const tokens = contextLength * parallel
    const name = `${path} ${tokens}`
    if (!asked.has(name)) asked.set(name, ask(path, file, tokens))
    return asked.get(name)
  }
}

/** Source: PredictServerVRAM in ollama/ollama, llm/server.go; a key that is missing is 1 head. */
function byOllama({ contextLength, parallel }, { file }) {
  const key = keysOf(file)
  const least = (value) => (Array.isArray(value) ? Math.min(...value) : (value ?? 1))
  const most = (value) => (Array.isArray(value) ? Math.max(...value) : (value ?? 1))
  const kvHeads = least(key('attention.head_count_kv')) || 1
  const width = Math.floor(key('embedding_length') / most(key('attention.head_count')))
  const contextBytes = 2 * key('block_count') * kvHeads * width * contextLength * parallel * 2
  return { contextBytes, weightsBytes: fileBytes(file) }
}

/** A file's hyperparameters, by names without its architecture; lists as arrays. */
function keysOf(file) {
  return (name) => {
    const value = file.metadata.get(`${file.architecture}.${name}`)
    return typeof value?.toArray === 'function' ? Array.from(value.toArray()) : value
  }
}

const parameters = ({ tensors }) => tensors.reduce((sum, { elementCount }) => sum + elementCount, 0)

/** As large as the file is with its data. */
const fileBytes = ({ dataOffsetBytes, dataBytes }) => dataOffsetBytes + dataBytes
