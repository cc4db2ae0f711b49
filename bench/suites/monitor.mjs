import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { runChild } from '../child.mjs'

export const title = 'the monitor: a sample, its share of a core, and what many samples leave behind'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** Long enough for a share of a thousandth; `BENCH_SAMPLES=1000000` takes ten minutes. */
const SECONDS = 20
const SAMPLES = Number(process.env.BENCH_SAMPLES ?? 60_000)

const atMost = (bound) => ({ target: { of: 'value', is: 'atMost', bound } })

/** @returns {Promise<import('../result.mjs').Result[]>} */
export async function measure(note) {
  note(
    `shares over ${SECONDS} s at 10 samples a second; growth between an eighth of ${SAMPLES} samples and all of them`,
  )
  const { thread, rest, grownBytes } = runChild('monitor.cjs', [String(SECONDS), String(SAMPLES)], ['--expose-gc'])
  return [
    ...signals(),
    { name: 'the thread, of a core', unit: '%', value: thread, ...atMost(0.1) },
    { name: 'JavaScript for it, of a core', unit: '%', value: rest },
    { name: 'resident memory grown', unit: 'MiB', value: grownBytes / 2 ** 20, ...atMost(4) },
  ]
}

function signals() {
  const command = ['bench', '--quiet', '-p', 'plimsoll', '--bench', 'signals']
  const stdout = execFileSync('cargo', command, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
  return stdout
    .trim()
    .split('\n')
    .map((line) => {
      const [name, us] = line.split('\t')
      return { name, unit: 'us', value: Number(us), ...(name.startsWith('every signal, files kept') && atMost(150)) }
    })
}
