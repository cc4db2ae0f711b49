import { readFileSync } from 'node:fs'

/** Finds the addon of each platform in its package. The names are literal, so that programs which trace or bundle follow them. */
const addons: Readonly<Record<string, () => string>> = {
  'linux-x64-gnu': () => require.resolve('plimsoll-linux-x64-gnu'),
  'linux-arm64-gnu': () => require.resolve('plimsoll-linux-arm64-gnu'),
  'linux-x64-musl': () => require.resolve('plimsoll-linux-x64-musl'),
  'linux-arm64-musl': () => require.resolve('plimsoll-linux-arm64-musl'),
}

/** The platforms that addons are made for, by their names in those of files and packages, as napi-rs forms them. */
export const supportedPlatforms: readonly string[] = Object.keys(addons)

const system = `${process.platform}-${process.arch}`

/** Whether addons are made for the system and the processor of this process. */
export const isSupportedSystem: boolean = supportedPlatforms.some((name) => name.startsWith(`${system}-`))

/** A C library, as the names of platforms have it. */
type CLibrary = 'gnu' | 'musl'

/**
 * What this process runs on, such as `linux-x64-musl`: one of {@link supportedPlatforms}, or its system and processor where
 * none is for them, or where the C library cannot be told.
 *
 * The C library has to be known before an addon is loaded: musl takes one that is made for glibc, as long as it finds the symbols.
 */
export function foundPlatform(): string {
  const library = isSupportedSystem ? (mappedLibrary() ?? reportedLibrary()) : undefined
  return library ? `${system}-${library}` : system
}

/** The path of the addon in the package of that platform. */
export const resolveAddon = (name: string): string => (addons[name] as () => string)()

/** The version of the GNU C library that this process runs on; `undefined` on another one. */
export const glibcVersion = (): string | undefined => report().header.glibcVersionRuntime

/** The C library among the files that this process has mapped, in a hundredth of a report's time. */
function mappedLibrary(): CLibrary | undefined {
  try {
    const maps = readFileSync('/proc/self/maps', 'latin1')
    if (/\/libc(\.so\.6|-2\.\d+\.so)$/m.test(maps)) return 'gnu'
    // musl is one file, library and dynamic linker; what is a link to the other differs by distribution.
    if (/\/(libc\.so|ld-musl-\w+\.so\.1)$/m.test(maps)) return 'musl'
  } catch {
    // The report does without it.
  }
  return undefined
}

function reportedLibrary(): CLibrary | undefined {
  if (glibcVersion() !== undefined) return 'gnu'
  return report().sharedObjects.some((path) => path.includes('musl')) ? 'musl' : undefined
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
