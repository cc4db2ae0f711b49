// Boots an emulator and keeps what the guest's console says.

import { spawn } from 'node:child_process'
import { createWriteStream, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'

/** Emulation on a busy machine is slow; where nothing was said for so long, something hangs. */
const PATIENCE_MS = 10 * 60_000

/** Each line on the console costs a guest time, and it is where the report is written. */
export const quietly = (console) => `console=${console} quiet loglevel=1 panic=-1`

/**
 * Runs an emulator to its end and returns what is on its console, which is kept in the file `log` too. `onText` gets it as
 * it comes. Throws unless the guest's last word is that its program exited with 0.
 */
export function boot(emulator, args, log, onText) {
  mkdirSync(dirname(log), { recursive: true })
  const kept = createWriteStream(log)
  const child = spawn(emulator, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const kill = () => setTimeout(() => child.kill(), PATIENCE_MS)
  let killing = kill()
  let text = ''
  for (const output of [child.stdout, child.stderr]) {
    output.setEncoding('utf8').on('data', (part) => {
      // A serial line ends its lines as teleprinters do.
      const plain = part.replaceAll('\r', '')
      text += plain
      clearTimeout(killing)
      killing = kill()
      kept.write(plain)
      onText?.(plain)
    })
  }
  return new Promise((resolve, reject) => {
    child.on('error', (error) => {
      clearTimeout(killing)
      reject(error)
    })
    child.on('close', (code, signal) => {
      clearTimeout(killing)
      kept.end()
      if (/^GUEST-EXIT=0$/m.test(text)) return resolve(text)
      const said = onText ? '' : ` says:\n${text.slice(-2000)}\nThe whole of it`
      const where = `is in ${log}; ${emulator} ended with ${code ?? signal}`
      reject(new Error(`expected the guest's program to succeed; its console${said} ${where}`))
    })
  })
}
