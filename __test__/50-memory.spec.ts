import { MiB } from 'plimsoll'
import { runChild } from './helpers/child'
import { unlessEmulated } from './helpers/emulation'
import { scratch, writeLargeModel } from './helpers/models'

const file = scratch()
const path = writeLargeModel(file('255-mib.gguf'), 255)

interface Run {
  /** Bytes delivered by a pass. */
  passBytes: number
  after10: number
  after100: number
  peak: number
  /** Open descriptors. */
  descriptors10: number
  descriptors100: number
}

/** Streams the file a hundred times over in a process of its own, and tells what was resident and open. */
const hundredPasses = (stream: string): Run =>
  runChild<Run>(
    `
    const model = plimsoll.GgufFile.open(${JSON.stringify(path)})
    const run = {}
    for (let pass = 1; pass <= 100; pass++) {
      run.passBytes = 0
      ${stream}
      if (pass === 10 || pass === 100) {
        for (let i = 0; i < 5; i++) { gc(); await turn() }
        run['after' + pass] = plimsoll.processMemory().rssBytes
        run['descriptors' + pass] = require('node:fs').readdirSync('/proc/self/fd').length
      }
    }
    return { ...run, peak: plimsoll.processMemory().peakRssBytes }`,
    { flags: ['--expose-gc'], timeoutMs: 170_000 },
  ).value

const streamAs = (options: string): string => `
  for await (const { data } of model.stream(${options})) {
    if (data[0] === undefined) throw new Error('an empty chunk')
    run.passBytes += data.byteLength
  }`

/** Every pass starts a thread. */
const describeResident = unlessEmulated(describe, 'resident memory is also that of qemu, which keeps 0.3 MB a thread')

describeResident('a Q4_K_M model of 267 MB, a hundred times over', () => {
  test.each([
    ['raw', '{ reuse: true }', 1],
    ['raw in chunks of its own', '{}', 1],
    ['as f32', "{ as: 'f32', reuse: true }", 6],
    ['as f16 in chunks of 64 KiB', "{ as: 'f16', chunkBytes: 64 * KiB, reuse: true }", 3],
  ])(
    'streams %s with peak RSS far below 1 GiB, RSS and descriptors flat',
    (_name, options, factor) => {
      const { passBytes, after10, after100, peak, descriptors10, descriptors100 } = hundredPasses(streamAs(options))
      expect(passBytes).toBeGreaterThan(factor * 265_000_000)
      expect(peak).toBeLessThan(256 * MiB)
      // What the engine has not collected yet comes and goes.
      expect(after100 - after10).toBeLessThan((options === '{}' ? 48 : 16) * MiB)
      expect(descriptors100).toBe(descriptors10)
    },
    180_000,
  )

  test('loads its largest tensor into the same memory with RSS and descriptors flat', () => {
    const { after10, after100, descriptors10, descriptors100 } = hundredPasses(`
      run.into ??= new ArrayBuffer(Math.max(...model.tensors.map(({ sizeBytes }) => sizeBytes)))
      for (const { name } of model.tensors.slice(0, 10)) await model.load(name, { into: run.into })`)
    expect(after100 - after10).toBeLessThan(16 * MiB)
    expect(descriptors100).toBe(descriptors10)
  }, 180_000)

  test('is left in the middle each time, with peak RSS and descriptors flat', () => {
    const { after10, after100, peak, descriptors10, descriptors100 } = hundredPasses(`
      for (let i = 0; i < 5; i++) for await (const _ of model.stream({ as: 'f32', chunkBytes: 64 * KiB, reuse: true })) if (++run.passBytes % 40 === 0) break`)
    expect(peak).toBeLessThan(256 * MiB)
    expect(after100 - after10).toBeLessThan(16 * MiB)
    expect(descriptors100).toBe(descriptors10)
  }, 180_000)
})
