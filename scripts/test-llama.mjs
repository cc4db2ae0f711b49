#!/usr/bin/env node
// Asks llama.cpp whether a GGUF model is real: loads it on the CPU, takes a text through the tokenizer and back, and
// generates a few tokens. Then whether estimates are right: models of several shapes and types are loaded, each in a process of
// its own, and what llama.cpp says of its buffers, and what the process really uses, is compared with what was estimated.
//
//     npm run test:llama                 the models in examples/models, then the estimates
//     npm run test:llama -- FILE...      other models, and no estimates
//
// scripts/llama-cpp.mjs fetches llama.cpp on the first run.

import { readdirSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { checkEstimates } from './llama/estimates.mjs'
import { ensure, Failure, importLlama, ROOT, run } from './llama-cpp.mjs'

const MODELS = join(ROOT, 'examples', 'models')

// English for the pieces of a vocabulary; accents, Chinese, an emoji and a line break for its bytes.
const TEXT = 'The ship floats as high as she did in the morning.\nTiefgang: größer als 雪 🚢'
const PROMPT = 'Count the bytes before you load'
const GENERATED_TOKENS = 16
const SEED = 1876

function checkTokenizer(model) {
  const tokens = model.tokenize(TEXT)
  const text = model.detokenize(tokens)
  // Tokenizers of the llama kind put a space before the first word.
  const isSame = text.replace(/^ /, '') === TEXT
  ensure(isSame, `the tokenizer releases ${JSON.stringify(text)} for ${JSON.stringify(TEXT)}`)
  const byteCount = Buffer.byteLength(TEXT)
  ensure(tokens.length < byteCount, `the tokenizer knows no pieces: ${tokens.length} tokens for ${byteCount} bytes`)
  console.log(`  tokenizer   ${byteCount} bytes -> ${tokens.length} tokens -> the same text`)
}

async function checkGeneration(model) {
  // One thread: more of them spend longer waiting for each other than a small model takes to compute.
  const context = await model.createContext({ contextSize: Math.min(model.trainContextSize, 256), threads: 1 })
  const prompt = model.tokenize(PROMPT)
  if (model.tokens.shouldPrependBosToken) prompt.unshift(model.tokens.bos)

  // A model with random weights may choose its end mark at once, which would prove nothing.
  const options = { temperature: 1, seed: SEED, yieldEogToken: true }
  const generation = context.getSequence().evaluateWithMetadata(prompt, { confidence: true }, options)
  const tokens = []
  for await (const { token, confidence } of generation) {
    ensure(confidence > 0 && confidence <= 1, `token ${tokens.length} has probability ${confidence}: broken logits`)
    tokens.push(token)
    if (tokens.length === GENERATED_TOKENS) break
  }
  ensure(tokens.length > 0, 'llama.cpp generated no token')
  const text = model.detokenize(tokens, true, prompt)
  console.log(`  generation  ${JSON.stringify(PROMPT)} -> ${tokens.length} tokens: ${JSON.stringify(text)}`)
  await context.dispose()
}

async function loadModel({ getLlama, readGgufFileInfo }, path) {
  const { metadata } = await readGgufFileInfo(path, { readTensorInfo: false, logWarnings: false })
  // llama.cpp loads such a model, but ends the process when asked for its tokens.
  ensure(metadata.tokenizer?.ggml?.model !== 'no_vocab', 'the model has no vocabulary, so it cannot talk')
  const llama = await getLlama({ gpu: false, build: 'never', logLevel: 'error' })
  return llama.loadModel({ modelPath: path })
}

async function checkModel(library, path) {
  console.log(relative(process.cwd(), path))
  const model = await loadModel(library, path).catch((error) => {
    throw new Failure(`${path} cannot be loaded: ${error.message}`)
  })
  const { tensorInfo } = model.fileInfo
  console.log(`  loaded      ${model.typeDescription}, ${tensorInfo.length} tensors, ${model.size} bytes of weights`)
  checkTokenizer(model)
  await checkGeneration(model)
  await model.llama.dispose()
}

function modelPaths(given) {
  if (given.length > 0) return given.map((path) => resolve(path))
  const names = readdirSync(MODELS).filter((name) => name.endsWith('.gguf'))
  ensure(names.length > 0, `${MODELS} holds no .gguf file; scripts/make-sample-model.py makes one`)
  return names.sort().map((name) => join(MODELS, name))
}

async function main() {
  const given = process.argv.slice(2)
  const paths = modelPaths(given)
  const library = await importLlama()
  for (const path of paths) await checkModel(library, path)
  console.log(paths.length === 1 ? 'llama.cpp accepts the model.' : `llama.cpp accepts all ${paths.length} models.`)
  if (given.length === 0) await checkEstimates(join(MODELS, 'plimsoll-sample-llama.gguf'))
}

await run('test-llama', main)
