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
