/**
 * Compares the tests that ran for arm64 with those of this machine: they must be the same, but for those that say themselves
 * why they are skipped. The last step of scripts/test-arm64.sh, which leaves its records in build/tests. With --processor it
 * compares the suites of jest that run then; all of them have to have run on this machine.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { digestOf } from './digest.mjs'
import { paths } from './processor-suites.mjs'

const records = 'build/tests'
const here = `${records}/jest-${process.arch}.json`

/** In a test's name, the reason for which it did not run for arm64. */
const exception = / \[not under emulation: ([^\]]*)\]/

const run = (command, args, stdout = 'pipe') =>
  execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', stdout, 'inherit'], maxBuffer: 64 << 20 })

const readRecord = (path) => JSON.parse(readFileSync(path, 'utf8'))

/** The names of this machine's tests; builds and runs them, unless just these have passed. */
function jestHere() {
  if (!existsSync(here) || readRecord(here).digest !== digestOf('.')) {
    run('npm', ['run', 'build'], 'inherit')
    run('npm', ['run', 'test:js'], 'inherit')
  }
  if (!existsSync(here)) throw new Error(`test:arm64: expected ${here} from all suites of jest, which have just passed`)
  return readRecord(here).passed.filter(isWanted)
}

/** Whether a test is of a suite that had to run for arm64. */
const wanted = process.argv.includes('--processor') ? new Set(paths.map((path) => basename(path))) : undefined
const isWanted = (name) => !wanted || wanted.has(name.split(' › ')[0])

/** Of what jest skips, only what names its reason is an exception; the rest is skipped on this machine as well. */
function jestArm64() {
  const { passed, skipped } = readRecord(`${records}/jest-arm64.json`)
  return [...passed, ...skipped.filter((name) => exception.test(name))]
}

/** The tests in the output of `cargo test`, each behind the program that it is in, and before the reason why it is ignored. */
function rustTests(output, pattern) {
  const names = []
  let program = ''
  for (const line of output.split('\n')) {
    const heading = /^\s*(?:Running .*\/(\S+)-[0-9a-f]{16}\)|(Doc-tests \S+))$/.exec(line)
    if (heading) program = heading[1] ?? heading[2]
    const [, name, reason] = pattern.exec(line) ?? []
    if (name) names.push(`${program} › ${name}${reason ? ` [not under emulation: ${reason}]` : ''}`)
  }
  return names
}

const rustHere = () =>
  rustTests(run('bash', ['-c', 'CARGO_TERM_COLOR=never cargo test --workspace -- --list 2>&1']), /^(.+): test$/)

/** A test that is ignored with a reason is an exception. What `cargo test` adds to some names is no part of them. */
const rustArm64 = () =>
  rustTests(
    readFileSync(`${records}/rust-arm64.log`, 'utf8'),
    /^test (.+?)(?: - (?:should panic|compile|compile fail))? \.\.\. (?:ok|ignored, (.*))$/,
  )

/** What the first list has more of than the second; the same name may stand in a list several times. */
function surplus(names, others) {
  const left = new Map()
  for (const name of others) left.set(name, (left.get(name) ?? 0) + 1)
  return names.filter((name) => {
    const count = left.get(name) ?? 0
    left.set(name, count - 1)
    return count <= 0
  })
}

function compare(framework, x64, arm64) {
  const exceptions = arm64.filter((name) => exception.test(name))
  const names = arm64.map((name) => name.replace(exception, ''))
  console.log(
    `${framework}: ${x64.length} on x64, ${arm64.length - exceptions.length} on arm64, ${exceptions.length} named exceptions`,
  )
  for (const name of exceptions) console.log(`  ${name}`)
  const differences = [
    ...surplus(x64, names).map((name) => `only on x64:   ${name}`),
    ...surplus(names, x64).map((name) => `only on arm64: ${name}`),
  ]
  for (const line of differences) console.error(`  ${line}`)
  return differences.length === 0
}

const [rust, jest] = [compare('Rust', rustHere(), rustArm64()), compare('jest', jestHere(), jestArm64())]
if (!rust || !jest) {
  console.error('test:arm64: expected the same tests on both; the differences above have no reason given.')
  process.exitCode = 1
}
