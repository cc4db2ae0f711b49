import { untimedMs, watchChild } from './helpers/child'
import { emulatorBytes } from './helpers/emulation'

const MiB = 2 ** 20

test(
  'a million guards dropped to the garbage collector are all released, and memory stays flat',
  async () => {
    const script = `
    const budget = new MemoryBudget({ totalBytes: GiB })
    const rssAfter = async (batches) => {
      for (let batch = 0; batch < batches; batch++) {
        for (let guard = 0; guard < 10_000; guard++) budget.allocate(1024, 'dropped')
        gc()
        await turn()
        progress()
      }
      return rssBytes()
    }
    const early = await rssAfter(20)
    const late = await rssAfter(80)
    const freed = await collect(() => budget.allocatedBytes === 0)
    return { freed, left: budget.allocatedBytes, listed: budget.allocations().length, grown: late - early, peak: budget.peakBytes }`
    const value = await watchChild<Record<string, number>>(script, { flags: ['--expose-gc', '--no-warnings'] })
    expect(value).toMatchObject({ freed: true, left: 0, listed: 0 })
    expect(value.grown).toBeLessThan(16 * MiB + emulatorBytes)
    // A few batches wait for the collector at any time, never all.
    expect(value.peak).toBeLessThan(1024 * 100_000)
  },
  untimedMs,
)
