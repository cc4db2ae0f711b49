import { readFileSync } from 'node:fs'
import { basename, resolve } from 'node:path'

import plimsoll = require('plimsoll')

import { root, runNode } from './helpers/child'
import { unlessEmulated } from './helpers/emulation'

const entry = resolve(root, 'dist/index.js')

/** Runs a script that prints JSON, and parses what it printed. */
function printed(script: string, ...flags: string[]): unknown {
  const { status, stdout, stderr } = runNode(['-e', script], { flags })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  return JSON.parse(stdout)
}

/** The values that the type declarations promise. */
function declaredValues(types = 'index.d.ts'): string[] {
  const list = /^export \{ (.*) \};$/m.exec(readFileSync(resolve(root, types), 'utf8'))
  return (list?.[1] ?? '').split(', ').sort()
}

test('require() gives exactly the values that the type declarations promise', () => {
  const names = printed(`console.log(JSON.stringify(Object.keys(require(${JSON.stringify(entry)})).sort()))`)
  expect(names).toEqual(declaredValues())
  expect(Object.keys(plimsoll).sort()).toEqual(names)
})

test('import gives the same objects as require(), each by its name', () => {
  const names = declaredValues()
  const script = `
    import { createRequire } from 'node:module'
    import { ${names.join(', ')} } from ${JSON.stringify(entry)}
    const required = createRequire(${JSON.stringify(entry)})(${JSON.stringify(entry)})
    const imported = { ${names.join(', ')} }
    console.log(JSON.stringify(Object.keys(imported).filter((name) => imported[name] !== required[name])))`
  expect(printed(script, '--input-type=module')).toEqual([])
})

test('no setting is taken from the prototype of all objects', () => {
  const script = `
    Object.prototype.PLIMSOLL_ADDON_PATH = '/nowhere/other.node'
    Object.prototype.PLIMSOLL_VERIFY_ADDON = 'md5'
    const { path, sha256Verified } = require(${JSON.stringify(entry)}).loadedAddon()
    console.log(JSON.stringify([path, sha256Verified]))`
  expect(printed(script)).toEqual([plimsoll.loadedAddon().path, plimsoll.loadedAddon().sha256Verified])
})

test('the package is found under its own name', () => {
  const script = `console.log(JSON.stringify(require.resolve('plimsoll')))`
  expect(printed(script)).toBe(entry)
})

test('require() starts no thread and opens no handle, so the process ends by itself', () => {
  const script = `
    const threads = () => require('node:fs').readdirSync('/proc/self/task').length
    const resources = () => process.getActiveResourcesInfo().length
    const before = [threads(), resources()]
    require(${JSON.stringify(entry)})
    console.log(JSON.stringify({ before, after: [threads(), resources()] }))`
  const { before, after } = printed(script) as Record<string, number[]>
  expect(after).toEqual(before)
})

test('budgets, pools and managers start no thread either, and live ones do not keep the process alive', () => {
  const script = `
    const { StagingPool, MemoryBudget, MemoryManager, processMemory } = require(${JSON.stringify(entry)})
    const threads = () => require('node:fs').readdirSync('/proc/self/task').length
    const before = threads()
    const manager = new MemoryManager({ isolated: true })
    globalThis.live = [manager, manager.budget.allocate(4096, 'live'), new StagingPool({ budget: manager.budget }).get(4096)]
    processMemory()
    console.log(JSON.stringify(threads() - before))`
  expect(printed(script)).toBe(0)
})

test('loading it twice, through another path, is loading it once', () => {
  const script = `
    const first = require(${JSON.stringify(entry)})
    const second = require(${JSON.stringify(resolve(root, 'lib/../dist/index.js'))})
    console.log(JSON.stringify(first === second))`
  expect(printed(script)).toBe(true)
})

unlessEmulated(test, 'the bundler is that of this machine')(
  'require() reads not a byte of what the dashboard and the metrics are made of',
  () => {
    // Built with and without them. What is exported from one file of the entry to the other is no part of either.
    const script = `
    import { rollup } from 'rollup'
    import configurations from ${JSON.stringify(resolve(root, 'rollup.config.mjs'))}
    const [configuration] = configurations
    const { dashboard, metrics, ...others } = configuration.input
    const textOf = ({ code }) => code.replaceAll(/^exports\\.\\w+ = \\w+;$|\\bshared\\./gm, '').trim()
    const loaded = async (input) => {
      const built = await rollup({ ...configuration, input, onwarn: () => {} })
      const { output } = await built.generate(configuration.output)
      return output.filter(({ fileName }) => /^(?:index|shared)\\.js$/.test(fileName)).map(textOf).join('').length
    }
    console.log(JSON.stringify([await loaded(configuration.input), await loaded(others)]))`
    const [withThem, without] = printed(script, '--input-type=module') as number[]
    expect(withThem).toBeGreaterThan(100_000)
    expect(withThem).toBe(without)
  },
)

describe('plimsoll/report', () => {
  test('gives exactly what its type declarations promise, by require() and by import', () => {
    const names = declaredValues('report.d.ts')
    const script = `
      import { createRequire } from 'node:module'
      import * as imported from 'plimsoll/report'
      const required = createRequire(${JSON.stringify(entry)})('plimsoll/report')
      const names = Object.keys(required)
      console.log(JSON.stringify([names.sort(), names.every((name) => imported[name] === required[name])]))`
    expect(printed(script, '--input-type=module')).toEqual([names, true])
  })

  test('throws the errors of the package', () => {
    const script = `
      const { InvalidArgumentError } = require('plimsoll')
      try {
        require('plimsoll/report').poolsPage(5)
      } catch (error) {
        console.log(JSON.stringify(error instanceof InvalidArgumentError))
      }`
    expect(printed(script)).toBe(true)
  })

  test('is not loaded by the package, whose files hold no page', () => {
    const script = `require('plimsoll'); console.log(JSON.stringify(Object.keys(require.cache)))`
    const loaded = (printed(script) as string[]).filter((path) => path.startsWith(resolve(root, 'dist')))
    expect(loaded.map((path) => basename(path)).sort()).toEqual(['index.js', 'shared.js'])
    for (const path of loaded) expect(readFileSync(path, 'utf8')).not.toMatch(/<html|<!doctype/i)
  })
})
