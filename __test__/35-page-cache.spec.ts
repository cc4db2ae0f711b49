import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { dropPageCache, IoError, MiB, pageCache, processes } from 'plimsoll'
import { asOrdinaryUser, isOnDisk, writtenToDisk } from './helpers/cached-files'
import { runChild } from './helpers/child'
import { unlessEmulated } from './helpers/emulation'
import { scratch } from './helpers/models'

const at = scratch()

/** The pages of files are only dropped where there is a disk below them. */
const testOnDisk = isOnDisk ? test : test.skip

/** A process that has a file mapped and has touched it: it says so, and ends with its standard input. */
const mapper = `
import mmap, sys
with open(sys.argv[1], 'rb') as file:
    pages = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
sum(pages[i] for i in range(0, len(pages), 4096))
print('mapped', flush=True)
sys.stdin.read()
`

const hasPython = (() => {
  try {
    return execFileSync('python3', ['--version']).length > 0
  } catch {
    return false
  }
})()

testOnDisk('an ordinary user gets 95 % and more of an unmapped file back, and none of its bytes is changed', () => {
  const { value } = runChild<{ user: number; before: object; dropped: object; after: object; same: boolean }>(`
    ${asOrdinaryUser}
    const { mkdtempSync, readFileSync, rmSync } = fs
    const folder = mkdtempSync('/tmp/plimsoll-user-')
    try {
      const path = folder + '/model.gguf'
      const bytes = Buffer.alloc(64 * MiB, 'weights ')
      const file = fs.openSync(path, 'w')
      fs.writeSync(file, bytes)
      fs.fsyncSync(file)
      fs.closeSync(file)
      const same = () => readFileSync(path).equals(bytes)
      same()
      const before = await plimsoll.pageCache(path)
      const dropped = await plimsoll.dropPageCache(path)
      const after = await plimsoll.pageCache(path)
      return { user: process.getuid(), before, dropped, after, same: same() }
    } finally {
      rmSync(folder, { recursive: true })
    }
  `)
  expect(value.user).not.toBe(0)
  expect(value.same).toBe(true)
  const whole = 64 * MiB
  expect(value.before).toMatchObject({ sizeBytes: whole, cachedBytes: whole, inMemory: false })
  expect(value.dropped).toMatchObject({ sizeBytes: whole, cachedBeforeBytes: whole })
  const { droppedBytes, cachedBytes } = value.dropped as { droppedBytes: number; cachedBytes: number }
  expect(droppedBytes).toBeGreaterThanOrEqual(0.95 * whole)
  expect(droppedBytes + cachedBytes).toBe(whole)
  expect(value.after).toMatchObject({ cachedBytes })
})

const testMapped = isOnDisk && hasPython ? unlessEmulated(test, 'qemu maps files in its own way') : test.skip

testMapped('a file that another process has mapped is untouched, and the process is found', async () => {
  const path = writtenToDisk(at('mapped.gguf'), 8 * MiB)
  const child = spawn('python3', ['-c', mapper, path], { stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = once(child, 'close')
  try {
    await once(child.stdout, 'data')
    symlinkSync(path, at('link.gguf'))
    for (const name of [path, pathToFileURL(path), at('link.gguf')]) {
      const found = await processes({ mapping: name })
      expect(found.map(({ pid }) => pid)).toEqual([child.pid])
    }
    expect(await pageCache(path)).toMatchObject({ cachedBytes: 8 * MiB })
    expect(await dropPageCache(path)).toMatchObject({ droppedBytes: 0, cachedBytes: 8 * MiB })
    expect(await pageCache(path)).toMatchObject({ cachedBytes: 8 * MiB })
  } finally {
    child.stdin.end()
    await ended
  }
  expect(await processes({ mapping: path })).toEqual([])
  expect(await dropPageCache(path)).toMatchObject({ droppedBytes: 8 * MiB, cachedBytes: 0 })
})

testOnDisk('what was written and is not on the disk yet comes back, too, and is on the disk then', async () => {
  const path = at('dirty.gguf')
  const bytes = Buffer.alloc(4 * MiB, 'new ')
  writeFileSync(path, bytes)
  const { droppedBytes } = await dropPageCache(path)
  expect(droppedBytes).toBeGreaterThanOrEqual(0.95 * 4 * MiB)
  expect(readFileSync(path).equals(bytes)).toBe(true)
})

testOnDisk('asking brings nothing into the cache', async () => {
  const path = writtenToDisk(at('cold.gguf'), MiB)
  await dropPageCache(path)
  expect(await pageCache(path)).toMatchObject({ sizeBytes: MiB, cachedBytes: 0 })
  expect(await pageCache(pathToFileURL(path))).toMatchObject({ sizeBytes: MiB, cachedBytes: 0 })
})

const isRoot = process.getuid?.() === 0
const testAsRoot = isOnDisk && isRoot ? unlessEmulated(test, 'qemu answers these system calls itself') : test.skip

testAsRoot("of another user's file it is told that it is not told, never a number, and it is dropped", async () => {
  const path = writtenToDisk('/tmp/plimsoll-of-root.gguf', 4 * MiB)
  try {
    readFileSync(path)
    const { value } = runChild<Record<'told' | 'dropped', object>>(`
      ${asOrdinaryUser}
      const told = await plimsoll.pageCache(${JSON.stringify(path)})
      return { told, dropped: await plimsoll.dropPageCache(${JSON.stringify(path)}) }
    `)
    const reason = expect.stringContaining('only who owns the file or may write to it')
    expect(value.told).toEqual({ path, sizeBytes: 4 * MiB, inMemory: false, reason })
    expect(value.dropped).toEqual({ path, sizeBytes: 4 * MiB, inMemory: false, reason })
    const { cachedBytes } = await pageCache(path)
    expect(cachedBytes).toBeLessThanOrEqual(0.05 * 4 * MiB)
  } finally {
    execFileSync('rm', [path])
  }
})

test('a file in memory is told as such, and nothing of it is dropped', async () => {
  const path = `/dev/shm/plimsoll-${process.pid}.gguf`
  try {
    writeFileSync(path, Buffer.alloc(MiB))
  } catch {
    return // There is no such place.
  }
  try {
    const { inMemory } = await pageCache(path)
    if (inMemory) expect(await dropPageCache(path)).toMatchObject({ inMemory, droppedBytes: 0, cachedBytes: MiB })
  } finally {
    execFileSync('rm', [path])
  }
})

test('an empty file and a hole of 8 TiB are told at once', async () => {
  const [empty, hole] = [at('empty.gguf'), at('hole.gguf')]
  writeFileSync(empty, '')
  writeFileSync(hole, '')
  truncateSync(hole, 8 * 2 ** 40)
  expect(await pageCache(empty)).toMatchObject({ sizeBytes: 0, cachedBytes: 0 })
  expect(await pageCache(hole)).toMatchObject({ sizeBytes: 8 * 2 ** 40, cachedBytes: 0 })
})

test('what is no file to be read is refused with its path, and a named pipe does not make it wait', async () => {
  mkdirSync(at('folder'))
  execFileSync('mkfifo', [at('pipe')])
  for (const path of [at('missing'), at('folder'), at('pipe'), '/dev/zero']) {
    for (const call of [pageCache, dropPageCache]) {
      await expect(call(path)).rejects.toThrow(IoError)
      await expect(call(path)).rejects.toMatchObject({ code: 'ERR_IO', path })
    }
  }
  await expect(pageCache(at('missing'))).rejects.toMatchObject({ errnoName: 'ENOENT', syscall: 'open' })
  for (const value of [undefined, 1, '', 'a\0b', {}]) {
    await expect(pageCache(value as never)).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT', argument: 'path' })
    await expect(dropPageCache(value as never)).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' })
  }
})
