// Boots an emulator and keeps what the guest's console says.

import { spawn } from 'node:child_process'
import { createWriteStream, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'

/** Emulation on a busy machine is slow; where nothing was said for so long, something hangs. */
const PATIENCE_MS = 10 * 60_000

/** Each line on the console costs a guest time, and it is where the report is written. */
export const quietly = (console) => `console=${console} quiet loglevel=1 panic=-1`

/**
 * How a guest is ended in the middle, as by a power cut: so many milliseconds after its console has said something.
 *
 * @typedef {{ after: RegExp, delayMs: number }} Cut
 */

/**
 * Runs an emulator to its end and returns what is on its console, which is kept in the file `log` too. `onText` gets it as
 * it comes. Throws unless the guest's last word is that its program exited with 0, or it was `cut`.
 */
export function boot(emulator, args, log, onText, cut) {
  mkdirSync(dirname(log), { recursive: true })
  const kept = createWriteStream(log)
  const child = spawn(emulator, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const kill = () => setTimeout(() => child.kill(), PATIENCE_MS)
  let killing = kill()
  let text = ''
  let cutting
  for (const output of [child.stdout, child.stderr]) {
    output.setEncoding('utf8').on('data', (part) => {
      // A serial line ends its lines as teleprinters do.
      const plain = part.replaceAll('\r', '')
      text += plain
      clearTimeout(killing)
      killing = kill()
      kept.write(plain)
      onText?.(plain)
      if (cut && cutting === undefined && cut.after.test(text)) {
        cutting = setTimeout(() => child.kill('SIGKILL'), cut.delayMs)
      }
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
      if (cutting !== undefined ? signal === 'SIGKILL' : /^GUEST-EXIT=0$/m.test(text)) return resolve(text)
      const said = onText ? '' : ` says:\n${text.slice(-2000)}\nThe whole of it`
      const where = `is in ${log}; ${emulator} ended with ${code ?? signal}`
      reject(new Error(`expected the guest's program to succeed; its console${said} ${where}`))
    })
  })
}
