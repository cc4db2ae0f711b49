#!/usr/bin/env node
// Sends a model's bytes in each of the ordinary ways of Node's streams, says whether they came as they are in the file, and
// what was resident at most.
//
//     node scripts/send-bytes.mjs FILE [--chunk-kib N] [--way NAME]
//
// Each way runs in a process of its own, so that its peak is its own. FILE is a GGUF file, such as make-large-model.mjs
// writes; it should be much larger than what is to be seen resident, 1 GiB or 4.

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { createServer, get } from 'node:http'
import { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { formatBytes, GgufFile, processMemory } from 'plimsoll'

const { values, positionals } = parseArgs({
  options: { 'chunk-kib': { type: 'string', default: '1024' }, way: { type: 'string' } },
  allowPositionals: true,
})
const [path] = positionals
if (path === undefined) throw new Error('expected the path of a GGUF file')
const chunkBytes = 1024 * Number(values['chunk-kib'])
const model = GgufFile.open(path)
const names = [...model.tensors].sort((a, b) => a.offsetBytes - b.offsetBytes).map(({ name }) => name)

/** A sink that hashes what it is given, a turn later. */
function hashing() {
  const hash = createHash('sha256')
  const sink = new Writable({ write: (part, _, done) => void setImmediate(() => done(void hash.update(part))) })
  return { sink, digest: () => hash.digest('hex') }
}

async function* parts() {
  for await (const { data } of model.stream({ tensors: names, chunkBytes })) yield data
}

async function written(sink) {
  for await (const part of parts()) if (!sink.write(part)) await once(sink, 'drain')
  sink.end()
}

async function streams(sink) {
  for (const name of names) await pipeline(model.createReadStream(name, { chunkBytes }), sink, { end: false })
  sink.end()
}

async function response(sink) {
  const server = createServer((_, answer) => written(answer)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const [answer] = await once(get({ port: server.address().port }), 'response')
  await pipeline(answer, sink)
  server.close()
}

const ways = {
  write: written,
  pipeline: (sink) => pipeline(parts(), sink),
  'Readable.from': (sink) => pipeline(Readable.from(parts()), sink),
  createReadStream: streams,
  response,
}

async function fileHash() {
  const hash = createHash('sha256')
  for (const name of names) {
    const { offsetBytes, sizeBytes } = model.tensor(name)
    if (sizeBytes === 0) continue
    const file = createReadStream(path, {
      start: offsetBytes,
      end: offsetBytes + sizeBytes - 1,
      highWaterMark: 1 << 20,
    })
    for await (const part of file) hash.update(part)
  }
  return hash.digest('hex')
}

if (values.way !== undefined) {
  const { sink, digest } = hashing()
  const finished = once(sink, 'finish')
  await ways[values.way](sink)
  await finished
  const { peakRssBytes } = processMemory()
  console.log(JSON.stringify({ hash: digest(), peakRssBytes }))
} else {
  const expected = await fileHash()
  console.log(`${formatBytes(model.dataBytes)} in chunks of ${formatBytes(chunkBytes)}`)
  for (const way of Object.keys(ways)) {
    const args = [fileURLToPath(import.meta.url), path, '--chunk-kib', values['chunk-kib'], '--way', way]
    const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: 'utf8' })
    if (status !== 0) throw new Error(`expected ${way} to exit with 0, got ${status}:\n${stderr}`)
    const { hash, peakRssBytes } = JSON.parse(stdout)
    const equal = hash === expected
    console.log(`${way.padEnd(18)}${equal ? 'equal' : 'WRONG BYTES'}, peak RSS ${formatBytes(peakRssBytes)}`)
    if (!equal) process.exitCode = 1
  }
}
