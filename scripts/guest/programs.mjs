// What a PC gets to run: the package as a user has it, with this Node.js, and test programs of the core.

import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const checkout = fileURLToPath(new URL('../..', import.meta.url))

/** The paths there and here of Node.js and the package. */
export const packageFiles = [
  ['/bin/node', process.execPath],
  ...['package.json', 'dist', 'plimsoll.linux-x64-gnu.node'].map((name) => [
    `/app/node_modules/plimsoll/${name}`,
    join(checkout, name),
  ]),
]

/** A copy of a program without what only a debugger reads, which would lie in the guest's memory. */
function stripped(name, program) {
  const copy = join(checkout, 'build/guest/tests', name)
  mkdirSync(join(copy, '..'), { recursive: true })
  execFileSync('strip', ['--strip-debug', '-o', copy, program])
  return copy
}

/** Builds test programs, as `npm run test:rust` does, and returns the paths there and here of what the guest gets. */
export function testPrograms(names) {
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
  return built.map(({ executable, target }) => [`/tests/${target.name}`, stripped(target.name, executable)])
}
