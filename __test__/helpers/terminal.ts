import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { root } from './child'

/** Whether there is script(1) of util-linux, whose arguments other systems do not take. */
export const hasTerminal = spawnSync('script', ['-qec', 'true', '/dev/null']).status === 0

const ANSI = '\x1b['

/** The upper left corner: each frame begins there. */
export const HOME = `${ANSI}H`
export const HIDE_CURSOR = `${ANSI}?25l`
/** What leaves the screen as it was. */
export const LEFT = `${ANSI}?7h${ANSI}?25h${ANSI}?1049l`

/** A view on a terminal of 100 columns and 30 rows, made by script(1). */
export class Terminal {
  output = ''
  readonly #script: ChildProcess
  readonly #folder = mkdtempSync(join(tmpdir(), 'plimsoll-terminal-'))
  readonly ended: Promise<unknown>

  /**
   * @param command - a line for the shell, which becomes the view
   * @param beside - a command that runs beside the view, on the same terminal
   */
  constructor(command: string, beside = ':') {
    const { NO_COLOR: _, FORCE_COLOR: __, CI: ___, ...env } = process.env
    const line = `stty cols 100 rows 30; (${beside}) & echo $$ > "${this.#pidFile}"; exec ${command}`
    this.#script = spawn('script', ['-qec', line, '/dev/null'], {
      cwd: root,
      env: { ...env, TERM: 'xterm-256color', SHELL: '/bin/sh' },
    })
    this.#script.stdout?.on('data', (data) => {
      this.output += data
    })
    this.ended = once(this.#script, 'close')
  }

  async until(holds: (output: string) => boolean): Promise<void> {
    while (!holds(this.output)) await once(this.#script.stdout as NodeJS.ReadableStream, 'data')
  }

  type(keys: string): void {
    this.#script.stdin?.write(keys)
  }

  kill(): void {
    this.#script.kill('SIGKILL')
    rmSync(this.#folder, { recursive: true, force: true })
  }

  get pid(): number {
    return Number(readFileSync(this.#pidFile, 'utf8'))
  }

  /** What was drawn last, without what paints it. */
  get lastFrame(): string[] {
    const frame = this.output.slice(this.output.lastIndexOf(HOME) + HOME.length).split(LEFT)[0] as string
    return frame.split(/\r+\n/).map(stripVTControlCharacters)
  }

  get #pidFile(): string {
    return join(this.#folder, 'pid')
  }
}
