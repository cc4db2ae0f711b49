import type { NativeStream, NativeUnit } from '../addon/native.js'
import { type Abortion, absorb } from '../support/abort.js'
import type { ChunkPlace } from './chunk.js'

/** By which calls a file is read. */
export type IoMode = 'read' | 'mmap' | 'direct'

/** The digest of a tensor that was read. */
export interface TensorDigest {
  /** The tensor's name. */
  tensor: string
  /** The SHA-256 of its bytes as the file holds them, in hexadecimal. */
  sha256: string
}

/** How far a load has come. */
export interface LoadProgress {
  /** The tensor just read. */
  tensor: string
  /** Chunks delivered so far. */
  chunks: number
  /** Stored bytes read so far. */
  loadedBytes: number
  /** Stored bytes to be read in all. */
  totalBytes: number
  /** Milliseconds since the load began. */
  elapsedMs: number
  /** Stored bytes a second, since the load began. 0 before there is a figure. */
  bytesPerSecond: number
  /** Milliseconds until the load ends at that rate. Absent before there is one. */
  remainingMs?: number
  /** The calls that the file is read by. */
  io: IoMode
  /** Why these are not those that were asked for. */
  ioReason?: string
}

/** What a load tells and listens to while it runs. */
export interface LoadControl {
  signal: AbortSignal | undefined
  onProgress: ((progress: LoadProgress) => void) | undefined
  onDigest: ((digest: TensorDigest) => void) | undefined
}

/** Tells how far a load has come, over all the streams that it is made of. */
export class Reporter {
  readonly control: LoadControl
  readonly #totalBytes: number
  readonly #start = performance.now()
  #chunks = 0
  #loadedBytes = 0
  #failed: Abortion | undefined

  constructor(totalBytes: number, control: LoadControl) {
    this.control = control
    this.#totalBytes = totalBytes
  }

  report(native: NativeStream, place: ChunkPlace): void {
    this.expectSound()
    const { onProgress } = this.control
    this.#chunks += 1
    this.#loadedBytes += place.byteEnd - place.byteStart
    if (onProgress) this.#call(() => onProgress(this.#progress(native, place.tensor)))
  }

  digests(unit: NativeUnit, names: (index: number) => string): void {
    const { onDigest } = this.control
    if (!onDigest) return
    for (const { tensor, sha256 } of unit.digests()) {
      this.expectSound()
      this.#call(() => onDigest({ tensor: names(tensor), sha256 }))
    }
  }

  #progress(native: NativeStream, tensor: string): LoadProgress {
    const elapsedMs = performance.now() - this.#start
    const bytesPerSecond = elapsedMs > 0 ? Math.round((this.#loadedBytes * 1000) / elapsedMs) : 0
    const leftBytes = this.#totalBytes - this.#loadedBytes
    const { io, reason } = native.reading()
    return {
      tensor,
      chunks: this.#chunks,
      loadedBytes: this.#loadedBytes,
      totalBytes: this.#totalBytes,
      elapsedMs,
      bytesPerSecond,
      ...(bytesPerSecond > 0 ? { remainingMs: (leftBytes * 1000) / bytesPerSecond } : {}),
      io: io as IoMode,
      ...(reason == null ? {} : { ioReason: reason }),
    }
  }

  /** One that is asynchronous is not waited for, but what it rejects with ends the load, too. */
  #call(callback: () => unknown): void {
    absorb(callback(), (reason) => {
      this.#failed = { reason }
    })
  }

  /** Throws what a callback that is asynchronous has rejected with. */
  expectSound(): void {
    if (this.#failed) throw this.#failed.reason
  }
}
