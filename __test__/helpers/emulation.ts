import { availableParallelism, loadavg } from 'node:os'

/** This machine's own Node.js, where the tests run as programs of another architecture: set by `npm run test:arm64`. */
const hostNode = process.env.PLIMSOLL_HOST_NODE

/** Whether they are emulated. */
export const emulated = hostNode !== undefined

/** Runs what is a tool of a test, not its object, such as a compiler: never emulated, which makes it ten times slower. */
export const toolNode: string = hostNode ?? process.execPath

/** How many programs want each processor. */
const crowd = (): number => Math.max(1, (loadavg()[0] ?? 0) / availableParallelism())

/** A time-out that serves under emulation too, and on a machine that is busy: its only work is to end what hangs. */
export const patientMs = (ms: number): number => Math.ceil((emulated ? 4 : 1) * 2 * crowd() * ms)

/**
 * Whether a program reached its time-out because the emulator had stopped getting on: qemu 7.2 has been seen to do so once in
 * some thousand starts of Node.js, at full load. Such a program is given one more try; natively a time-out is a failure.
 */
export const hasHungInEmulator = ({ error }: { error?: Error }): boolean =>
  emulated && (error as NodeJS.ErrnoException | undefined)?.code === 'ETIMEDOUT'

/**
 * What emulation may add to a process's resident memory while it runs: qemu keeps code that it translated, and more of it for
 * as long as the garbage collector runs. Beside 700,000 calls that throw, its cache grew by 12 MiB and everything else by 2.
 */
export const emulatorBytes = emulated ? 32 * 2 ** 20 : 0

/**
 * `test` or `describe` for what emulation cannot serve: skipped there, under a name that gives the reason. From that name
 * `npm run test:arm64` knows its exceptions.
 */
export function unlessEmulated(declare: jest.It | jest.Describe, reason: string) {
  return (name: string, body: () => void, timeoutMs?: number): void =>
    emulated ? declare.skip(`${name} [not under emulation: ${reason}]`, body) : declare(name, body, timeoutMs)
}
