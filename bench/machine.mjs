import { readFileSync } from 'node:fs'
import { cpus, release, totalmem } from 'node:os'

/**
 * Where the figures were taken.
 *
 * @returns {{ processor: string, cores: number, memoryBytes: number, kernel: string, node: string, arch: string }}
 */
export function describeMachine() {
  const cores = cpus()
  return {
    // Arm kernels give no model name.
    processor: cores[0]?.model.trim() || 'unknown processor',
    cores: cores.length,
    memoryBytes: totalmem(),
    kernel: release(),
    node: process.versions.node,
    arch: process.arch,
  }
}

/** Which processor it is, where its name does not tell; of x86 alone. */
export function processorNumbers() {
  const text = readFileSync('/proc/cpuinfo', 'latin1')
  const number = (name) => Number(text.match(new RegExp(`^${name}\\s*: (\\d+)$`, 'm'))?.[1])
  const [family, model] = [number('cpu family'), number('model')]
  return Number.isNaN(family) ? {} : { family, model }
}
