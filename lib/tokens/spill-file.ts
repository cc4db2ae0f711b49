import { randomUUID } from 'node:crypto'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { crc32 } from 'node:zlib'
import { LeakGuard } from '../addon/leak-guard.js'
import { formatBytes } from '../addon/units.js'
import type { Bytes } from '../support/arrays.js'
import { IoError, invalidArgument, ioError, quoted } from '../support/errors.js'
import { dropPageCache } from '../system/page-cache.js'

const open = promisify(fs.open)
const read = promisify(fs.read)
const write = promisify(fs.write)
const close = promisify(fs.close)

/** `O_TMPFILE`: a file without a name, which goes with its descriptor, however the process ends. */
const O_TMPFILE = 0o20000000 | fs.constants.O_DIRECTORY

/** What `statfs` says of file systems that are RAM: tmpfs and ramfs. */
const RAM_FILE_SYSTEMS = [0x01021994, 0x858458f6]

/**
 * So much is written or read before the page cache is emptied of it, while the next is on its way: it would be the RAM that is to be
 * saved.
 */
const WINDOW_BYTES = 8 * 2 ** 20

/** A page in the file. */
export interface Slot {
  readonly index: number
  readonly sizeBytes: number
  readonly checksum: number
}

/** What is left of a file that was collected. Its descriptor is no `FileHandle`: Node.js means to end a process that drops one of these. */
interface Remains {
  readonly fd: number
  readonly pageBytes: number
  /** Pages that the file may have grown to. */
  used: number
}

const leakGuard = new LeakGuard<Remains>(async ({ fd, pageBytes, used }) => {
  await close(fd)
  const sizeBytes = used * pageBytes
  const advice = 'Its file was closed now, and is gone; call close() or use `await using`.'
  const what = `A page store with ${formatBytes(sizeBytes)} of file`
  return { what, expected: 'closed', advice, label: 'page store', sizeBytes }
})

/** Pages in a file of bounded size, which has no name and is gone with the process. */
export class SpillFile {
  readonly #remains: Remains
  readonly #place: string
  readonly #pageBytes: number
  readonly #slots: number
  readonly #free: number[] = []
  #touchedBytes = 0
  #settling: Promise<void> | undefined
  #failure: unknown

  private constructor(fd: number, place: string, pageBytes: number, maxBytes: number) {
    this.#remains = { fd, pageBytes, used: 0 }
    leakGuard.watch(this, this.#remains)
    this.#place = place
    this.#pageBytes = pageBytes
    this.#slots = Math.floor(maxBytes / pageBytes)
  }

  static async create(folder: string, pageBytes: number, maxBytes: number): Promise<SpillFile> {
    const { type } = await fs.promises.statfs(folder).catch((cause: unknown) => {
      throw ioError(folder, cause)
    })
    if (RAM_FILE_SYSTEMS.includes(type)) {
      throw invalidArgument('folder', 'on a disk: what is spilled to RAM saves none', quoted(folder))
    }
    return new SpillFile(await nameless(folder), join(folder, '(a file without a name)'), pageBytes, maxBytes)
  }

  /** Pages that there is room for. */
  get room(): number {
    return this.#free.length + this.#slots - this.#remains.used
  }

  /** The bytes that the file may have grown to. */
  get sizeBytes(): number {
    return this.#remains.used * this.#pageBytes
  }

  /** Writes a page, all of it or an error: then nothing refers to what was written of it. */
  async write(data: Uint8Array): Promise<Slot> {
    const index = this.#free.pop() ?? this.#remains.used++
    try {
      return await this.#writeTo(index, data)
    } catch (error) {
      this.#free.push(index)
      throw error
    }
  }

  /** Writes a page in place of another; where that fails the other is written again. */
  async replace(slot: Slot, before: Uint8Array, data: Uint8Array): Promise<Slot> {
    try {
      return await this.#writeTo(slot.index, data)
    } catch (error) {
      await this.#writeTo(slot.index, before).catch(() => {})
      throw error
    }
  }

  async #writeTo(index: number, data: Uint8Array): Promise<Slot> {
    try {
      for (let done = 0; done < data.byteLength; ) {
        const { bytesWritten } = await write(
          this.#remains.fd,
          data,
          done,
          data.byteLength - done,
          index * this.#pageBytes + done,
        )
        done += bytesWritten
      }
    } catch (cause) {
      throw ioError(this.#place, cause)
    }
    await this.#touched(data.byteLength)
    return { index, sizeBytes: data.byteLength, checksum: crc32(data) }
  }

  /** Reads a page back, as it was written or not at all. */
  async read({ index, sizeBytes, checksum }: Slot): Promise<Bytes> {
    const data: Bytes = new Uint8Array(sizeBytes)
    const offset = index * this.#pageBytes
    for (let done = 0; done < sizeBytes; ) {
      const { bytesRead } = await read(this.#remains.fd, data, done, sizeBytes - done, offset + done).catch(
        this.#unreadable,
      )
      if (bytesRead === 0)
        throw this.#damaged(offset + done, `${sizeBytes} bytes of a page`, `${done}: it was cut short`)
      done += bytesRead
    }
    if (crc32(data) !== checksum) throw this.#damaged(offset, 'the page that was written', 'other bytes')
    await this.#touched(sizeBytes)
    return data
  }

  /** Gives the place of a page to the next. */
  free({ index }: Slot): void {
    this.#free.push(index)
  }

  /**
   * Writes to the disk what is not there yet, and empties the page cache of the file. What the disk had against any of it since the last
   * time is thrown.
   */
  async settle(): Promise<void> {
    await this.#settling
    this.#settle()
    await this.#settling
    const failure = this.#failure
    this.#failure = undefined
    if (failure !== undefined) throw failure
  }

  async close(): Promise<void> {
    await this.#settling
    leakGuard.unwatch(this.#remains)
    await close(this.#remains.fd)
  }

  /** Has the page cache emptied; who is two windows ahead of that waits for it. */
  async #touched(bytes: number): Promise<void> {
    this.#touchedBytes += bytes
    if (this.#touchedBytes < WINDOW_BYTES) return
    if (this.#touchedBytes >= 2 * WINDOW_BYTES) await this.#settling
    if (this.#settling === undefined) this.#settle()
  }

  #settle(): void {
    this.#touchedBytes = 0
    this.#settling = dropPageCache(`/proc/self/fd/${this.#remains.fd}`)
      .catch((error: unknown) => {
        this.#failure ??= error
      })
      .then(() => {
        this.#settling = undefined
      })
  }

  readonly #unreadable = (cause: unknown): never => {
    throw this.#error(`expected to read ${this.#place}, got: ${(cause as Error).message}`, { cause })
  }

  #damaged(offset: number, expected: string, found: string): IoError {
    return this.#error(
      `${this.#place}: expected ${expected}, found ${found}; the disk fails, or somebody wrote to it`,
      {
        offset,
      },
    )
  }

  #error(message: string, { cause, offset }: { cause?: unknown; offset?: number }): IoError {
    return new IoError('ERR_IO', message, { path: this.#place, ...(offset !== undefined && { offset }) }, { cause })
  }
}

/** A file that nobody finds. Where the file system has none such, one whose name is removed at once. */
async function nameless(folder: string): Promise<number> {
  try {
    return await open(folder, O_TMPFILE | fs.constants.O_RDWR, 0o600)
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (code !== 'EOPNOTSUPP' && code !== 'EISDIR' && code !== 'ENOENT') throw ioError(folder, cause)
  }
  const path = join(folder, `plimsoll-spill-${randomUUID()}`)
  const { O_RDWR, O_CREAT, O_EXCL } = fs.constants
  const fd = await open(path, O_RDWR | O_CREAT | O_EXCL, 0o600).catch((cause: unknown) => {
    throw ioError(path, cause)
  })
  try {
    await fs.promises.unlink(path)
    return fd
  } catch (cause) {
    await close(fd)
    throw ioError(path, cause)
  }
}
