import { type MachineMemory, machineMemory } from '../index.js'
import { SystemError } from './failure.js'

/** The memory of this machine, or the end of the command: without it there is no line. */
export function measuredMachine(): MachineMemory {
  const machine = machineMemory()
  if (machine.totalBytes > 0) return machine
  throw new SystemError('expected the system to say how much memory it has, got nothing; is /proc mounted?')
}
