#!/usr/bin/env node
// Asks llama.cpp whether a GGUF model is real: loads it on the CPU, takes a text through the tokenizer and back, and
// generates a few tokens.
//
//     npm run test:llama                 the models in examples/models
//     npm run test:llama -- FILE...      others
//
// node-llama-cpp, with llama.cpp prebuilt, is fetched into build/test-llama on the first run (85 MB). It is no
// dependency of the package: only this test needs it, and none of its install scripts is run.

import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const VERSION = '3.22.1'
const PREBUILT = { 'linux-x64': 'linux-x64', 'linux-arm64': 'linux-arm64' }

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const MODELS = join(ROOT, 'examples', 'models')
const INSTALL = join(ROOT, 'build', 'test-llama')

// English for the pieces of a vocabulary; accents, Chinese, an emoji and a line break for its bytes.
const TEXT = 'The ship floats as high as she did in the morning.\nTiefgang: größer als 雪 🚢'
const PROMPT = 'Count the bytes before you load'
const GENERATED_TOKENS = 16
const SEED = 1876

class Failure extends Error {}

function ensure(condition, message) {
  if (!condition) throw new Failure(message)
}

function dependencies() {
  const machine = `${process.platform}-${process.arch}`
  const prebuilt = PREBUILT[machine]
  ensure(prebuilt, `this test runs on ${Object.keys(PREBUILT).join(' and ')}; this machine is ${machine}`)
  return { 'node-llama-cpp': VERSION, [`@node-llama-cpp/${prebuilt}`]: VERSION }
}

/** npm writes its hidden lockfile last, so the versions it names are there in full. */
function isInstalled(wanted) {
  try {
    const { packages } = JSON.parse(readFileSync(join(INSTALL, 'node_modules', '.package-lock.json'), 'utf8'))
    return Object.entries(wanted).every(([name, version]) => packages[`node_modules/${name}`]?.version === version)
  } catch {
    return false
  }
}

function install(wanted) {
  if (isInstalled(wanted)) return
  console.log(`Fetching node-llama-cpp ${VERSION} into ${relative(ROOT, INSTALL)} ...`)
  mkdirSync(INSTALL, { recursive: true })
  writeFileSync(join(INSTALL, 'package.json'), JSON.stringify({ private: true, dependencies: wanted }, null, 2))
  // Without --omit=optional the binaries for every operating system and GPU come along, at 725 MB.
  const flags = ['--ignore-scripts', '--omit=optional', '--no-package-lock', '--no-audit', '--no-fund']
  const { status, error } = spawnSync('npm', ['install', ...flags], { cwd: INSTALL, stdio: ['ignore', 2, 2] })
  ensure(!error, `npm could not be started: ${error?.message}`)
  ensure(status === 0, `npm install in ${INSTALL} ended with ${status}; its messages are above`)
}

function importLibrary() {
  return import(pathToFileURL(join(INSTALL, 'node_modules', 'node-llama-cpp', 'dist', 'index.js')))
}

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
  const paths = modelPaths(process.argv.slice(2))
  install(dependencies())
  const library = await importLibrary()
  for (const path of paths) await checkModel(library, path)
  console.log(paths.length === 1 ? 'llama.cpp accepts the model.' : `llama.cpp accepts all ${paths.length} models.`)
}

try {
  await main()
} catch (error) {
  console.error(`test-llama: ${error instanceof Failure ? error.message : (error.stack ?? error)}`)
  process.exitCode = 1
}
