// What llama.cpp itself counts, in parts and to the byte, by two versions of it: 0.5, the library that node-llama-cpp has, and 0.6 out of its
// source, which the crate llama-cpp-sys-2 carries. Both are asked by scripts/llama/buffers.cpp, which takes a compiler for C++.
//
// 0.6 is built into build/llama-source on the first use, in two to ten minutes, with cmake, which is fetched where it is missing. It is for
// the accounting alone: nothing is optimised, and no model is run.

import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, truncateSync, writeFileSync } from 'node:fs'
import { delimiter, join, relative } from 'node:path'
import { modelOf } from './header-model.mjs'
import { ensure, peerLibraries, ROOT } from './llama-cpp.mjs'

/** The interface is that of 0.5, too. */
const CRATE = { name: 'llama-cpp-sys-2', version: '0.1.161' }
const CMAKE = 'cmake==4.1.2'

const FOLDER = join(ROOT, 'build', 'llama-source')

/** What the accounting does not need. */
const LEFT_OUT = [
  ...['GGML_NATIVE', 'GGML_OPENMP', 'GGML_LLAMAFILE', 'GGML_CCACHE'],
  ...['APP', 'COMMON', 'EXAMPLES', 'SERVER', 'TESTS', 'TOOLS'].map((part) => `LLAMA_BUILD_${part}`),
]

/** Ids of ggml's types for a cache. */
export const CACHE_TYPES = { F32: 0, F16: 1, Q4_0: 2, Q8_0: 8 }

/** Runs a program to its end, and returns what it prints. */
function output(program, args, input = '') {
  const options = { input, encoding: 'utf8', maxBuffer: 2 ** 26, stdio: ['pipe', 'pipe', 2] }
  const { status, error, stdout } = spawnSync(program, args, options)
  ensure(!error, `${program} could not be started: ${error?.message}`)
  ensure(status === 0, `${program} ${args.slice(0, 2).join(' ')} ended with ${status}; its messages are above`)
  return stdout
}

const known = new Map()

/** What a function returns, which is called once. */
const once = (name, make) => {
  if (!known.has(name)) known.set(name, make())
  return known.get(name)
}

/** Where the crate's copy of llama.cpp is; cargo fetches it. */
function sources() {
  mkdirSync(join(FOLDER, 'crate', 'src'), { recursive: true })
  const manifest = join(FOLDER, 'crate', 'Cargo.toml')
  const lines = ['[package]', 'name = "source"', 'version = "0.0.0"', '[dependencies]']
  writeFileSync(manifest, [...lines, `${CRATE.name} = "=${CRATE.version}"`, '[workspace]', ''].join('\n'))
  writeFileSync(join(FOLDER, 'crate', 'src', 'lib.rs'), '')
  const metadata = JSON.parse(output('cargo', ['metadata', '--format-version', '1', '--manifest-path', manifest]))
  return join(metadata.packages.find(({ name }) => name === CRATE.name).manifest_path, '..', 'llama.cpp')
}

/** A cmake: that of the machine, or one from PyPI. */
function cmake() {
  const own = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, 'cmake'))
  const found = own.find((path) => existsSync(path))
  if (found !== undefined) return found
  const target = join(FOLDER, 'cmake')
  const python = output('bash', [join(ROOT, 'scripts', 'python-env.sh')]).trim()
  output(python, ['-m', 'pip', 'install', '--quiet', '--upgrade', '--target', target, CMAKE])
  return join(target, 'cmake', 'data', 'bin', 'cmake')
}

/** Builds the library of the source, and returns the folder that it is in. */
function builtLibraries(source) {
  const library = join(FOLDER, 'library')
  const bin = join(library, 'bin')
  if (existsSync(join(bin, 'libllama.so'))) return bin
  console.log(`Building llama.cpp of ${CRATE.name} ${CRATE.version} in ${relative(ROOT, FOLDER)} ...`)
  // 150 small files with the same large headers: in few batches.
  const batches = join(FOLDER, 'batches.cmake')
  const properties = 'PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 20'
  writeFileSync(batches, `cmake_language(DEFER CALL set_target_properties llama ${properties})\n`)
  const flags = [
    '-DCMAKE_BUILD_TYPE=None',
    '-DCMAKE_C_FLAGS=-O0 -w',
    '-DCMAKE_CXX_FLAGS=-O0 -w',
    `-DCMAKE_PROJECT_llama.cpp_INCLUDE=${batches}`,
    ...LEFT_OUT.map((name) => `-D${name}=OFF`),
  ]
  const tool = cmake()
  output(tool, ['-S', source, '-B', library, ...flags])
  output(tool, ['--build', library, '--target', 'llama', '-j2'])
  return bin
}

/** The program that asks that version, and the folder of its library. */
function programOf(version) {
  const source = sources()
  const folder = version === '0.5' ? peerLibraries() : builtLibraries(source)
  const program = join(FOLDER, `buffers-${version}`)
  const headers = ['include', 'ggml/include', 'src'].flatMap((part) => ['-I', join(source, part)])
  const names = ['libllama', 'libggml', 'libggml-base'].map((name) => {
    const found = readdirSync(folder).find((file) => file.startsWith(`${name}.`) && file.includes('.so'))
    ensure(found, `${folder} has no ${name}`)
    return join(folder, found)
  })
  const main = join(ROOT, 'scripts', 'llama', 'buffers.cpp')
  output('c++', ['-std=c++17', ...headers, main, '-o', program, ...names, `-Wl,-rpath,${folder}`])
  return { program, folder }
}

/**
 * What that version of llama.cpp counts for runs of a model, one answer each, in their order.
 *
 * @param {'0.5' | '0.6'} version
 * @param {object} model as {@link modelOf} takes it
 * @param {string} path where its file may be written: it is as long as the model, and a hole but for the header
 * @param {{ contextLength: number, parallel: number, flashAttention: boolean, kvType: string, ubatch: number, swaFull: boolean,
 *   outputs?: number }[]} runs without `outputs` the logits of all tokens are wanted
 */
export function counted(version, model, path, runs) {
  const { header, fileBytes } = modelOf(model)
  writeFileSync(path, header)
  truncateSync(path, fileBytes)
  return countedOf(version, path, runs)
}

/** The same of a file that is as long as its header says. */
export function countedOf(version, path, runs) {
  const { program, folder } = once(version, () => programOf(version))
  const lines = runs.map(({ contextLength, parallel, flashAttention, kvType, ubatch, swaFull, outputs = 0 }) => {
    const cache = [CACHE_TYPES[kvType], ubatch, Number(swaFull)]
    return [contextLength * parallel, parallel, Number(flashAttention), ...cache, outputs].join(' ')
  })
  const answers = output(program, [folder, path], `${lines.join('\n')}\n`)
    .trim()
    .split('\n')
  return answers.map((answer) => {
    ensure(answer !== 'refused', `llama.cpp ${version} does not take a run of ${path}`)
    const [weightsBytes, cacheAndStateBytes, computeBytes] = answer.split(' ').map(Number)
    return { weightsBytes, cacheAndStateBytes, computeBytes }
  })
}
