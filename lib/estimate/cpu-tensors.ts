import { runInNewContext } from 'node:vm'
import type { GgufFile } from '../loader/gguf-file.js'
import { invalidArgument } from '../support/errors.js'

/** A search may take time beyond all bounds; those of names take less than one. */
const LONGEST_MS = 1000

const SEARCH =
  'names.filter(((expressions) => (name) => expressions.some((it) => it.test(name)))(patterns.map((it) => new RegExp(it))))'

/**
 * The names of a model's tensors in which one of these regular expressions is found. They are JavaScript's, as those of llama.cpp's
 * `--override-tensor` are (`std::regex`), and searched for elsewhere so that they can be stopped.
 */
export function tensorsMatching(patterns: readonly string[], model: GgufFile): string[] {
  if (patterns.length === 0) return []
  const names = model.tensors.map(({ name }) => name)
  try {
    return Array.from(runInNewContext(SEARCH, { names, patterns }, { timeout: LONGEST_MS }) as string[])
  } catch (error) {
    // An error of that context is none of this one's classes.
    const { message } = error as { message: string }
    throw invalidArgument(
      'cpuTensors',
      `regular expressions that are found within ${LONGEST_MS} ms`,
      `one with: ${message}`,
    )
  }
}
