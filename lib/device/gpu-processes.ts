import type { GpuProcess } from '../../binding.js'
import * as native from '../addon/native.js'
import * as check from '../support/check.js'
import { fromNative } from '../support/errors.js'
import type { SystemOptions } from '../system/system.js'

export type { GpuProcess } from '../../binding.js'

/**
 * What each process holds on NVIDIA's GPUs: as nvmap tells it where it does (root, on a Jetson but for Thor), else as the
 * management library NVML does, which is opened for it when it is there. What a driver does not tell is absent, not 0.
 *
 * @throws {@link DeviceUnavailableError} where neither tells, with what is the matter with each.
 * @throws {@link InvalidArgumentError} for an unknown option.
 *
 * @example
 * for (const { pid, bytes } of await gpuProcesses()) console.log(pid, bytes ?? 'not told')
 */
export async function gpuProcesses(options?: SystemOptions): Promise<GpuProcess[]> {
  const { root } = check.options<SystemOptions>(options, { root: check.string })
  try {
    return await native.gpuProcesses(root)
  } catch (error) {
    throw fromNative(error)
  }
}
