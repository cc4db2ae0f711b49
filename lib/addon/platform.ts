import { readFileSync } from 'node:fs'

/** A platform that an addon is made for. */
export interface Platform {
  /** Its name in those of files and packages, as napi-rs forms it. */
  readonly name: string
  /** Finds the addon in its package. The names are literal, so that programs which trace or bundle follow them. */
  readonly resolveAddon: () => string
}

const platforms: Readonly<Record<string, Platform>> = {
  'linux-x64': { name: 'linux-x64-gnu', resolveAddon: () => require.resolve('plimsoll-linux-x64-gnu') },
  'linux-arm64': { name: 'linux-arm64-gnu', resolveAddon: () => require.resolve('plimsoll-linux-arm64-gnu') },
}

/** The names of the platforms that addons are made for. */
export const supportedPlatforms: readonly string[] = Object.values(platforms).map(({ name }) => name)

const system = `${process.platform}-${process.arch}`

/** The platform of this process, if its system and processor are those of one. Its C library is not looked at yet. */
export const platform: Platform | undefined = platforms[system]

/** What this process runs on, such as `linux-x64-musl`. It asks for a report, which takes a while: for failures only. */
export function foundPlatform(): string {
  if (!platform) return system
  if (glibcVersion() !== undefined) return `${system}-gnu`
  return report().sharedObjects.some((path) => path.includes('musl')) ? `${system}-musl` : system
}

/** The version of the GNU C library that this process runs on; `undefined` on another one. */
export const glibcVersion = (): string | undefined => report().header.glibcVersionRuntime

/**
 * Whether this process runs on the GNU C library. It has to be asked before loading: musl takes an addon that is made
 * for glibc, as long as it finds the symbols. The memory map says yes in a hundredth of a report's time; what else it
 * says is no proof.
 */
export const runsOnGlibc = (): boolean => mapsGlibc() || glibcVersion() !== undefined

function mapsGlibc(): boolean {
  try {
    return /\/libc(\.so\.6|-2\.\d+\.so)$/m.test(readFileSync('/proc/self/maps', 'latin1'))
  } catch {
    return false
  }
}

/** What is used of the report of Node.js. */
interface NodeReport {
  header: { glibcVersionRuntime?: string }
  sharedObjects: string[]
}

function report(): NodeReport {
  const source = process.report as (NodeJS.ProcessReport & { excludeNetwork?: boolean }) | undefined
  // Programs that stand in for Node.js may have none.
  if (!source) return { header: {}, sharedObjects: [] }
  const { excludeNetwork = false } = source
  // The names of open connections' peers would be asked for, which may take seconds.
  source.excludeNetwork = true
  try {
    return source.getReport() as unknown as NodeReport
  } finally {
    source.excludeNetwork = excludeNetwork
  }
}
