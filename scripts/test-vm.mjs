// Runs the Rust tests of device memory, of headroom beside mapped files and of cold reads where their kernel is, and programs
// in JavaScript: in a guest with dma-heaps, udmabuf, a DRM driver without hardware, and disks that are slow or broken. A guest
// is fully emulated and may be hurt: some tests bring the OOM killer.
//
//     npm run test:vm

import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runPc } from './guest/pc.mjs'

const checkout = fileURLToPath(new URL('..', import.meta.url))
const addon = 'plimsoll.linux-x64-gnu.node'

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
    ['/bin/node', process.execPath],
    ...[
      'guest/dma-heap.mjs',
      'guest/disks.mjs',
      'guest/refusing-files.mjs',
      'guest/inside/group.cjs',
      'guest/inside/stream.cjs',
      'sparse-model.mjs',
    ].map((name) => [`/app/${basename(name)}`, join(checkout, 'scripts', name)]),
    ['/app/model.gguf', join(checkout, 'examples/models/plimsoll-sample-llama.gguf')],
    ...['package.json', 'dist', addon].map((name) => [`/app/node_modules/plimsoll/${name}`, join(checkout, name)]),
  ],
  steps: ['dma-heap', 'disks'].map((title) => ({ title, command: ['node', `/app/${title}.mjs`, '/app/model.gguf'] })),
}

if (process.arch !== 'x64') {
  console.error(`expected a machine with x86-64, whose programs the guest runs; this one is ${process.arch}`)
  process.exit(1)
}

/** A copy of a program without what only a debugger reads, which would lie in the guest's memory. */
function stripped(name, program) {
  const copy = join(checkout, 'build/guest/tests', name)
  mkdirSync(join(copy, '..'), { recursive: true })
  execFileSync('strip', ['--strip-debug', '-o', copy, program])
  return copy
}

/** Builds test programs, as `npm run test:rust` does, and returns the paths of what the guest gets. */
function build(names) {
  const targets = names.flatMap((name) => ['--test', name])
  const lines = execFileSync(
    'cargo',
    ['test', '--package', 'plimsoll', '--no-run', '--message-format=json', ...targets],
    {
      cwd: checkout,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
      maxBuffer: 64 << 20,
    },
  )
  const built = lines
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line))
    .filter(({ executable, target }) => executable && names.includes(target.name))
  return new Map(built.map(({ executable, target }) => [target.name, stripped(target.name, executable)]))
}

const start = performance.now()
const programs = build(Object.keys(suites))
const tests = Object.keys(suites).map((name) => [`/tests/${name}`, programs.get(name)])
const files = Object.fromEntries([...tests, ...javascript.files])
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
