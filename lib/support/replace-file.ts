import { constants, promises, type Stats } from 'node:fs'
import { dirname, join } from 'node:path'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'

/** What Linux follows at most. */
const MAX_LINKS = 40

/** How long a pipe without a reader, or a full one, is left alone. */
const RETRY_MS = 10

/** Why a folder takes no file beside one that may be written itself, or lets none take its place. */
const closedFolder = ['EACCES', 'EPERM', 'EROFS', 'EBUSY']

type Pieces = Iterable<string>

/**
 * Writes a file that appears whole or not at all: beside it, and then takes its place, with the mode and the owner of
 * the file that was there. Symbolic links are followed, also those that lead to nothing yet.
 *
 * What cannot be replaced is written in place: what is no regular file (a device, a pipe, which is waited for until
 * somebody reads it), a file with other names, one whose owner could not be kept, and one in a folder that takes no new
 * files. The pieces are asked for one at a time, between writes or, where one is empty, turns of the event loop.
 *
 * The libraries for it (write-file-atomic and its like) take a text that is whole, and rename over whatever is there: a device,
 * a pipe and a link would become plain files.
 */
export async function replaceFile(path: string, pieces: Pieces): Promise<void> {
  const found = await unless(['ENOENT'], promises.stat(path))
  if (found && !found.isFile()) return writeThrough(path, found, pieces)
  const target = await endOfLinks(path)
  if (target === undefined) return writeInPlace(path, pieces)
  if (!found) return writeBeside(target, undefined, pieces)
  // Taking the place of a file that may not be written would succeed.
  await promises.access(target, constants.W_OK)
  if (found.nlink > 1) return writeInPlace(target, pieces)
  await writeBeside(target, found, pieces)
}

/** What a call gives, `undefined` when it fails with one of the codes. */
async function unless<T>(codes: readonly string[], call: Promise<T>): Promise<T | undefined> {
  try {
    return await call
  } catch (error) {
    if (codes.includes((error as NodeJS.ErrnoException).code ?? '')) return undefined
    throw error
  }
}

/**
 * Where the links from a path end, whether or not there is a file. `undefined` of a link of `/proc`, as `/dev/stdout`
 * is one: it stands for a file that is open, whatever its name leads to now.
 */
async function endOfLinks(path: string): Promise<string | undefined> {
  let end = path
  for (let links = 0; links <= MAX_LINKS; links++) {
    const target = await unless(['EINVAL', 'ENOENT'], promises.readlink(end))
    if (target === undefined) return end
    const folder = await promises.realpath(dirname(end))
    if (`${folder}/`.startsWith('/proc/')) return undefined
    // Joined by hand: a folder before `..` may be a link itself.
    end = target.startsWith('/') ? target : `${folder}/${target}`
  }
  throw Object.assign(new Error('too many symbolic links'), { code: 'ELOOP' })
}

async function writeBeside(target: string, found: Stats | undefined, pieces: Pieces): Promise<void> {
  // Asked for when it is needed: loading the package does not wait for it.
  const { randomUUID } = require('node:crypto') as typeof import('node:crypto')
  // Not longer for a long name, which could be too long then.
  const beside = join(dirname(target), `.plimsoll-${randomUUID()}.tmp`)
  const opened = promises.open(beside, 'wx', found ? found.mode & 0o777 : 0o666)
  const file = await unless(found ? closedFolder : [], opened)
  if (!file) return writeInPlace(target, pieces)
  try {
    let kept: boolean
    try {
      kept = !found || (await keepOwner(file, found))
      if (kept) await writePieces(file, pieces)
      if (kept) await file.sync()
    } finally {
      await file.close()
    }
    if (!kept) return await writeInPlace(target, pieces)
    const renamed = promises.rename(beside, target).then(() => true)
    // A file that is mounted by itself, as into a container, stays.
    if (!(await unless(found ? closedFolder : [], renamed))) await promises.copyFile(beside, target)
  } finally {
    await promises.rm(beside, { force: true })
  }
}

/** Gives a new file the mode and the owner of another one; whether it may have them. */
async function keepOwner(file: promises.FileHandle, { mode, uid, gid }: Stats): Promise<boolean> {
  const made = await file.stat()
  if (made.uid !== uid || made.gid !== gid) {
    const changed = file.chown(uid, gid).then(() => true)
    if (!(await unless(['EPERM', 'EINVAL'], changed))) return false
  }
  await file.chmod(mode & 0o7777)
  return true
}

async function writeInPlace(path: string, pieces: Pieces): Promise<void> {
  const file = await promises.open(path, constants.O_WRONLY | constants.O_TRUNC | constants.O_NOCTTY)
  try {
    await writePieces(file, pieces)
    await unless(['EINVAL'], file.sync())
  } finally {
    await file.close()
  }
}

/** Into what is no file of its own. Nothing waits within the system, where it could not be ended. */
async function writeThrough(path: string, found: Stats, pieces: Pieces): Promise<void> {
  const flags = constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY
  const open = () => unless(found.isFIFO() ? ['ENXIO'] : [], promises.open(path, flags))
  let file = await open()
  while (!file) {
    await sleep(RETRY_MS)
    file = await open()
  }
  try {
    await writePieces(file, pieces)
  } finally {
    await file.close()
  }
}

async function writePieces(file: promises.FileHandle, pieces: Pieces): Promise<void> {
  for (const piece of pieces) {
    if (piece === '') await nextTurn()
    let rest = Buffer.from(piece)
    while (rest.length > 0) {
      const written = await unless(['EAGAIN'], file.write(rest))
      if (written) rest = rest.subarray(written.bytesWritten)
      else await sleep(RETRY_MS)
    }
  }
}
