import { type MachineMemory, machineMemory, processMemory, type SystemOptions } from '../../index.js'
import { measured } from '../../support/measured.js'
import type { Arguments } from '../arguments.js'
import { SystemError, UsageError } from '../failure.js'

/** The memory of this machine, or the end of the command: without it there is no line. */
export function measuredMachine(): MachineMemory {
  const machine = machineIfMeasured()
  if (machine) return machine
  throw new SystemError('expected the system to say how much memory it has, got nothing; is /proc mounted?')
}

/** The memory of a machine, if it can be read. */
export const machineIfMeasured = (options?: SystemOptions): MachineMemory | undefined =>
  measured(() => machineMemory(options))

/** The running process that an option names, if it names one. */
export function processFrom(args: Arguments, name: string): number | undefined {
  const pid = args.count(name)
  if (pid === undefined || measured(() => processMemory({ pid }))) return pid
  throw new UsageError(`expected --${name} to be the id of a running process, got "${pid}"`)
}
