// Runs the Rust tests of device memory, of headroom beside mapped files and of cold reads where their kernel is, and programs
// in JavaScript: in a guest with dma-heaps, udmabuf, a DRM driver without hardware, and disks that are slow or broken. A guest
// is fully emulated and may be hurt: some tests bring the OOM killer.
//
//     npm run test:vm

import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runPc } from './guest/pc.mjs'
import { packageFiles, testPrograms } from './guest/programs.mjs'

const checkout = fileURLToPath(new URL('..', import.meta.url))

/** The test programs of the core that a guest is for, with what each is run by and with. */
const suites = {
  backends: { with: ['--include-ignored'] },
  vgem: { by: ['env', 'PLIMSOLL_DRM_NODE=/dev/dri/card0'] },
  headroom: { with: ['--ignored', '--show-output'] },
  // The last, as it brings the killer; and it says what it measured.
  guest: { with: ['--ignored', '--show-output'] },
}

/** The package as a user has it, with this Node.js. */
const javascript = {
  files: [
    ...packageFiles,
    ...[
      'guest/dma-heap.mjs',
      'guest/disks.mjs',
      'guest/refusing-files.mjs',
      'guest/inside/group.cjs',
      'guest/inside/stream.cjs',
      'sparse-model.mjs',
    ].map((name) => [`/app/${basename(name)}`, join(checkout, 'scripts', name)]),
    ['/app/model.gguf', join(checkout, 'examples/models/plimsoll-sample-llama.gguf')],
  ],
  steps: ['dma-heap', 'disks'].map((title) => ({ title, command: ['node', `/app/${title}.mjs`, '/app/model.gguf'] })),
}

if (process.arch !== 'x64') {
  console.error(`expected a machine with x86-64, whose programs the guest runs; this one is ${process.arch}`)
  process.exit(1)
}

const start = performance.now()
const files = Object.fromEntries([...testPrograms(Object.keys(suites)), ...javascript.files])
const steps = Object.entries(suites).map(([name, { by = [], with: options = [] }]) => ({
  title: name,
  command: [...by, `/tests/${name}`, '--test-threads=1', ...options],
}))
steps.unshift(...javascript.steps)

try {
  await runPc({ name: 'vm', memoryMiB: 1536, files, steps })
  console.log(`test:vm: all passed in ${((performance.now() - start) / 1000).toFixed(0)} s`)
} catch (error) {
  console.error(`test:vm: ${error.message}`)
  process.exit(1)
}
