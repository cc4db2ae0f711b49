import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/**
 * Has V8 collect its garbage, as far as it lets itself be told: the function is only there behind a flag, which V8 does
 * not promise to honour after the start.
 */
export function collectGarbage(): void {
  const collect = globalThis.gc ?? exposed()
  collect?.()
}

function exposed(): (() => void) | undefined {
  setFlagsFromString('--expose-gc')
  return runInNewContext('globalThis.gc') as (() => void) | undefined
}
