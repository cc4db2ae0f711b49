import { IoError, type MachineMemory, machineMemory, type SystemOptions } from '../../index.js'
import { SystemError } from '../failure.js'

/** The memory of this machine, or the end of the command: without it there is no line. */
export function measuredMachine(): MachineMemory {
  const machine = machineIfMeasured()
  if (machine) return machine
  throw new SystemError('expected the system to say how much memory it has, got nothing; is /proc mounted?')
}

/** The memory of a machine, if it can be read. */
export const machineIfMeasured = (options?: SystemOptions): MachineMemory | undefined =>
  measured(() => machineMemory(options))

/** What a call measures; `undefined` where the system does not give it. */
export function measured<T>(measure: () => T): T | undefined {
  try {
    return measure()
  } catch (error) {
    if (error instanceof IoError) return undefined
    throw error
  }
}
