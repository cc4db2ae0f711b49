import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'

/** What a user has to mend; everything else is a mistake in these scripts. */
export class Failure extends Error {}

export function ensure(condition, message) {
  if (!condition) throw new Failure(message)
}

/** Those that run now, so that none outlives this process. */
const children = new Set()
process.once('exit', () => {
  for (const child of children) child.kill()
})

/** Runs a command to its end and returns what it prints. The registry answers meanwhile. */
export async function run(command, args, options = {}) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options })
  children.add(child)
  child.once('close', () => children.delete(child))
  const ended = new Promise((resolve, reject) => child.once('error', reject).once('close', resolve))
  const [status, stdout, stderr] = await Promise.all([ended, text(child.stdout), text(child.stderr)])
  ensure(status === 0, `${[command, ...args].join(' ')} ended with ${status}\n${stdout}${stderr}`.trimEnd())
  return stdout
}
