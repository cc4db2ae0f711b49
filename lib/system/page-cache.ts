import type { DroppedPages, PageCache } from '../../binding.js'
import * as native from '../addon/native.js'
import * as check from '../support/check.js'
import { callAsync } from '../support/errors.js'

export type { DroppedPages, PageCache } from '../../binding.js'

/**
 * How much of a file lies in the page cache. Nothing of the file is read.
 *
 * The kernel tells only who owns the file or may write to it; for others `cachedBytes` is absent, and `reason` says so.
 *
 * @throws {@link IoError} when the file cannot be opened or is no regular file.
 * @throws {@link InvalidArgumentError} for a path that is none.
 *
 * @example
 * const { sizeBytes, cachedBytes, reason } = await pageCache('model.gguf')
 * console.log(cachedBytes === undefined ? reason : `${cachedBytes} of ${sizeBytes} bytes are cached`)
 */
export async function pageCache(path: string | URL): Promise<PageCache> {
  const checked = check.filePath('path', path)
  return callAsync(() => native.pageCache(checked))
}

/**
 * Drops what of a file lies in the page cache and no process has mapped, after writing what of it is dirty to the disk. Nothing
 * of the file is changed: who reads it next reads it from the disk.
 *
 * No permission is needed but to read the file. How much came back is told as by {@link pageCache}.
 *
 * @throws {@link IoError} when the file cannot be opened or is no regular file, and when what is dirty cannot be written.
 * @throws {@link InvalidArgumentError} for a path that is none.
 *
 * @example
 * const { droppedBytes, cachedBytes } = await dropPageCache('model.gguf')
 * console.log(`${droppedBytes} bytes came back; ${cachedBytes} stay, which a process has mapped`)
 */
export async function dropPageCache(path: string | URL): Promise<DroppedPages> {
  const checked = check.filePath('path', path)
  return callAsync(() => native.dropPageCache(checked))
}
