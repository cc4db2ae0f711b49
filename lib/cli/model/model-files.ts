import { constants, type Dirent } from 'node:fs'
import { type FileHandle, open, opendir, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { AbortError } from '../../index.js'
import { Exit } from '../exit.js'
import { FileError } from '../failure.js'

/** A file that may be a model. */
export interface ModelFile {
  path: string
  /** Whether it was named itself, and not found in a folder: then it counts, whatever it is. */
  named: boolean
  /** Whether its name says nothing, and only its first bytes tell what it is. */
  nameless: boolean
}

/** What was passed over, and why. */
export interface PassedOver {
  path: string
  reason: string
}

export interface FoundFiles {
  files: ModelFile[]
  passedOver: PassedOver[]
}

/** Folders in which the kernel and its drivers show themselves. */
const notOnDisk = ['/proc', '/sys', '/dev']

/** How Ollama calls its files, models and others. */
const blob = /^sha256-[0-9a-f]{64}$/

/** Where programs keep their models, after their variables where these are set. */
export function usualFolders(): string[] {
  const { HF_HUB_CACHE, HF_HOME, LLAMA_CACHE, OLLAMA_MODELS, XDG_CACHE_HOME } = process.env
  const home = homedir()
  const cache = XDG_CACHE_HOME || join(home, '.cache')
  return [
    HF_HUB_CACHE || join(HF_HOME || join(cache, 'huggingface'), 'hub'),
    LLAMA_CACHE || join(cache, 'llama.cpp'),
    OLLAMA_MODELS || join(home, '.ollama/models'),
    '/usr/share/ollama/.ollama/models',
    join(home, '.lmstudio/models'),
    join(home, '.node-llama-cpp/models'),
    join(home, 'models'),
  ]
}

/** Finds model files by their names, each once, however many links lead to it. */
export class ModelSearch {
  readonly #signal: AbortSignal
  readonly #seen = new Set<string>()
  readonly #found: FoundFiles = { files: [], passedOver: [] }

  constructor(signal: AbortSignal) {
    this.#signal = signal
  }

  get found(): FoundFiles {
    return this.#found
  }

  /** Looks at a path that was named: a file, or a folder with all below it. */
  async named(path: string): Promise<void> {
    try {
      const { isFolder, isNew } = await this.#look(path)
      if (isFolder) await this.#walk(path, true)
      else if (isNew) this.#found.files.push({ path, named: true, nameless: false })
    } catch (error) {
      throw isOfSystem(error)
        ? new FileError(`expected to read ${path}, got: ${error.message}`, Exit.brokenInput)
        : error
    }
  }

  /** Looks through a folder, if it is there. */
  async usual(path: string): Promise<void> {
    try {
      if ((await this.#look(path)).isFolder) await this.#walk(path, false)
    } catch (error) {
      if (!isOfSystem(error)) throw error
      if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') this.#passOver(path, error)
    }
  }

  async #walk(top: string, mustOpen: boolean): Promise<void> {
    const left = [top]
    for (let folder = left.pop(); folder !== undefined; folder = left.pop()) {
      if (notOnDisk.includes(resolve(folder))) continue
      try {
        for await (const entry of await opendir(folder)) {
          this.#goOn()
          if (entry.isDirectory()) left.push(join(folder, entry.name))
          else await this.#consider(folder, entry)
        }
      } catch (error) {
        if (!isOfSystem(error) || (mustOpen && folder === top)) throw error
        this.#passOver(folder, error)
      }
    }
  }

  /** A file, or a link to one. Links to folders are not followed, so that none leads in a circle. */
  async #consider(folder: string, entry: Dirent): Promise<void> {
    const nameless = blob.test(entry.name)
    if (!(nameless || /\.gguf$/i.test(entry.name)) || !(entry.isFile() || entry.isSymbolicLink())) return
    const path = join(folder, entry.name)
    try {
      const { isFile, isNew } = await this.#look(path)
      if (isFile && isNew) this.#found.files.push({ path, named: false, nameless })
    } catch (error) {
      if (!isOfSystem(error)) throw error
      this.#passOver(path, error)
    }
  }

  async #look(path: string) {
    this.#goOn()
    const stats = await stat(path, { bigint: true })
    const key = `${stats.dev}:${stats.ino}`
    const isNew = !this.#seen.has(key)
    this.#seen.add(key)
    return { isFile: stats.isFile(), isFolder: stats.isDirectory(), isNew }
  }

  #goOn(): void {
    if (this.#signal.aborted) throw new AbortError(this.#signal.reason)
  }

  #passOver(path: string, { message }: NodeJS.ErrnoException): void {
    this.#found.passedOver.push({ path, reason: message })
  }
}

/** Whether a file begins as GGUF files do. It is opened without waiting. */
export async function beginsAsGguf(path: string): Promise<boolean> {
  let file: FileHandle | undefined
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, 0)
    return bytesRead === 4 && buffer.toString('latin1') === 'GGUF'
  } finally {
    await file?.close()
  }
}

const isOfSystem = (error: unknown): error is NodeJS.ErrnoException =>
  error instanceof Error && typeof (error as NodeJS.ErrnoException).syscall === 'string'
