/**
 * Has V8 collect its garbage, as far as it lets itself be told: the function is only there behind a flag, which V8 does
 * not promise to honour after the start.
 */
export function collectGarbage(): void {
  const collect = globalThis.gc ?? exposed()
  collect?.()
}

function exposed(): (() => void) | undefined {
  // Asked for when they are needed: a program that never is critical does not wait for them at its start.
  const { setFlagsFromString } = require('node:v8') as typeof import('node:v8')
  const { runInNewContext } = require('node:vm') as typeof import('node:vm')
  setFlagsFromString('--expose-gc')
  return runInNewContext('globalThis.gc') as (() => void) | undefined
}
