/**
 * A reporter of jest: when all tests have passed, or under emulation those that are for the processor, it leaves their names in
 * build/tests, for `npm run test:arm64`, with a digest of what was there when they began.
 */
import { mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { digestOf } from './digest.mjs'
import { paths } from './processor-suites.mjs'

/** The folders of `testMatch` in `jest.config.mjs`. */
const FOLDERS = ['__test__', 'examples/testing']

/** Of all suites as they would be whole, or all that are for the processor; not of one file or some tests by name. */
function isWhole({ rootDir, testNamePattern }, { testResults }) {
  const files = FOLDERS.flatMap((folder) => readdirSync(join(rootDir, folder)))
  const all = files.filter((name) => name.endsWith('.spec.ts'))
  const expected = process.env.PLIMSOLL_HOST_NODE ? [all, paths.map((path) => basename(path))] : [all]
  const ran = new Set(testResults.map(({ testFilePath }) => basename(testFilePath)))
  return !testNamePattern && expected.some((names) => names.length === ran.size && names.every((name) => ran.has(name)))
}

const hasPassed = ({ numFailedTests, numFailedTestSuites, wasInterrupted }) =>
  numFailedTests + numFailedTestSuites === 0 && !wasInterrupted

function names(results, status) {
  return results.testResults.flatMap(({ testFilePath, testResults }) =>
    testResults
      .filter((test) => test.status === status)
      .map(({ fullName }) => `${basename(testFilePath)} › ${fullName}`),
  )
}

export default class RecordTests {
  #error

  constructor(config) {
    this.config = config
  }

  /** What fails the run beside its tests. */
  getLastError() {
    return this.#error
  }

  onRunStart() {
    this.digest = digestOf(this.config.rootDir)
  }

  onRunComplete(_contexts, results) {
    // Of what is compared with arm64, glibc is the library on both.
    if (process.report.getReport().header.glibcVersionRuntime === undefined) return
    if (!isWhole(this.config, results) || !hasPassed(results)) return
    const folder = join(this.config.rootDir, 'build', 'tests')
    mkdirSync(folder, { recursive: true })
    const record = { digest: this.digest, passed: names(results, 'passed'), skipped: names(results, 'pending') }
    const passing = [...record.passed, ...record.skipped].find((name) => name.includes(`${tmpdir()}/`))
    if (passing) this.#error = new Error(`expected tests that are called the same in every run, got ${passing}`)
    // Beside it first: whoever reads it finds a whole one.
    const path = join(folder, `jest-${process.arch}.json`)
    writeFileSync(`${path}.new`, JSON.stringify(record))
    renameSync(`${path}.new`, path)
  }
}
