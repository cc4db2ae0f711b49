import { MiB } from 'plimsoll'
import { untimedMs, watchChild } from './helpers/child'
import { unlessEmulated } from './helpers/emulation'
import { scratch, writeLargeModel } from './helpers/models'

const file = scratch()
const path = writeLargeModel(file('255-mib.gguf'), 255)

interface Run {
  /** Bytes delivered by a whole pass. */
  passBytes: number
  after10: number
  after100: number
  peak: number
  /** Open descriptors. */
  descriptors10: number
  descriptors100: number
}

/**
 * Streams the file a hundred times over in a process of its own, and tells what was resident and open. What converts it may
 * take `tensors`: all of them in the first passes, which tell the peak, and then every fifth. What leaks by the pass, the
 * thread, the unit or the buffer does so as well then.
 */
const hundredPasses = (stream: string): Promise<Run> =>
  watchChild<Run>(
    `
    const model = plimsoll.GgufFile.open(${JSON.stringify(path)})
    const all = model.tensors.map(({ name }) => name)
    const some = all.filter((_, index) => index % 5 === 0)
    const run = {}
    for (let pass = 1; pass <= 100; pass++) {
      const tensors = pass <= 5 ? all : some
      let bytes = 0
      ${stream}
      if (pass === 1) run.passBytes = bytes
      progress()
      if (pass === 10 || pass === 100) {
        for (let i = 0; i < 5; i++) { gc(); await turn() }
        run['after' + pass] = plimsoll.processMemory().rssBytes
        run['descriptors' + pass] = require('node:fs').readdirSync('/proc/self/fd').length
      }
    }
    return { ...run, peak: plimsoll.processMemory().peakRssBytes }`,
    { flags: ['--expose-gc'] },
  )

const streamAs = (options: string): string => `
  for await (const { data } of model.stream(${options})) {
    if (data[0] === undefined) throw new Error('an empty chunk')
    bytes += data.byteLength
  }`

/** Every pass starts a thread. */
const describeResident = unlessEmulated(describe, 'resident memory is also that of qemu, which keeps 0.3 MB a thread')

describeResident('a Q4_K_M model of 267 MB, a hundred times over', () => {
  test.each([
    ['raw', '{ reuse: true }', 1],
    ['raw in chunks of its own', '{}', 1],
    ['as f32', "{ as: 'f32', reuse: true, tensors }", 6],
    ['as f16 in chunks of 64 KiB', "{ as: 'f16', chunkBytes: 64 * KiB, reuse: true, tensors }", 3],
  ])(
    'streams %s with peak RSS far below 1 GiB, RSS and descriptors flat',
    async (_name, options, factor) => {
      const { passBytes, after10, after100, peak, descriptors10, descriptors100 } = await hundredPasses(
        streamAs(options),
      )
      expect(passBytes).toBeGreaterThan(factor * 265_000_000)
      expect(peak).toBeLessThan(256 * MiB)
      // What the engine has not collected yet comes and goes.
      expect(after100 - after10).toBeLessThan((options === '{}' ? 48 : 16) * MiB)
      expect(descriptors100).toBe(descriptors10)
    },
    untimedMs,
  )

  test(
    'loads its largest tensor into the same memory with RSS and descriptors flat',
    async () => {
      const { after10, after100, descriptors10, descriptors100 } = await hundredPasses(`
      run.into ??= new ArrayBuffer(Math.max(...model.tensors.map(({ sizeBytes }) => sizeBytes)))
      for (const { name } of model.tensors.slice(0, 10)) await model.load(name, { into: run.into })`)
      expect(after100 - after10).toBeLessThan(16 * MiB)
      expect(descriptors100).toBe(descriptors10)
    },
    untimedMs,
  )

  test(
    'is left in the middle each time, with peak RSS and descriptors flat',
    async () => {
      const { after10, after100, peak, descriptors10, descriptors100 } = await hundredPasses(`
      for (let i = 0; i < 5; i++) for await (const _ of model.stream({ as: 'f32', chunkBytes: 64 * KiB, reuse: true })) if (++bytes % 40 === 0) break`)
      expect(peak).toBeLessThan(256 * MiB)
      expect(after100 - after10).toBeLessThan(16 * MiB)
      expect(descriptors100).toBe(descriptors10)
    },
    untimedMs,
  )
})
