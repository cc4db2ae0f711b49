import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type LineTerm, type MachineMemory, MemoryBudget, MiB, machineMemory, signals } from 'plimsoll'
import { MemoryGroup } from './helpers/cgroup'
import { runChild, runNode } from './helpers/child'

const group = MemoryGroup.make('plimsoll-test')
if (typeof group === 'string') console.warn(`Lines under a cgroup are not tested on this machine: ${group}.`)

interface Seen {
  lineBytes: number
  binding: LineTerm
  cgroup: MachineMemory['cgroup']
  refused: string
}

/** The line as a process in the group sees it. */
function seenFrom(inside: Pick<MemoryGroup, 'through'>, options = '{}'): Seen {
  const script = `
    const budget = MemoryBudget.forThisMachine(${options})
    let refused = ''
    try { budget.allocate(budget.lineBytes + 1, 'over the line') } catch (error) { refused = error.message }
    return { lineBytes: budget.lineBytes, binding: budget.bindingTerm, cgroup: plimsoll.machineMemory().cgroup, refused }`
  return runChild<Seen>(script, { through: inside.through }).value
}

const describeWithGroups = typeof group === 'string' ? describe.skip : describe

describeWithGroups('under a memory cgroup of version 1', () => {
  const outer = group as MemoryGroup
  let inner: MemoryGroup

  beforeAll(() => {
    inner = outer.nest('inner')
  })

  beforeEach(() => {
    inner.limit(-1)
    outer.limit(-1)
  })

  afterAll(() => {
    inner.remove()
    outer.remove()
  })

  test('a limit of 512 MiB draws the line at 496 MiB, and the binding term names the group', () => {
    inner.limit(512 * MiB)
    const { lineBytes, binding, cgroup, refused } = seenFrom(inner)
    expect(lineBytes).toBe(496 * MiB)
    expect(binding).toMatchObject({ kind: 'cgroup', bytes: 496 * MiB })
    expect(binding.description).toContain(inner.path)
    expect(cgroup).toEqual({ path: inner.path, limitBytes: 512 * MiB })
    expect(refused).toContain(inner.path)
  })

  test('a limit on a group above counts', () => {
    outer.limit(400 * MiB)
    const { lineBytes, binding } = seenFrom(inner)
    expect(lineBytes).toBe(384 * MiB)
    expect(binding).toMatchObject({ kind: 'cgroup' })
    expect(binding.description).toContain(outer.path)
  })

  test('of a group and those above it the tightest counts', () => {
    inner.limit(300 * MiB)
    outer.limit(400 * MiB)
    expect(seenFrom(inner).lineBytes).toBe(284 * MiB)
    inner.limit(400 * MiB)
    outer.limit(300 * MiB)
    expect(seenFrom(inner).lineBytes).toBe(284 * MiB)
  })

  test('the floor is 3 % of a large limit', () => {
    inner.limit(2048 * MiB)
    const line = 0.97 * 2048 * MiB
    expect(Math.abs(seenFrom(inner).lineBytes - line)).toBeLessThan(4096)
  })

  test('a lower maximum binds before the group', () => {
    inner.limit(512 * MiB)
    expect(seenFrom(inner, '{ maxBytes: 100 * MiB }').binding).toMatchObject({ kind: 'maximum', bytes: 100 * MiB })
  })

  test('an unlimited group is no term', () => {
    expect(seenFrom(inner).cgroup).toBeUndefined()
  })

  test('a process outside sees the line over one inside by its id', async () => {
    inner.limit(512 * MiB)
    const [command, ...args] = [...inner.through, 'sh', '-c', 'echo inside; read line']
    const child = spawn(command as string, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    const ended = once(child, 'close')
    await once(child.stdout, 'data')
    const pid = child.pid as number
    const budget = MemoryBudget.forThisMachine({ pid })
    expect(budget.lineBytes).toBe(496 * MiB)
    expect(budget.headroom().bindingTerm).toMatchObject({ kind: 'cgroup', path: inner.path })
    expect(machineMemory({ pid }).cgroup).toEqual({ path: inner.path, limitBytes: 512 * MiB })
    expect(signals({ pid }).cgroups?.[0]).toMatchObject({ path: inner.path, limitBytes: 512 * MiB })
    child.stdin.end('\n')
    await ended
    const gone = expect.objectContaining({ code: 'ERR_IO', message: expect.stringContaining('the process has ended') })
    for (const read of [() => MemoryBudget.forThisMachine({ pid }), () => machineMemory({ pid })])
      expect(read).toThrow(gone)
    expect(() => budget.headroom()).toThrow(gone)
    expect(budget.canAllocate(1 * MiB)).toBe(false)
    expect(signals({ pid }).missing).toContainEqual(expect.objectContaining({ signal: 'cgroups' }))
  })

  test.each([0, 1, 2, 3, 4])('with %i descriptors left the limit counts, or there is no line at all', (free) => {
    inner.limit(400 * MiB)
    const through = [...inner.through, 'bash', '-c', 'ulimit -n 100 && exec "$0" "$@"']
    const take = `
      const { openSync, closeSync } = require('node:fs')
      const held = []
      for (;;) try { held.push(openSync('/dev/null')) } catch { break }
      for (const each of held.splice(0, ${free})) closeSync(each)
      const codeOf = (call) => { try { return call() } catch ({ code }) { return code } }`
    const first = runChild(`${take}; return codeOf(() => MemoryBudget.forThisMachine().lineBytes)`, { through })
    expect(['ERR_IO', 384 * MiB]).toContain(first.value)
    // Files that were opened once stay open.
    const script = `
      const budget = MemoryBudget.forThisMachine()
      budget.headroom()
      ${take}
      const { bindingTerm, terms } = budget.headroom()
      return [bindingTerm.path, terms.length > 1, codeOf(() => Device.open('host').allocate(1 * GiB))]`
    const later = runChild<unknown[]>(script, { through }).value
    expect(later.slice(0, 2)).toEqual([inner.path, true])
  })

  const unshare = (flags: string[]) => runNode(['-e', '0'], { through: ['unshare', ...flags] }).status === 0
  const testIf = (possible: boolean) => (possible ? test : test.skip)

  testIf(unshare(['-C']))('in a namespace of its own, under the mount of the host, the group is found', () => {
    inner.limit(512 * MiB)
    outer.limit(900 * MiB)
    const { lineBytes, cgroup, binding } = seenFrom({ through: [...inner.through, 'unshare', '-C'] })
    expect({ lineBytes, limitBytes: cgroup?.limitBytes }).toEqual({ lineBytes: 496 * MiB, limitBytes: 512 * MiB })
    expect(binding.description).toContain(inner.path)
    inner.limit(-1)
    expect(seenFrom({ through: [...inner.through, 'unshare', '-C'] }).lineBytes).toBe(873 * MiB)
  })

  testIf(unshare(['-m']))('where /proc shows processes alone there is a line all the same, and a warning', () => {
    inner.limit(512 * MiB)
    const hide = 'mount -t proc -o subset=pid proc /proc && exec "$0" "$@"'
    const through = [...inner.through, 'unshare', '-m', 'bash', '-c', hide]
    const script = `
      const { totalBytes } = plimsoll.machineMemory()
      const missing = plimsoll.signals().missing.filter(({ signal }) => signal === 'memory')
      const [reasons, remedies] = ['reason', 'remedy'].map((name) => missing.map((one) => one[name]))
      new MemoryManager({ isolated: true })
      new MemoryManager({ isolated: true })
      return { totalBytes, lineBytes: MemoryBudget.forThisMachine().lineBytes, reasons, remedies }`
    const { value, stderr } = runChild<Record<string, unknown>>(script, { through })
    expect(value).toMatchObject({ totalBytes: expect.any(Number), lineBytes: 496 * MiB })
    expect(value.totalBytes).toBeGreaterThan(512 * MiB)
    expect(value.reasons).toEqual([expect.stringMatching(/subset=pid.*are taken from/)])
    expect(value.remedies).toEqual([expect.stringContaining('ProcSubset=all')])
    expect(stderr.match(/PLIMSOLL_UNSEEN_LIMIT/g)).toHaveLength(1)
  })

  testIf(unshare(['-m'])).each([
    ['/dev/null', /mounted over it.*are taken from/],
    ['/proc/stat', /mounted over it.*are taken from/],
    ['a copy', /not the kernel's/],
    ['/proc/meminfo', undefined],
  ])('with %s mounted over /proc/meminfo that is told, with what mends it', (what, reason) => {
    inner.limit(512 * MiB)
    const copy = 'copy="$(mktemp)" && cat /proc/meminfo > "$copy" &&'
    const over = what === 'a copy' ? '"$copy"' : what
    const cover = `${copy} mount --bind ${over} /proc/meminfo && exec "$0" "$@"`
    const through = [...inner.through, 'unshare', '-m', 'bash', '-c', cover]
    const script = `
      const { lineBytes } = MemoryBudget.forThisMachine()
      return { lineBytes, doubts: plimsoll.signals().missing.filter(({ signal }) => signal === 'memory') }`
    const { value, stderr } = runChild<{ lineBytes: number; doubts: unknown[] }>(script, { through })
    expect(value.lineBytes).toBe(496 * MiB)
    const remedy = expect.stringContaining('Take away what is mounted over it')
    const told = reason ? [expect.objectContaining({ reason: expect.stringMatching(reason), remedy })] : []
    expect(value.doubts).toEqual(told)
    expect(stderr.match(/PLIMSOLL_UNSEEN_LIMIT/g)?.length ?? 0).toBe(told.length)
  })

  testIf(unshare(['-m']))('a hierarchy that is not there any more is a limit that may not be seen', () => {
    inner.limit(512 * MiB)
    const hide = 'mount -t tmpfs none /sys/fs/cgroup/memory && exec "$0" "$@"'
    const through = [...inner.through, 'unshare', '-m', 'bash', '-c', hide]
    const script = `
      MemoryBudget.forThisMachine()
      return plimsoll.signals().missing.filter(({ signal }) => signal === 'cgroups').map(({ reason }) => reason)`
    const { value, stderr } = runChild<string[]>(script, { through })
    expect(value).toEqual([expect.stringContaining(inner.path)])
    expect(stderr).toContain(inner.path)
  })

  test('a process that fills the line under its limit is not killed', () => {
    inner.limit(256 * MiB)
    const script = `
      const budget = MemoryBudget.forThisMachine()
      const runtime = budget.allocate(plimsoll.processMemory().anonymousBytes + 64 * MiB, 'the runtime itself')
      const pool = new StagingPool({ budget })
      const held = []
      try { for (;;) { const buffer = pool.get(4 * MiB); buffer.data.fill(1); held.push(buffer) } } catch ({ code }) { return [code, held.length > 0] }`
    expect(runChild(script, { through: inner.through }).value).toEqual(['ERR_INSUFFICIENT_MEMORY', true])
  })
})
