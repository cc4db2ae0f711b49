/** An instance is not there for a connection, or cannot be run. */
export class InstanceError extends Error {
  readonly code = 'ERR_INSTANCE'
  readonly instance: string
  /** What is wrong with it: the message without its name. */
  readonly what: string
  readonly retryAfterSeconds: number

  constructor(instance: string, what: string, retryAfterMs = 10_000) {
    super(`${instance} ${what}`)
    this.instance = instance
    this.what = what
    this.retryAfterSeconds = Math.max(Math.ceil(retryAfterMs / 1000), 1)
  }
}
