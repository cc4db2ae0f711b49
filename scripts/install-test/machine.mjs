import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { Failure, run } from './run.mjs'

const QEMU = 'qemu-aarch64-static'
const ARM64_NODE = join(import.meta.dirname, '..', 'arm64-node.sh')
const MUSL_NODE = join(import.meta.dirname, '..', 'musl-node.sh')

const isOnPath = (name) => process.env.PATH.split(delimiter).some((folder) => existsSync(join(folder, name)))

const isMusl = process.report.getReport().header.glibcVersionRuntime === undefined

/** The platform of this process. */
const here = `linux-${process.arch}-${isMusl ? 'musl' : 'gnu'}`

/** The platforms whose programs run here, this one first. On musl that is all; elsewhere Debian's musl is fetched. */
export function runnablePlatforms() {
  if (isMusl) return [here]
  const architectures = process.arch !== 'arm64' && isOnPath(QEMU) ? [process.arch, 'arm64'] : [process.arch]
  return architectures.flatMap((architecture) => [`linux-${architecture}-gnu`, `linux-${architecture}-musl`])
}

/** Whether programs of that platform run here by an emulator. */
export const isEmulated = (platform) => !platform.includes(process.arch)

/**
 * The folder that goes first on PATH, so that `node` is one for this platform. npm and everything else that is
 * started by way of `env node` then runs as such a program too, and npm chooses packages for it.
 */
export async function nodeFolder(platform, scratch) {
  if (platform === here) return dirname(process.execPath)
  const [, architecture, library] = platform.split('-')
  const node = library === 'musl' ? await run('bash', [MUSL_NODE, architecture]) : await run('bash', [ARM64_NODE])
  const folder = join(scratch, platform)
  await writeNode(folder, node.trim(), isEmulated(platform))
  return folder
}

/** A script, so that emulation works without the kernel's help too, which takes root to set up. */
async function writeNode(folder, node, emulated) {
  mkdirSync(folder, { recursive: true })
  const script = join(folder, 'node')
  writeFileSync(script, `#!/bin/sh\nexec ${emulated ? `${QEMU} ` : ''}'${node}' "$@"\n`)
  chmodSync(script, 0o755)
  await run(script, ['--version']).catch((error) => {
    throw new Failure(`${node} does not run here; for arm64, npm run test:arm64 sets that up\n${error.message}`)
  })
}
