import type { PlimsollError } from 'plimsoll'

/** The error that a promise rejects with, of the class it has to be; fails the test when it settles otherwise. */
export async function rejectedBy<T extends PlimsollError>(
  type: abstract new (...args: never[]) => T,
  promise: Promise<unknown>,
): Promise<T> {
  const error = await promise.then(
    () => new Error(`expected a rejection with ${type.name}, but the promise was fulfilled`),
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(type)
  return error as T
}
