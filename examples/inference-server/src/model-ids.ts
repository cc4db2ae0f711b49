import { basename, dirname, join, resolve } from 'node:path'

/**
 * A name for each model file: that of the file, and where several have the same, with as many of its folders as tell them apart.
 *
 * @returns the paths by their names, in the order given
 * @throws Error for a file that is given twice
 */
export function modelIds(paths: readonly string[]): Map<string, string> {
  const files = paths.map((path) => resolve(path))
  const twice = files.find((path, at) => files.indexOf(path) !== at)
  if (twice !== undefined) throw new Error(`expected each model once, got ${twice} twice`)
  const ids = new Map<string, string>()
  for (const path of files) {
    let folder = dirname(path)
    let id = basename(path, '.gguf')
    while (files.some((other) => other !== path && endsWith(other, id))) {
      id = join(basename(folder), id)
      folder = dirname(folder)
    }
    ids.set(id, path)
  }
  return ids
}

const endsWith = (path: string, id: string): boolean => `/${path.replace(/\.gguf$/, '')}`.endsWith(`/${id}`)
