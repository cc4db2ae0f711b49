import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { SystemError } from '../failure.js'

/** A memory cgroup of its own for a command, until it is disposed of. */
export class LimitedGroup implements Disposable {
  readonly #path: string

  private constructor(path: string) {
    this.#path = path
  }

  /**
   * Makes a group beside that of this process, and bounds it.
   *
   * @throws {@link SystemError} where this user may not, or the kernel has none.
   */
  static make(bytes: number): LimitedGroup {
    const { folder, file } = ownGroup()
    const path = freshGroup(join(folder, `plimsoll-${process.pid}`))
    const group = new LimitedGroup(path)
    try {
      writeFileSync(join(path, file), String(bytes))
      return group
    } catch (error) {
      group[Symbol.dispose]()
      throw refused(path, error)
    }
  }

  /** Puts this process into it, and with it all that it starts from then on; back again when that is disposed of. */
  entered(): Disposable {
    const { procs } = ownGroup()
    const enter = (file: string) => writeFileSync(file, String(process.pid))
    enter(join(this.#path, 'cgroup.procs'))
    return {
      [Symbol.dispose]: () => {
        try {
          enter(procs)
        } catch {
          // It stays in the group of the command, which goes on.
        }
      },
    }
  }

  [Symbol.dispose](): void {
    // Where a process that the command left behind is in it, it goes when that does, by whoever cleans up.
    isRemoved(this.#path)
  }
}

function isRemoved(path: string): boolean {
  try {
    rmdirSync(path)
    return true
  } catch {
    return false
  }
}

/** How many groups may have been left behind under the id of this process. */
const MOST_LEFT = 16

/** Makes a group of that name. One that a killed `run` of the same id has left is removed, or passed over while its command lives. */
function freshGroup(path: string): string {
  for (let at = 0; ; at += 1) {
    const named = at === 0 ? path : `${path}-${at}`
    if (existsSync(named)) isRemoved(named)
    try {
      mkdirSync(named)
      return named
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || at === MOST_LEFT) throw refused(named, error)
    }
  }
}

const refused = (path: string, error: unknown) =>
  new SystemError(
    `expected to make a memory cgroup at ${path}, but ${(error as Error).message}. Run it as root or in a group that is \
delegated to this user (systemd-run --user --scope -p Delegate=yes), or leave out --limit`,
  )

/** Where a group beside that of this process is made, and which file bounds it. */
function ownGroup(): { folder: string; file: string; procs: string } {
  const lines = readFileSync('/proc/self/cgroup', 'latin1').split('\n')
  const mounts = readFileSync('/proc/self/mountinfo', 'latin1')
    .split('\n')
    .map((line) => line.split(' '))
  const find = (isMeant: (kind: string, options: string) => boolean) =>
    mounts.find((fields) => {
      const at = fields.indexOf('-')
      return at > 0 && isMeant(fields[at + 1] ?? '', fields[at + 3] ?? '')
    })
  const first = find((kind, options) => kind === 'cgroup' && options.split(',').includes('memory'))
  const second = find((kind) => kind === 'cgroup2')
  const own = (isMeant: (controllers: string, number: string) => boolean) => {
    const line = lines
      .map((text) => text.split(':'))
      .find(([number = '', controllers = '']) => isMeant(controllers, number))
    return line?.slice(2).join(':')
  }
  if (first) {
    const path = own((controllers) => controllers.split(',').includes('memory'))
    return placed(first, path, 'memory.limit_in_bytes')
  }
  if (second)
    return placed(
      second,
      own((_, number) => number === '0'),
      'memory.max',
    )
  throw new SystemError('expected a kernel with memory cgroups, found none')
}

function placed(mount: readonly string[], own: string | undefined, file: string) {
  const [, , , root = '/', at = ''] = mount
  const path = own ?? '/'
  const inside = root !== '/' && path.startsWith(root) ? path.slice(root.length) : path
  const group = join(at, inside)
  // The group of this process has processes, so a child of it could have no controllers; a group of the root's may.
  const folder = inside === '/' || inside === '' ? at : dirname(group)
  return { folder, file, procs: join(group, 'cgroup.procs') }
}
