import type { ProcessInfo } from '../../binding.js'
import * as native from '../addon/native.js'
import * as check from '../support/check.js'
import { fromNative } from '../support/errors.js'

export type { ProcessInfo } from '../../binding.js'

/** Which processes are meant. */
export interface ProcessesOptions {
  /**
   * Those alone that have this package loaded. One that has just loaded it may be found 5 seconds late. False by
   * default.
   */
  loaded?: boolean
}

/**
 * The processes of this machine, the largest first, as far as this user may look: names, parents, start times, command
 * lines and memory. There are none of a copy of a board's files.
 *
 * A buffer of a dma-heap, of CUDA or of an NPU is in no process's memory.
 *
 * @throws {@link IoError} where `/proc` is not mounted.
 * @throws {@link InvalidArgumentError} for an unknown option.
 *
 * @example
 * const [largest] = await processes()
 * console.log(largest?.command, largest?.rssBytes)
 */
export async function processes(options?: ProcessesOptions): Promise<ProcessInfo[]> {
  const { loaded = false } = check.options<ProcessesOptions>(options, { loaded: check.boolean })
  try {
    return await native.processes(loaded)
  } catch (error) {
    throw fromNative(error)
  }
}
