import { setTimeout as sleep } from 'node:timers/promises'
import { type AcquireOptions, Admission, MemoryBudget } from 'plimsoll'

/** A queue for so many bytes of nobody else's. */
export const queue = (bytes = 100): Admission => new Admission(new MemoryBudget({ totalBytes: bytes }))

export const part = (bytes: number, label = `${bytes} bytes`) => ({ bytes, label })

/** Lets nobody pass. */
export const strict: AcquireOptions = { ageMs: 0 }

/** For as long as a test takes others may pass, nobody is idle, and there is time to make room. */
export const patient: AcquireOptions = { ageMs: 3_600_000, idleMs: 3_600_000, evictMs: 3_600_000 }

export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await sleep(1)
}

/** Waits until so many wait. */
export const untilWaiting = (admission: Admission, count: number): Promise<void> =>
  until(() => admission.waiting().length === count)
