import { spawn } from 'node:child_process'

/** What opens an address in the user's browser. */
const opener = process.platform === 'darwin' ? 'open' : 'xdg-open'

/** What an exit code of `xdg-open` means. */
const meanings: Readonly<Record<number, string>> = {
  2: 'a file is missing that it needs',
  3: 'it found no browser: where there is no display, open the link on a machine that has one',
  4: 'the browser could not be started',
}

/** Opens an address in a browser, which goes on when this process ends. Where that fails, `failed` is told why. */
export function openInBrowser(address: string, failed: (why: string) => void): void {
  const child = spawn(opener, [address], { stdio: 'ignore', detached: true })
  child.once('error', ({ message, code }: NodeJS.ErrnoException) =>
    failed(code === 'ENOENT' ? `there is no ${opener}: install the package xdg-utils` : message),
  )
  child.once('exit', (code) => {
    if (code) failed(`${opener} ended with ${code}: ${meanings[code] ?? 'it does not say why'}`)
  })
  child.unref()
}
