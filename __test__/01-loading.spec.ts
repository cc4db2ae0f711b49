import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'

import plimsoll = require('plimsoll')

import { root, runNode } from './helpers/child'

const entry = resolve(root, 'dist/index.js')

/** Runs a script that prints JSON, and parses what it printed. */
function printed(script: string, ...flags: string[]): unknown {
  const { status, stdout, stderr } = runNode(['-e', script], { flags })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  return JSON.parse(stdout)
}

/** The values that the type declarations promise. */
function declaredValues(): string[] {
  const list = /^export \{ (.*) \};$/m.exec(readFileSync(resolve(root, 'index.d.ts'), 'utf8'))
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
    const { BufferPool, MemoryBudget, MemoryManager, processMemory } = require(${JSON.stringify(entry)})
    const threads = () => require('node:fs').readdirSync('/proc/self/task').length
    const before = threads()
    const manager = new MemoryManager({ isolated: true })
    globalThis.live = [manager, manager.budget.allocate(4096, 'live'), new BufferPool({ budget: manager.budget }).get(4096)]
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
