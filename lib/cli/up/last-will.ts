import { type ChildProcess, spawn } from 'node:child_process'

/**
 * What the shell does: keeps the process groups that it is told of (`+ID`, `-ID`), and when nothing can tell it of any more, as the
 * process that did is gone, asks them to end, and kills what is left of them after so many seconds.
 */
const script = `
trap '' HUP INT TERM
groups=' '
while read -r word; do
  id=\${word#?}
  case $word in
    +*) groups="$groups$id " ;;
    -*) groups="\${groups%% $id *} \${groups#* $id }" ;;
  esac
done
for id in $groups; do kill -s TERM -- "-$id" 2>/dev/null; done
for second in $(seq "$1"); do
  left=
  for id in $groups; do kill -s 0 -- "-$id" 2>/dev/null && left="$left $id"; done
  groups=$left
  [ -n "$groups" ] || exit 0
  sleep 1
done
for id in $groups; do kill -s KILL -- "-$id" 2>/dev/null; done
`

/** A small process that ends what this one has started, should this one be killed before it could. */
export class LastWill implements Disposable {
  readonly #shell: ChildProcess

  /** What is asked to end is killed after `graceMs`. */
  constructor(graceMs: number) {
    const seconds = String(Math.ceil(graceMs / 1000))
    // In a group of its own: what ends this process's group leaves it.
    this.#shell = spawn('sh', ['-c', script, 'plimsoll-up', seconds], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    })
    // Without a shell, or where it was killed, what is left behind keeps its share of the ledger all the same.
    this.#shell.on('error', () => {})
    this.#shell.stdin?.on('error', () => {})
    this.#shell.unref()
  }

  /** A process group that ends with this process. */
  add(groupId: number): void {
    this.#tell(`+${groupId}`)
  }

  /** One that has ended: its id may be another's from now on. */
  remove(groupId: number): void {
    this.#tell(`-${groupId}`)
  }

  [Symbol.dispose](): void {
    this.#shell.stdin?.end()
  }

  #tell(word: string): void {
    this.#shell.stdin?.write(`${word}\n`)
  }
}
