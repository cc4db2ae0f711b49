import { type FileHandle, open } from 'node:fs/promises'
import { Exit } from '../exit.js'
import { FileError } from '../failure.js'

/** What is read at once. */
const CHUNK_BYTES = 64 * 1024

/** A file that is read once, from its start to its end, and whose first bytes can be looked at before. */
export class InputFile implements AsyncDisposable {
  readonly #path: string
  readonly #file: FileHandle
  #head: Buffer | undefined
  /** Its size, in bytes; 0 of a pipe. */
  readonly sizeBytes: number

  private constructor(path: string, file: FileHandle, sizeBytes: number) {
    this.#path = path
    this.#file = file
    this.sizeBytes = sizeBytes
  }

  static async open(path: string): Promise<InputFile> {
    try {
      const file = await open(path)
      return new InputFile(path, file, (await file.stat()).size)
    } catch (error) {
      throw fileError(path, error)
    }
  }

  /** Its first bytes, without taking them. */
  async head(): Promise<Buffer> {
    this.#head ??= await this.#read()
    return this.#head
  }

  /** Its bytes, a piece at a time. */
  async *chunks(): AsyncGenerator<Buffer> {
    for (let chunk = await this.head(); chunk.length > 0; chunk = await this.#read()) yield chunk
  }

  async #read(): Promise<Buffer> {
    try {
      const { buffer, bytesRead } = await this.#file.read(Buffer.allocUnsafe(CHUNK_BYTES), 0, CHUNK_BYTES)
      return buffer.subarray(0, bytesRead)
    } catch (error) {
      throw fileError(this.#path, error)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close()
  }
}

/** A path that leads to no file is broken input; trouble with reading one is the system's. */
function fileError(path: string, error: unknown): FileError {
  const { code, syscall, message } = error as NodeJS.ErrnoException
  const isOfPath = syscall === 'open' || code === 'EISDIR'
  return new FileError(`expected to read ${path}, got: ${message}`, isOfPath ? Exit.brokenInput : Exit.trouble)
}
