// Whether estimates are right: what llama.cpp logs of its buffers, and what its process uses, beside what was estimated.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { estimate, formatBytes, GgufFile, MiB, verifyEstimate } from 'plimsoll'
import { ensure, ROOT } from '../llama-cpp.mjs'
import { types, writeEncoder, writeLlama } from './models.mjs'

const LOAD = fileURLToPath(new URL('load.mjs', import.meta.url))

/** llama.cpp prints its sizes to a hundredth of a MiB. */
const PRINTED_BYTES = 0.0051 * MiB

/** A model that is large beside the program that runs it: what it uses can be told from noise. */
const LARGE = { embedding: 1024, feedForward: 4096, heads: 16, context: 4096, embeddingType: 'Q4_K' }

/** An estimate counts it as repacked on every x86-64 machine. */
const packsQ2K = () => readFileSync('/proc/cpuinfo', 'utf8').includes('avx512')

/** Models by name, and how each is run. */
const cases = (sample, path) => {
  const written = (name, write) => {
    write(path(`${name}.gguf`))
    return { name, path: path(`${name}.gguf`), context: 512, mmap: true }
  }
  const llama = (name, shape) => written(name, (to) => writeLlama(to, sample, shape))
  const all = [
    { name: 'sample', path: sample, context: 512, mmap: true },
    llama('all-types', { layers: Object.keys(types).filter((type) => type !== 'Q2_K' || packsQ2K()) }),
    llama('tied', { layers: ['Q4_K', 'Q4_0'], embeddingType: 'Q4_K', outputType: null }),
    llama('tied-kept', { layers: ['Q4_K', 'Q4_0'], embeddingType: 'Q6_K', outputType: null }),
    llama('experts', { layers: ['Q4_K', 'Q4_0', 'MXFP4'], experts: 4, embeddingType: 'Q4_K' }),
    { ...llama('large', { layers: Array(8).fill('Q4_K'), ...LARGE }), context: 4096, isLarge: true },
    { ...written('encoder', (to) => writeEncoder(to, sample, 'Q4_K')), isEncoder: true },
  ]
  return all.flatMap((one) => [one, { ...one, name: `${one.name}, not mapped`, mmap: false }])
}

/** Loads each model both ways, and compares. `sample` is the model that has the others' vocabulary. */
export async function checkEstimates(sample) {
  const folder = mkdtempSync(join(tmpdir(), 'plimsoll-llama-'))
  try {
    const all = cases(sample, (name) => join(folder, name))
    for (const one of all) await checkCase(one)
    console.log(`${all.length} estimates are what llama.cpp says and uses.`)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function checkCase(one) {
  const { path, context, mmap, isEncoder } = one
  const model = GgufFile.open(path, { headerOnly: true })
  const options = { contextLength: context, batch: 512, mmap, llamaCppVersion: '0.5' }
  const needs = estimate(model, options)
  const child = spawn(process.execPath, [LOAD, JSON.stringify({ path, mmap, context, isEncoder })], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit')
  try {
    const [line] = await Promise.race([once(createInterface({ input: child.stdout }), 'line'), ended])
    ensure(typeof line === 'string', `${one.name}: llama.cpp could not load it`)
    const found = JSON.parse(line)
    checkBuffers(one, model, needs, found)
    checkUse(one, needs, found.uses)
    if (one.isLarge) checkCommand(one, child.pid)
  } finally {
    child.stdin.end()
    await ended
    model.close()
  }
}

function checkBuffers({ name, mmap, isEncoder }, model, needs, { buffers, packed, tiled }) {
  const said = (kind, place) => {
    const meant = buffers.filter((buffer) => buffer.kind === kind && (place === undefined || buffer.place === place))
    return meant.reduce((sum, { mebibytes }) => sum + mebibytes, 0) * MiB
  }
  const compare = (what, bytes, truth, within = PRINTED_BYTES) =>
    ensure(
      Math.abs(bytes - truth) <= within,
      `${name}: ${what} is ${formatBytes(Math.round(truth))}, and was estimated at ${formatBytes(bytes)}`,
    )
  const extra = (kind) => needs.extras.find((found) => found.kind === kind)?.boundBytes ?? 0
  const packedBytes = packed.reduce((sum, tensor) => sum + model.tensor(tensor).sizeBytes, 0)
  compare('what is repacked', packedBytes, said('model', 'CPU_REPACK'))
  if (mmap) {
    const tilesBytes = said('model', 'AMX')
    compare('what is repacked', extra('repacked'), packedBytes + tilesBytes, tilesBytes === 0 ? 0 : PRINTED_BYTES)
    const mapped = said('model', 'CPU_Mapped')
    // From the first to the last of the tensors that are not repacked.
    ensure(mapped <= needs.devices[0].mappedBytes + PRINTED_BYTES, `${name}: ${mapped} bytes of the file are mapped`)
  } else {
    const printed = buffers.filter(({ kind }) => kind === 'model').length
    compare('all weights', needs.weightsBytes + extra('repacked'), said('model'), printed * PRINTED_BYTES)
    const largest = Math.max(0, ...[...packed, ...tiled].map((tensor) => model.tensor(tensor).sizeBytes))
    // What goes into tiles as it is in the file is not named.
    if (said('model', 'AMX') === 0) compare('the read buffer', extra('read-buffer'), largest, 0)
    else ensure(extra('read-buffer') >= largest, `${name}: ${largest} bytes are read at once`)
  }
  if (isEncoder) return
  compare('the KV cache', needs.kvCacheBytes, said('KV'))
  compare('the output buffer', needs.outputBytes, said('output'))
  ensure(needs.computeExact, `${name}: its compute buffer is not exact`)
  compare('the compute buffer', needs.computeBytes, said('compute'))
}

function checkUse({ name, isLarge, mmap }, needs, { before, ...uses }) {
  for (const [phase, use] of Object.entries(uses)) {
    const { components, verdict } = verifyEstimate(needs, before, use, { phase })
    const words = components.map(({ component, estimatedBytes, measuredBytes, differencePercent = 0 }) => {
      const measured = measuredBytes === undefined ? 'not measured' : formatBytes(measuredBytes)
      return `${component} ${measured} of ${formatBytes(estimatedBytes)} (${differencePercent.toFixed(1)} %)`
    })
    if (isLarge || phase === 'full') console.log(`  ${name}, ${phase}: ${words.join(', ')}`)
    ensure(verdict === 'within', `${name}, ${phase}: ${verdict}: ${words.join(', ')}`)
    const of = (component) => components.find((found) => found.component === component)
    if (!isLarge || phase !== 'full') continue
    // Of pages that are given when they are touched hardly any is left out now.
    ensure(Math.abs(of('buffers').differencePercent) < 15, `${name}: ${words.join(', ')}`)
    if (mmap) ensure(Math.abs(of('mapped-weights').differencePercent) < 5, `${name}: ${words.join(', ')}`)
  }
}

/** The command line says so too, and that a fraction of the context is not enough. */
function checkCommand({ path, context, mmap }, pid) {
  const run = (tokens) => {
    const args = ['estimate', path, '--context', String(tokens), '--batch', '512', '--verify', String(pid)]
    const rest = ['--phase', 'full', '--program', '64MiB', '--json', ...(mmap ? [] : ['--no-mmap'])]
    const { status, stdout } = spawnSync(process.execPath, [join(ROOT, 'dist', 'cli.js'), ...args, ...rest])
    return { status, verdict: JSON.parse(stdout).verification.verdict }
  }
  const [right, wrong] = [run(context), run(256)]
  ensure(right.status === 0 && right.verdict === 'within', `plimsoll estimate --verify: ${JSON.stringify(right)}`)
  ensure(wrong.status === 1 && wrong.verdict === 'above', `plimsoll estimate --verify: ${JSON.stringify(wrong)}`)
}
