import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { ensure, Failure, run } from './run.mjs'

const QEMU = 'qemu-aarch64-static'
const ARM64_NODE = join(import.meta.dirname, '..', 'arm64-node.sh')

const isOnPath = (name) => process.env.PATH.split(delimiter).some((folder) => existsSync(join(folder, name)))

/** The architectures whose programs run here: this machine's, and arm64 where its emulator is installed. */
export function runnableArchitectures() {
  return process.arch !== 'arm64' && isOnPath(QEMU) ? [process.arch, 'arm64'] : [process.arch]
}

/**
 * The folder that goes first on PATH, so that `node` is one for this architecture. npm and everything else that is
 * started by way of `env node` then runs as such a program too, and npm chooses packages for it.
 */
export async function nodeFolder(architecture, scratch) {
  if (architecture === process.arch) return dirname(process.execPath)
  ensure(architecture === 'arm64', `expected ${process.arch} or arm64 as the architecture, got ${architecture}`)
  const folder = join(scratch, architecture)
  await writeEmulatedNode(folder)
  return folder
}

/** A script, so that it works without the kernel's help too, which takes root to set up. */
async function writeEmulatedNode(folder) {
  const node = (await run('bash', [ARM64_NODE])).trim()
  mkdirSync(folder, { recursive: true })
  const script = join(folder, 'node')
  writeFileSync(script, `#!/bin/sh\nexec ${QEMU} '${node}' "$@"\n`)
  chmodSync(script, 0o755)
  await run(script, ['--version']).catch((error) => {
    throw new Failure(`programs for arm64 do not run here; npm run test:arm64 sets that up\n${error.message}`)
  })
}
