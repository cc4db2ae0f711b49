import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type * as Binding from '../../binding.js'
import { environment } from '../support/environment.js'
import { packageFolder, version } from '../support/package.js'
import { type AddonFile, checkAddonFile, sha256Asked } from './file.js'
import { foundPlatform, glibcVersion, isSupportedSystem, resolveAddon, supportedPlatforms } from './platform.js'
import { addonUnavailable, platformUnsupported } from './unavailable.js'

/** The native addon that this process has loaded. */
export interface LoadedAddon {
  /** The file. */
  path: string
  /** The platform it was loaded for, such as `"linux-arm64-gnu"`. */
  platform: string
  /** Its version, which is that of the package. */
  version: string
  /** Its size, in bytes. */
  sizeBytes: number
  /** Whether its SHA-256 was compared with the one its package states, as `PLIMSOLL_VERIFY_ADDON=sha256` asks. */
  sha256Verified: boolean
}

/** Finds the addon, checks it, and only then loads it. */
export function loadAddon(): { binding: typeof Binding; loaded: LoadedAddon } {
  if (!isSupportedSystem) throw platformUnsupported()
  const platform = foundPlatform()
  const sha256Verified = sha256Asked()
  const file = locate(platform)
  const sizeBytes = checkAddonFile(file, sha256Verified)
  const binding = load(file)
  return { binding, loaded: { path: file.path, platform, version, sizeBytes, sha256Verified } }
}

function locate(platform: string): AddonFile {
  const chosen = environment('PLIMSOLL_ADDON_PATH')
  if (chosen) return chosenFile(chosen)
  if (!supportedPlatforms.includes(platform)) throw platformUnsupported()
  const built = join(packageFolder, `plimsoll.${platform}.node`)
  return existsSync(built) ? { path: built, remedy: 'build it again with `npm run build`' } : packagedFile(platform)
}

function chosenFile(chosen: string): AddonFile {
  const remedy = 'build it again, or unset PLIMSOLL_ADDON_PATH'
  const path = realPath(chosen, remedy)
  if (path.endsWith('.node')) return { path, remedy }
  // Node.js would read it as JavaScript.
  const message = `expected PLIMSOLL_ADDON_PATH to name a file that ends in .node, got ${path}`
  throw addonUnavailable('invalid-setting', message, { path })
}

function realPath(path: string, remedy: string): string {
  try {
    return realpathSync(path)
  } catch (cause) {
    const message = `expected PLIMSOLL_ADDON_PATH to name a file, but ${(cause as Error).message}; ${remedy}`
    throw addonUnavailable('unreadable', message, { path, cause })
  }
}

/** What a platform package states in its `package.json`. */
interface Description {
  version: string
  addon?: { sizeBytes: number; sha256: string }
}

function packagedFile(platform: string): AddonFile {
  const { path, description } = describedAddon(platform)
  const remedy = 'delete node_modules and install again'
  if (description.version === version) return { path, stated: description.addon ?? {}, remedy }
  const message =
    `expected version ${version} of the package plimsoll-${platform}, as of plimsoll itself, found ${description.version} in ` +
    `${dirname(path)}; ${remedy}`
  throw addonUnavailable('version-mismatch', message, { path })
}

function describedAddon(platform: string): { path: string; description: Description } {
  try {
    const path = resolveAddon(platform)
    return { path, description: JSON.parse(readFileSync(join(dirname(path), 'package.json'), 'utf8')) }
  } catch (cause) {
    throw packageMissing(platform, cause as NodeJS.ErrnoException)
  }
}

function packageMissing(platform: string, cause: NodeJS.ErrnoException): Error {
  // What else went wrong with a package that is there has to be told.
  const why = cause.code === 'MODULE_NOT_FOUND' ? '' : ` (${cause.message.split('\n')[0]})`
  const message = existsSync(join(packageFolder, 'Cargo.toml'))
    ? `expected plimsoll.${platform}.node in this checkout, found none; build it with \`npm run build\`, in a Node.js of this kind`
    : `expected the package plimsoll-${platform} ${version} beside plimsoll, found none that is whole${why}; reinstall with ` +
      '`npm install --include=optional`, without a node_modules or lockfile from another platform (npm/cli#4828), and ' +
      `when installing from another machine add \`--os=linux --cpu=${process.arch} --libc=${libcOf(platform)}\``
  return addonUnavailable('package-missing', message, { cause })
}

/** The C library of a platform, as npm calls it. */
const libcOf = (platform: string): string => (platform.endsWith('-musl') ? 'musl' : 'glibc')

function load({ path, remedy }: AddonFile): typeof Binding {
  const binding = required(path, remedy)
  const found = binding.version?.()
  if (found === version) return binding as typeof Binding
  const message = `expected the addon ${path} to be of version ${version}, as its JavaScript is, found ${found ?? 'none'}; ${remedy}`
  throw addonUnavailable('version-mismatch', message, { path })
}

/** What the file exports: all of the binding only if it is of our version. */
function required(path: string, remedy: string): Partial<typeof Binding> {
  try {
    return require(path)
  } catch (cause) {
    throw refusedByLinker(path, remedy, cause as Error)
  }
}

function refusedByLinker(path: string, remedy: string, cause: Error): Error {
  const [, needed] = /GLIBC_([\d.]+)' not found/.exec(cause.message) ?? []
  if (needed === undefined) {
    const message = `expected the addon to load, but ${cause.message}; ${remedy}`
    return addonUnavailable('load-failed', message, { path, cause })
  }
  const message =
    `expected glibc ${needed} or newer, which ${path} needs, found ${glibcVersion()}; use a newer system, or build the ` +
    'addon on this one'
  return addonUnavailable('unsupported-platform', message, { path, cause })
}
