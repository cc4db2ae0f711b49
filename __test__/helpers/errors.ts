import type { PlimsollError } from 'plimsoll'

/** The error that a call throws, of the class it has to be; fails the test when it throws none or another. */
export function thrownBy<T extends PlimsollError>(type: abstract new (...args: never[]) => T, call: () => unknown): T {
  try {
    call()
  } catch (error) {
    expect(error).toBeInstanceOf(type)
    return error as T
  }
  throw new Error(`expected a ${type.name} to be thrown, but the call returned`)
}
