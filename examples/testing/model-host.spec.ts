// How a server that uses plimsoll is tested with Jest: docs/testing.md tells of it.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { detectBoard, GiB, InsufficientMemoryError, KiB, MemoryBudget, MiB } from 'plimsoll'
import { ModelHost } from './model-host'

/** A machine that there is none of: the files that the kernel would have. */
function fakeMachine(files: Record<string, string>): string {
  const root = mkdtempSync(join(tmpdir(), 'fake-machine-'))
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(root, dirname(path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  return root
}

const meminfo = (totalBytes: number, availableBytes: number) =>
  `MemTotal: ${totalBytes / KiB} kB\nMemFree: ${availableBytes / KiB} kB\nMemAvailable: ${availableBytes / KiB} kB\n`

describe('on the numbers of a board', () => {
  let budget: MemoryBudget
  let host: ModelHost
  beforeEach(() => {
    budget = MemoryBudget.forBoard('orin-nano-8gb')
    host = new ModelHost(budget)
  })
  // What a test has left is a leak of the code that it tests.
  afterEach(() => {
    host.close()
    expect(budget.allocations()).toEqual([])
  })

  test('the first model goes for one that needs its room', () => {
    host.load('chat', 4 * GiB)
    host.load('search', 3 * GiB)
    expect(host.names).toEqual(['search'])
    expect(budget.allocatedBytes).toBe(3 * GiB)
  })

  test('one that never fits is refused, and says by how much', () => {
    host.load('chat', 4 * GiB)
    expect(() => host.load('huge', 100 * GiB)).toThrow(InsufficientMemoryError)
    expect(host.names).toEqual(['chat'])
  })

  test('one that is loaded twice is there once', () => {
    host.load('chat', 4 * GiB)
    host.load('chat', GiB)
    expect(budget.allocatedBytes).toBe(GiB)
  })
})

describe('on a machine of files', () => {
  let root: string
  afterEach(() => rmSync(root, { recursive: true, force: true }))

  test('the budget is drawn by what that machine has, and by what it can give now', () => {
    root = fakeMachine({ 'proc/meminfo': meminfo(16 * GiB, 3 * GiB) })
    const budget = MemoryBudget.forThisMachine({ root })
    expect(budget.lineBytes).toBeLessThan(16 * GiB)
    expect(budget.availableBytes).toBeLessThan(3 * GiB)
    const host = new ModelHost(budget)
    host.load('chat', 2 * GiB)
    expect(() => host.load('search', 2900 * MiB)).toThrow('2.52 GiB can be given')
    host.close()
  })

  test('the board is told by its device tree', () => {
    root = fakeMachine({
      'proc/meminfo': meminfo(8 * GiB, 4 * GiB),
      'proc/device-tree/compatible': 'radxa,rock-5b\0rockchip,rk3588\0',
    })
    expect(detectBoard({ root }).vendor).toBe('Rockchip')
  })
})
