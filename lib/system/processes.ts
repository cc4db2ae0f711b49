import type { ProcessInfo } from '../../binding.js'
import * as native from '../addon/native.js'
import * as check from '../support/check.js'
import { callAsync } from '../support/errors.js'

export type { ProcessInfo } from '../../binding.js'

/** Which processes are meant. */
export interface ProcessesOptions {
  /**
   * Those alone that have this package loaded. One that has just loaded it may be found 5 seconds late. False by
   * default.
   */
  loaded?: boolean
  /**
   * Those alone that have this file mapped, by its path or a `file:` URL: its {@link pageCache | cached pages} stay as long.
   * The map has to have the path that the file has here, links followed. Only processes that this user may look into are found.
   * None by default: all processes.
   */
  mapping?: string | URL
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
  const { loaded = false, mapping } = check.options<ProcessesOptions>(options, {
    loaded: check.boolean,
    mapping: check.filePath,
  })
  return callAsync(() => native.processes(loaded, mapping as string | undefined))
}
