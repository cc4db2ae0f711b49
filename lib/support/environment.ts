/** A variable of the environment. `process.env` inherits from `Object.prototype`, which anybody may write to. */
export const environment = (name: string): string | undefined =>
  Object.hasOwn(process.env, name) ? process.env[name] : undefined
