import type { Grant } from '../index.js'
import { released } from '../support/errors.js'

interface Made {
  readonly disposed?: boolean
  dispose(): Promise<void>
}

/**
 * Makes what a grant is for, and has the grant stay as long as that: node-llama-cpp keeps it. Where it cannot be made, or it or the grant
 * went meanwhile, neither is left.
 */
export async function held<T extends Made>(grant: Grant, make: () => Promise<T>): Promise<T> {
  let made: T | undefined
  try {
    made = await make()
    if (made.disposed) throw released('what was granted memory')
    grant.commit()
    grant.ready()
    grant.hold()
    return made
  } catch (error) {
    await made?.dispose()
    grant.release()
    throw error
  }
}
