/** Calls with what is asked for and refused, for certain. */
export const misuse = <T>(call: (value: never) => unknown, value: unknown): T => call(value as never) as T
