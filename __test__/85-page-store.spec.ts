import { randomBytes } from 'node:crypto'
import { closeSync, ftruncateSync, openSync, readdirSync, readlinkSync, statSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { pathToFileURL } from 'node:url'
import {
  InsufficientMemoryError,
  InvalidArgumentError,
  IoError,
  KiB,
  MemoryPool,
  MiB,
  PageStore,
  type PageStoreOptions,
  ReleasedError,
} from 'plimsoll'
import { root, runChild, runNode, withGarbage } from './helpers/child'
import { rejectedBy } from './helpers/rejected-by'

const PAGE = 64 * KiB

/** The descriptor of the file that pages are spilled to. */
function spillFd(): number {
  const isIt = (fd: string) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(`${tmpdir()}/#`)
    } catch {
      return false
    }
  }
  return Number(readdirSync('/proc/self/fd').find(isIt))
}

/** Does something to that file from outside. */
function toFile(act: (fd: number) => void): void {
  const fd = openSync(`/proc/self/fd/${spillFd()}`, 'r+')
  act(fd)
  closeSync(fd)
}

async function storeOf(pages: number, options: Partial<PageStoreOptions> = {}) {
  const pool = await MemoryPool.create({ device: 'host', slabBytes: 4 * PAGE, maxBytes: pages * PAGE })
  const store = await PageStore.create({ pool, pageBytes: PAGE, ...options })
  const close = async () => {
    await store.close()
    await pool.close()
  }
  return { pool, store, close }
}

/** Whether a page is what was put. */
const same = (page: Uint8Array | undefined, put: Uint8Array | undefined) =>
  page !== undefined && put !== undefined && Buffer.compare(page, put) === 0

const pageOf = (size = PAGE) => randomBytes(size)

test('bytes whose memory was moved away are no page', async () => {
  const { store, close } = await storeOf(1)
  for (const view of [new Uint8Array(8), new DataView(new ArrayBuffer(8))]) {
    structuredClone(null, { transfer: [view.buffer] })
    const error = await rejectedBy(InvalidArgumentError, store.put('a', view))
    expect(error.message).toContain('data')
  }
  expect(store.has('a')).toBe(false)
  await close()
})

describe('a page store', () => {
  test('gives back what was put, from memory and from the file', async () => {
    const { store, close } = await storeOf(4)
    const pages = Array.from({ length: 40 }, (_, at) => pageOf(at % 5 === 0 ? 1 + at : PAGE))
    for (const [at, page] of pages.entries()) await store.put(at, page)
    expect(store.stats()).toMatchObject({ residentPages: 4, spilledPages: 36, spills: 36, loads: 0 })
    for (const [at, page] of pages.entries()) expect(same(await store.get(at), page)).toBe(true)
    for (const [at, page] of [...pages.entries()].reverse()) expect(same(await store.get(at), page)).toBe(true)
    expect(await store.get('another')).toBeUndefined()
    expect(store.stats()).toMatchObject({ residentPages: 4, spilledPages: 36, fileBytes: 37 * PAGE })
    await close()
  })

  test('keeps in memory what was used last', async () => {
    const { store, close } = await storeOf(4)
    for (const key of ['a', 'b', 'c', 'd']) await store.put(key, pageOf())
    await store.get('a')
    await store.put('e', pageOf())
    await store.get('a')
    expect(store.stats()).toMatchObject({ loads: 0, spills: 1 })
    await store.get('b')
    expect(store.stats()).toMatchObject({ loads: 1 })
    await close()
  })

  test('replaces and deletes pages wherever they are', async () => {
    const { store, close } = await storeOf(4)
    for (let key = 0; key < 8; key++) await store.put(key, pageOf())
    const [one, other] = [pageOf(), pageOf(10)]
    await store.put(0, one)
    await store.put(7, other)
    expect([same(await store.get(0), one), same(await store.get(7), other)]).toEqual([true, true])
    expect([await store.delete(1), await store.delete(1), store.has(1), await store.delete(7)]).toEqual([
      true,
      false,
      false,
      true,
    ])
    const { residentPages, spilledPages } = store.stats()
    expect(residentPages + spilledPages).toBe(6)
    await close()
  })

  test('moves the coldest out on demand, and the memory goes back to the board', async () => {
    const { pool, store, close } = await storeOf(16)
    const pages = Array.from({ length: 16 }, () => pageOf())
    for (const [at, page] of pages.entries()) await store.put(at, page)
    expect(pool.stats().heldBytes).toBe(16 * PAGE)
    expect(await store.spill(3 * PAGE + 1)).toBe(4 * PAGE)
    expect(pool.stats().heldBytes).toBe(12 * PAGE)
    expect(await store.spill()).toBe(12 * PAGE)
    expect([pool.stats().heldBytes, store.stats().residentPages]).toEqual([0, 0])
    for (const [at, page] of pages.entries()) expect(same(await store.get(at), page)).toBe(true)
    await close()
  })

  test('is what it is when much is asked at once', async () => {
    const { store, close } = await storeOf(4)
    const pages = Array.from({ length: 30 }, () => pageOf())
    await Promise.all(pages.map((page, at) => store.put(at, page)))
    const read = await Promise.all(pages.map((_, at) => store.get(at)))
    expect(read.every((page, at) => same(page, pages[at]))).toBe(true)
    await close()
  })

  test('has a file that nobody sees, and that is gone with it', async () => {
    const before = readdirSync(tmpdir()).filter((name) => name.startsWith('plimsoll-spill'))
    const { store, close } = await storeOf(4)
    for (let key = 0; key < 8; key++) await store.put(key, pageOf())
    expect(readdirSync(tmpdir()).filter((name) => name.startsWith('plimsoll-spill'))).toEqual(before)
    expect(statSync(`/proc/self/fd/${spillFd()}`).nlink).toBe(0)
    expect(statSync(`/proc/self/fd/${spillFd()}`).mode & 0o777).toBe(0o600)
    await close()
    expect(spillFd()).toBeNaN()
  })
})

test('a reclaim callback of the pool may spill while a page is put', async () => {
  const { pool, store, close } = await storeOf(4)
  using _reclaim = pool.onReclaim(async (missingBytes) => (await store.spill(missingBytes)) > 0)
  const pages = Array.from({ length: 12 }, () => pageOf())
  for (const [at, page] of pages.entries()) await store.put(at, page)
  for (const [at, page] of pages.entries()) expect(same(await store.get(at), page)).toBe(true)
  await close()
})

test('where memory and file are both full, a page of the file is replaced, and comes back, in turn with another', async () => {
  const { store, close } = await storeOf(4, { maxFileBytes: 2 * PAGE })
  const pages = Array.from({ length: 6 }, () => pageOf())
  for (const [at, page] of pages.entries()) await store.put(at, page)
  pages[0] = pageOf(100)
  await store.put(0, pages[0])
  for (let round = 0; round < 3; round++) expect(same(await store.get(1), pages[1])).toBe(true)
  expect(store.stats()).toMatchObject({ residentPages: 4, spilledPages: 2, loads: 1 })
  for (const [at, page] of pages.entries()) expect(same(await store.get(at), page)).toBe(true)
  await close()
})

test('a pool that was revoked is refused by its name', async () => {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  const error = await rejectedBy(InvalidArgumentError, PageStore.create({ pool: proxy as never, pageBytes: PAGE }))
  expect(error.message).toContain('expected pool to be a MemoryPool')
})

test('one that is dropped closes its file when it is collected, and says so in the words of this package alone', () => {
  const script = `
    const { readdirSync, readlinkSync } = require('node:fs')
    const warnings = []
    process.on('warning', ({ name, label, message }) => warnings.push([name, label, message]))
    const pool = await plimsoll.MemoryPool.create({ device: 'host' })
    const drop = async () => {
      const store = await plimsoll.PageStore.create({ pool, pageBytes: 65536 })
      for (let at = 0; at < 4; at++) await store.put(at, Buffer.alloc(65536))
      await store.spill()
    }
    const files = () => readdirSync('/proc/self/fd').filter((fd) => {
      try { return readlinkSync('/proc/self/fd/' + fd).includes('/#') } catch { return false }
    }).length
    await drop()
    const before = files()
    for (let turn = 0; turn < 200 && files() > 0; turn++) {
      gc()
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    await pool.close()
    return { before, after: files(), warnings }`
  const { before, after, warnings } = runChild<{ before: number; after: number; warnings: string[][] }>(
    script,
    withGarbage,
  ).value
  expect([before, after]).toEqual([1, 0])
  expect(warnings).toEqual([
    [
      'PlimsollLeakWarning',
      'page store',
      expect.stringContaining('256.00 KiB of file labelled "page store" was collected'),
    ],
  ])
})

test('a pool without room is asked anew as soon as a buffer of it is free', async () => {
  const { pool, store, close } = await storeOf(4)
  const other = await pool.allocateAsync(PAGE)
  for (let key = 0; key < 6; key++) await store.put(key, pageOf())
  expect(store.stats().residentPages).toBe(3)
  other.release()
  await store.put(6, pageOf())
  expect(store.stats().residentPages).toBe(4)
  await close()
})

describe('what goes wrong', () => {
  test('a full file: the page is refused, and nothing is lost', async () => {
    const { store, close } = await storeOf(4, { maxFileBytes: 2 * PAGE })
    const pages = Array.from({ length: 6 }, () => pageOf())
    for (const [at, page] of pages.entries()) await store.put(at, page)
    await expect(store.put('more', pageOf())).rejects.toThrow(InsufficientMemoryError)
    expect(await store.spill()).toBe(0)
    for (const [at, page] of pages.entries()) expect(same(await store.get(at), page)).toBe(true)
    await store.delete(0)
    await store.put('more', pageOf())
    await close()
  })

  test('a bound of pages and a full file say which two', async () => {
    const { store, close } = await storeOf(100, { maxResidentPages: 1, maxFileBytes: PAGE })
    for (const key of [1, 2]) await store.put(key, pageOf())
    const error = await rejectedBy(InsufficientMemoryError, store.put(3, pageOf()))
    expect(error.bindingConstraint).toBe(
      'maxResidentPages is 1, and maxFileBytes has room for no more than the 1 that are in the file',
    )
    await close()
  })

  test('a file that was changed or cut short is an error for its pages, and for no others', async () => {
    const { store, close } = await storeOf(4)
    const pages = Array.from({ length: 8 }, () => pageOf())
    for (const [at, page] of pages.entries()) await store.put(at, page)
    toFile((fd) => writeSync(fd, Buffer.from('x'), 0, 1, 100))
    const changed = await rejectedBy(IoError, store.get(0))
    expect(changed.message).toContain('expected the page that was written, found other bytes')
    toFile((fd) => ftruncateSync(fd, 2.5 * PAGE))
    expect((await rejectedBy(IoError, store.get(2))).message).toContain('it was cut short')
    expect(same(await store.get(1), pages[1])).toBe(true)
    expect(same(await store.get(7), pages[7])).toBe(true)
    await close()
  })

  test('a disk that takes no more: pages stay in memory', () => {
    const script = `
      const { MemoryPool, PageStore } = require(${JSON.stringify(root)})
      const { randomBytes } = require('node:crypto')
      void (async () => {
        const pool = await MemoryPool.create({ device: 'host' })
        const store = await PageStore.create({ pool, pageBytes: 65536 })
        const pages = Array.from({ length: 8 }, () => randomBytes(65536))
        for (const [at, page] of pages.entries()) await store.put(at, page)
        const error = await store.spill().catch((error) => error)
        const same = []
        for (const [at, page] of pages.entries()) same.push(Buffer.compare(await store.get(at), page) === 0)
        console.log(JSON.stringify([error.code, error.errnoName, same.every(Boolean)]))
      })()`
    const limited = `trap '' XFSZ; ulimit -f 256; exec "$0" "$@"`
    const { stdout, stderr } = runNode(['-e', script], { through: ['sh', '-c', limited] })
    expect({ stdout, stderr }).toEqual({ stdout: '["ERR_IO","EFBIG",true]\n', stderr: '' })
  })

  test('a folder may be named by its URL', async () => {
    const { store, close } = await storeOf(4, { folder: pathToFileURL(tmpdir()) })
    await store.put(1, pageOf())
    await store.spill()
    expect(store.stats().spilledPages).toBe(1)
    expect(spillFd()).toBeGreaterThan(0)
    await close()
  })

  test.each([
    ['no pool', { pageBytes: 1 }, 'pool'],
    ['a pool that is none', { pool: {}, pageBytes: 1 }, 'pool'],
    ['a folder in RAM', { folder: '/dev/shm' }, 'folder'],
    ['a file smaller than a page', { maxFileBytes: PAGE - 1 }, 'maxFileBytes'],
    ['a misspelt option', { maxFileByte: 1 }, 'options'],
  ])('%s is refused by its name', async (_what, options, argument) => {
    await using pool = await MemoryPool.create({ device: 'host' })
    const all = argument === 'pool' ? options : { pool, pageBytes: PAGE, ...options }
    const error = await rejectedBy(InvalidArgumentError, PageStore.create(all as PageStoreOptions))
    expect(error.argument).toBe(argument)
  })

  test('pages of no byte, or too many, keys that are none, and what is closed', async () => {
    const { store, close } = await storeOf(4)
    for (const data of [Buffer.alloc(0), Buffer.alloc(PAGE + 1), 'text' as never]) {
      await expect(store.put(1, data)).rejects.toThrow(InvalidArgumentError)
    }
    await expect(store.put({} as never, pageOf())).rejects.toThrow(InvalidArgumentError)
    await expect(PageStore.create({ pool: undefined as never, pageBytes: MiB })).rejects.toThrow(InvalidArgumentError)
    const last = store.put(1, pageOf())
    await close()
    await last
    for (const use of [store.put(1, pageOf()), store.get(1), store.delete(1), store.spill()]) {
      await expect(use).rejects.toThrow(ReleasedError)
    }
    await store.close()
  })
})
