import { execFileSync, type SpawnSyncReturns, spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { root } from './child'

/** Nobody's, so that commits work wherever the tests run. */
const author = {
  GIT_AUTHOR_NAME: 'test',
  GIT_AUTHOR_EMAIL: 'test',
  GIT_COMMITTER_NAME: 'test',
  GIT_COMMITTER_EMAIL: 'test',
}

/** The paths of this checkout's files: of those that git has, and of new ones that it does not ignore. */
export const checkedOut = (): string[] =>
  execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: root, encoding: 'utf8' })
    .split('\0')
    .filter((name) => name && existsSync(join(root, name)))

/** A checkout in a temporary folder: the files of this one, as they are now, in one commit of their own. */
export class Checkout {
  readonly folder = mkdtempSync(join(tmpdir(), 'plimsoll-'))

  constructor() {
    for (const name of checkedOut()) cpSync(join(root, name), join(this.folder, name))
    symlinkSync(join(root, 'node_modules'), join(this.folder, 'node_modules'))
    this.#succeed('git', ['init', '--quiet'])
    this.#succeed('git', ['add', '--all'])
    this.#succeed('git', ['commit', '--quiet', '--message', 'Start'])
  }

  read(name: string): string {
    return readFileSync(join(this.folder, name), 'utf8')
  }

  /** Replaces the first occurrence of a text in a file. */
  edit(name: string, from: string, to: string): void {
    writeFileSync(join(this.folder, name), this.read(name).replace(from, to))
  }

  run(command: string, args: string[]): SpawnSyncReturns<string> {
    return spawnSync(command, args, { cwd: this.folder, encoding: 'utf8', env: { ...process.env, ...author } })
  }

  /** What differs from the last commit, as `git status` lists it. */
  changes(): string {
    return this.#succeed('git', ['status', '--porcelain', '--untracked-files=no'])
  }

  remove(): void {
    rmSync(this.folder, { recursive: true })
  }

  #succeed(command: string, args: string[]): string {
    const { status, stdout, stderr } = this.run(command, args)
    if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}: ${stderr}`)
    return stdout
  }
}
