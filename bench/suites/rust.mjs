import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export const title = 'the counter and the guard in Rust (cargo bench)'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** Nanoseconds that taking and giving together may cost. */
const TARGETS_NS = { counter: 15, guard: 120, 'guard of this machine': 150 }

/** @returns {Promise<import('../result.mjs').Result[]>} */
export async function measure(note) {
  note('one thread, nobody else at the counter; take and give together')
  const stdout = execFileSync('cargo', ['bench', '--quiet', '-p', 'plimsoll', '--bench', 'budget'], {
    cwd: ROOT,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  return stdout.trim().split('\n').map(parseLine)
}

/** A line of crates/plimsoll/benches/budget.rs: name, its nanoseconds, the peer's name, the peer's nanoseconds. */
function parseLine(line) {
  const [name, value, peerName, peerValue] = line.split('\t')
  const bound = TARGETS_NS[name]
  const target = bound === undefined ? {} : { target: { of: 'value', is: 'atMost', bound } }
  const peer = { name: peerName, value: Number(peerValue) }
  return { name, unit: 'ns', value: Number(value), peer, ratio: peer.value / Number(value), ...target }
}
