import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { GiB, MiB } from 'plimsoll'
import { MemoryGroup } from './helpers/cgroup'
import { root, runChild } from './helpers/child'
import { patientMs, unlessEmulated } from './helpers/emulation'
import { tensorTypes } from './helpers/gguf-writer'
import { writeSparseTensors } from './helpers/models'

const group = MemoryGroup.make('plimsoll-stream')
if (typeof group === 'string') console.warn(`Streams in a cgroup are not tested on this machine: ${group}.`)

const describeWithGroups =
  typeof group === 'string' ? describe.skip : unlessEmulated(describe, "the emulator's own memory counts in the group")

// `npm run test:cgroup` does the same with 8 GiB.
describeWithGroups('a model of 1 GiB in a memory cgroup of 256 MiB', () => {
  const small = group as MemoryGroup
  const { Q8_0 } = tensorTypes
  const elements = Math.floor((128 * MiB) / Q8_0.bytes) * Q8_0.elements
  let folder: string
  let path: string

  beforeAll(() => {
    small.limit(256 * MiB)
    // In the checkout: a tmpfs holds its files in memory.
    mkdirSync(join(root, 'build'), { recursive: true })
    folder = mkdtempSync(join(root, 'build', 'group-'))
    path = writeSparseTensors(join(folder, 'model.gguf'), Q8_0, elements, 8)
  })

  afterAll(() => {
    rmSync(folder, { recursive: true })
    small.remove()
  })

  test.each([{ dropBehind: false }, { dropBehind: true }, { dropBehind: false, io: 'mmap', threads: 2 }])(
    'streams as f32 with %j, and nothing is killed',
    (options) => {
      const script = `
        const model = plimsoll.GgufFile.open(${JSON.stringify(path)})
        let bytes = 0
        const options = { as: 'f32', reuse: true, ...${JSON.stringify(options)} }
        for await (const { data } of model.stream(options)) bytes += data.byteLength
        return bytes`
      const timeoutMs = 120_000
      // A process that is killed has no exit code.
      expect(runChild<number>(script, { through: small.through, timeoutMs }).value).toBe(8 * elements * 4)
      expect(8 * elements * 4).toBeGreaterThan(3 * GiB)
      expect(small.killCount).toBe(0)
    },
    patientMs(180_000),
  )
})
