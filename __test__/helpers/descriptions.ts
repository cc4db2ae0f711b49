import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { root } from './child'

/** What a `package.json` says, as far as tests ask. */
export interface Description {
  name: string
  version: string
  private?: boolean
  license: string
  type: string
  main: string
  files: string[]
  engines: { node: string }
  scripts?: Record<string, string>
  dependencies?: Record<string, string>
  napi?: { binaryName: string; targets: string[] }
  os?: string[]
  cpu?: string[]
  libc?: string[]
}

export const readDescription = (folder: string): Description =>
  JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))

/** The platforms that have a package, by the names of their folders, such as `linux-arm64-gnu`. */
export const platforms = (): string[] => readdirSync(join(root, 'npm')).sort()
