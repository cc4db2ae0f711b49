import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const mount = '/sys/fs/cgroup/memory'

/** The folder of this process's version 1 memory group, `undefined` where there is none. */
function ownGroup(): string | undefined {
  const line = readFileSync('/proc/self/cgroup', 'utf8').match(/^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:(.*)$/m)
  const folder = line?.[1] === undefined ? undefined : join(mount, line[1])
  return folder !== undefined && existsSync(join(folder, 'memory.limit_in_bytes')) ? folder : undefined
}

/** A memory group of version 1 below this process's, with groups nested in it. */
export class MemoryGroup {
  /** The group as `/proc/self/cgroup` names it. */
  readonly path: string
  readonly #folder: string

  private constructor(folder: string) {
    this.#folder = folder
    this.path = folder.slice(mount.length)
  }

  /** Makes one, or says why it cannot. */
  static make(name: string): MemoryGroup | string {
    const parent = ownGroup()
    if (parent === undefined) return 'there is no version 1 memory controller'
    try {
      return new MemoryGroup(parent).nest(`${name}-${process.pid}`)
    } catch (error) {
      return `its memory controller cannot be written (${(error as NodeJS.ErrnoException).code})`
    }
  }

  nest(name: string): MemoryGroup {
    const folder = join(this.#folder, name)
    mkdirSync(folder)
    return new MemoryGroup(folder)
  }

  limit(bytes: number): void {
    writeFileSync(join(this.#folder, 'memory.limit_in_bytes'), String(bytes))
  }

  /** How many processes the kernel killed in it for want of memory. */
  get killCount(): number {
    const text = readFileSync(join(this.#folder, 'memory.oom_control'), 'utf8')
    return Number(/^oom_kill (\d+)$/m.exec(text)?.[1])
  }

  /** A command that moves itself into the group and becomes the command behind it. */
  get through(): string[] {
    return ['bash', '-c', 'echo $$ > "$0/cgroup.procs" && exec "$@"', this.#folder]
  }

  remove(): void {
    rmdirSync(this.#folder)
  }
}
