import { spawn } from 'node:child_process'
import { MiB, processes, processMemory, signals } from 'plimsoll'
import { runChild } from './helpers/child'
import { emulatorBytes, unlessEmulated } from './helpers/emulation'

describe('the processes of the machine', () => {
  test('are told with their parents, names, command lines and memory, the largest first', async () => {
    const child = spawn('sh', ['-c', 'read line', 'a name', '\u001b[2J', 'x'.repeat(10_000)], { stdio: 'pipe' })
    try {
      const all = await processes()
      const own = all.find(({ pid }) => pid === process.pid)
      expect(own?.rssBytes).toBeGreaterThan(MiB)
      expect(own?.anonymousBytes).toBeLessThanOrEqual(own?.rssBytes ?? 0)
      const found = all.find(({ pid }) => pid === child.pid)
      expect(found).toMatchObject({ parentPid: process.pid, name: 'sh' })
      expect(found?.command.slice(0, 31)).toBe('sh -c read line a name \u001b[2J xxx')
      expect(found?.command).toHaveLength(4096)
      expect(Math.abs(Date.now() - (found?.startTimeMs ?? 0))).toBeLessThan(60_000)
      const sizes = all.map(({ rssBytes }) => rssBytes)
      expect(sizes).toEqual([...sizes].sort((a, b) => b - a))
    } finally {
      child.kill()
    }
  })

  test('with the package loaded are told apart, and options are checked', async () => {
    const users = await processes({ loaded: true })
    expect(users.map(({ pid }) => pid)).toContain(process.pid)
    expect(users.every(({ command }) => command.includes('node') || command.includes('jest'))).toBe(true)
    await expect(processes({ load: true } as never)).rejects.toThrow('did you mean "loaded"?')
    await expect(processes({ loaded: 1 } as never)).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' })
  })
})

describe('of another process', () => {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 2 ** 30)'])
  const { pid } = child
  const ended = new Promise((settle) => child.on('close', settle))
  afterAll(() => child.kill())

  test('it is what that process holds, until it has ended', async () => {
    expect(processMemory({ pid: pid as number }).rssBytes).toBeGreaterThan(0)
    expect(signals({ pid: pid as number }).process?.rssBytes).toBeGreaterThan(0)
    child.kill()
    await ended
    expect(() => processMemory({ pid: pid as number })).toThrow(`/proc/${pid}/status`)
    expect(signals({ pid: pid as number }).missing).toContainEqual(
      expect.objectContaining({ signal: 'process', path: `/proc/${pid}/status` }),
    )
  })

  test.each([0, -1, 1.5, '1', 2 ** 31])('an id that is none is refused: %p', (pid) => {
    expect(() => processMemory({ pid: pid as number })).toThrow('expected pid to be')
  })
})

test('resident memory is the sum of its anonymous, file and shared parts', () => {
  const { rssBytes, anonymousBytes, fileBytes, shmemBytes } = processMemory()
  expect(anonymousBytes + fileBytes + shmemBytes).toBe(rssBytes)
  expect(anonymousBytes).toBeGreaterThan(0)
  expect(fileBytes).toBeGreaterThan(0)
})

test('the peak is at least what is resident', () => {
  const { rssBytes, peakRssBytes } = processMemory()
  expect(peakRssBytes).toBeGreaterThanOrEqual(rssBytes)
})

const testWithStat = unlessEmulated(test, 'Node.js reads its resident memory in /proc/self/stat, where qemu writes 0')

testWithStat('it agrees with what Node.js says of itself', () => {
  const [ours, nodes] = [processMemory().rssBytes, process.memoryUsage().rss]
  expect(Math.abs(ours - nodes)).toBeLessThan(8 * MiB)
})

test('64 MiB that are touched show as anonymous memory, and the peak stays when they are gone', () => {
  const script = `
    const pool = new StagingPool({ maxHeldBytes: 0 })
    const look = plimsoll.processMemory
    const before = look()
    const buffer = pool.get(64 * MiB)
    const untouched = look()
    buffer.data.fill(1)
    const touched = look()
    buffer.release()
    await settle(() => pool.stats().inUseCount === 0)
    return { before, untouched, touched, after: look() }`
  const { before, untouched, touched, after } = runChild<Record<string, ReturnType<typeof processMemory>>>(script).value
  const anonymous = [before, untouched, touched, after].map((memory) => (memory?.anonymousBytes ?? Number.NaN) / MiB)
  const [atFirst = 0, mapped = 0, full = 0, freed = 0] = anonymous
  expect(mapped - atFirst).toBeLessThan(16)
  expect(full - mapped).toBeGreaterThanOrEqual(63)
  expect(full - freed).toBeGreaterThanOrEqual(60 - emulatorBytes / MiB)
  // The kernel counts per processor and sums up lazily, so two readings differ by some pages.
  expect((after?.peakRssBytes ?? 0) / MiB).toBeGreaterThan((touched?.rssBytes ?? Number.NaN) / MiB - 2)
})

test('asking does not cost memory', () => {
  const script = `
    const ask = (times) => { for (let i = 0; i < times; i++) plimsoll.processMemory(); gc(); return rssBytes() }
    const before = ask(5000)
    return ask(20_000) - before`
  expect(runChild<number>(script, { flags: ['--expose-gc'] }).value).toBeLessThan(4 * MiB + emulatorBytes)
})
