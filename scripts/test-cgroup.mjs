// Streams models that are far larger than the memory cgroup they are streamed in, as f32: 8 GiB in 256 MiB. Prints what was
// resident at most, and fails where anything was killed. As root, on a machine with version 1 of the memory controller.
//
//     npm run test:cgroup

import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Group } from './guest/inside/group.cjs'
import { makeLargeModel } from './make-large-model.mjs'
import { writeSparseModel } from './sparse-model.mjs'

const checkout = fileURLToPath(new URL('..', import.meta.url))
const [MiB, GiB] = [2 ** 20, 2 ** 30]
const LIMIT_BYTES = 256 * MiB
const top = '/sys/fs/cgroup/memory'
const canMakeGroups = process.getuid() === 0 && existsSync(`${top}/memory.limit_in_bytes`)

const [kept, dropped] = [{ dropBehind: false }, { dropBehind: true }]

/**
 * Models by their name: what writes one to a path, how many bytes its tensors are as f32, if that is known, and the options
 * that it is streamed with.
 */
const models = {
  '1 GiB of Q4_K and Q6_K, written': {
    write: (path) => makeLargeModel(path, { sizeBytes: GiB }),
    ways: [kept, dropped],
  },
  '8 GiB of Q8_0, a hole': {
    write: (path) => hole(path, 'Q8_0', 34),
    f32Bytes: f32Of(34),
    ways: [dropped, { io: 'mmap', threads: 2 }],
  },
  '8 GiB of Q4_0, a hole': {
    write: (path) => hole(path, 'Q4_0', 18),
    f32Bytes: f32Of(18),
    ways: [kept, dropped],
  },
}

/** Of a gibibyte in eight tensors. */
function hole(path, type, blockBytes) {
  const blocks = Math.floor(GiB / blockBytes)
  writeSparseModel(
    path,
    Array.from({ length: 8 }, (_, at) => ({ name: `t${at}`, type, blocks })),
  )
}

function f32Of(blockBytes) {
  return 8 * Math.floor(GiB / blockBytes) * 32 * 4
}

const inMiB = (bytes) => `${Math.round(bytes / MiB)} MiB`

describe('a model larger than the memory cgroup it is streamed in as f32', {
  skip: !canMakeGroups && 'needs root and the memory controller of version 1',
}, () => {
  // In the checkout: a tmpfs holds its files in memory.
  let folder
  before(() => {
    mkdirSync(join(checkout, 'build'), { recursive: true })
    folder = mkdtempSync(join(checkout, 'build/cgroup-'))
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  for (const [name, { write, f32Bytes, ways }] of Object.entries(models)) {
    test(`${name}: nothing is killed in ${inMiB(LIMIT_BYTES)}`, async () => {
      const path = join(folder, 'model.gguf')
      await write(path)
      for (const options of ways) {
        const group = new Group(1, top, `/plimsoll-stream-${process.pid}`)
        try {
          group.bound('limit', LIMIT_BYTES)
          const script = join(checkout, 'scripts/guest/inside/stream.cjs')
          const asked = JSON.stringify({ as: 'f32', ...options })
          const { status, signal, stdout, stderr } = group.run(process.execPath, script, checkout, path, asked)
          assert.equal(status, 0, `${asked}: ${signal} ${stderr}`)
          const { bytes, ms, idleBytes, peakRssBytes } = JSON.parse(stdout)
          if (f32Bytes) assert.equal(bytes, f32Bytes)
          assert.match(readFileSync(join(group.folder, 'memory.oom_control'), 'utf8'), /^oom_kill 0$/m)
          const used = Number(readFileSync(join(group.folder, 'memory.max_usage_in_bytes'), 'utf8'))
          const gib = (bytes / GiB).toFixed(1)
          console.log(`${name}, ${asked}: ${gib} GiB in ${(ms / 1000).toFixed(1)} s; resident at most`)
          console.log(
            `  ${inMiB(peakRssBytes)}, ${inMiB(peakRssBytes - idleBytes)} more than at open; the group ${inMiB(used)}`,
          )
        } finally {
          group.remove()
        }
      }
      rmSync(path)
    })
  }
})
