import { execFileSync, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { GgufFile } from 'plimsoll'

const MANIFEST = fileURLToPath(new URL('kernels/Cargo.toml', import.meta.url))
const PROGRAM = fileURLToPath(new URL('kernels/target/release/load-limits', import.meta.url))

/**
 * The program in `kernels/` over a model: it holds the model in memory and answers each question by a run.
 *
 * @template T
 * @param {string} path
 * @param {(ask: (what: string) => Promise<import('./rounds.mjs').Run>) => Promise<T>} use
 * @returns {Promise<T>}
 */
export async function withKernels(path, use) {
  execFileSync('cargo', ['build', '--release', '--quiet', '--manifest-path', MANIFEST], { stdio: 'inherit' })
  const child = spawn(PROGRAM, [path, ...tensors(path)], { stdio: ['pipe', 'pipe', 'inherit'] })
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const ask = async (what) => {
    child.stdin.write(`${what}\n`)
    const { done, value } = await answers.next()
    if (done) throw new Error(`the program of the kernels ended without an answer to "${what}"`)
    const [bytes, seconds, processorSeconds] = value.split(' ').map(Number)
    return { bytes, seconds, processorSeconds, isElsewhere: true }
  }
  try {
    return await use(ask)
  } finally {
    child.stdin.end()
  }
}

function tensors(path) {
  const model = GgufFile.open(path)
  const list = model.tensors.map(({ type, offsetBytes, sizeBytes }) => `${type}:${offsetBytes}:${sizeBytes}`)
  model.close()
  return list
}
