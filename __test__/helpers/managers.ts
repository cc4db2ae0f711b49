import { MemoryManager, type MemoryManagerOptions, MiB } from 'plimsoll'

/** A manager of 100 MiB of RAM on an account of its own, unless the options say otherwise. */
export const managerOfRam = (options: MemoryManagerOptions = {}): MemoryManager =>
  new MemoryManager({ maxBytes: 100 * MiB, isolated: true, device: 'host', ...options })

/** Waits until the budget has that much in use: the memory of a buffer goes back without anybody waiting for the device. */
export async function allocated(manager: MemoryManager, bytes: number): Promise<void> {
  for (let round = 0; round < 2000 && manager.budget.allocatedBytes !== bytes; round++) {
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  expect(manager.budget.allocatedBytes).toBe(bytes)
}
