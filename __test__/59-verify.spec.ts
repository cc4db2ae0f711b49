import { existsSync, writeFileSync } from 'node:fs'
import {
  type ComponentUse,
  estimate,
  InvalidArgumentError,
  IoError,
  type MemoryUse,
  MiB,
  measureUse,
  verifyEstimate,
} from 'plimsoll'
import { runNode } from './helpers/child'
import { thrownBy } from './helpers/errors'
import { headerOf, llama1b, opened } from './helpers/headers'
import { scratch } from './helpers/models'
import { rejectedBy } from './helpers/rejected-by'

const file = scratch()
const path = file('llama-1b.gguf')
writeFileSync(path, headerOf(llama1b))

const model = opened(llama1b)
const needs = estimate(model, { contextLength: 4096, processor: 'x64', llamaCppVersion: '0.5' })

/** A process with so much of its own, and so much of its model mapped. */
const using = (anonymousBytes: number, mappedBytes?: number): MemoryUse => ({
  pid: 1,
  rssBytes: anonymousBytes + (mappedBytes ?? 0) + 40 * MiB,
  anonymousBytes,
  fileBytes: (mappedBytes ?? 0) + 40 * MiB,
  shmemBytes: 0,
  ...(mappedBytes !== undefined && { mappedBytes }),
  missing: [],
})

const own = needs.totals.steadyBytes - needs.weightsBytes
const row = (components: ComponentUse[], component: string) => components.find((it) => it.component === component)

describe('measureUse', () => {
  test('has the parts of what this process has resident, and what of them is the model', async () => {
    const use = await measureUse({ model })
    expect(use).toMatchObject({ pid: process.pid, mappedBytes: 0 })
    expect(use.anonymousBytes + use.fileBytes + use.shmemBytes).toBe(use.rssBytes)
    expect(use.headroomBytes ?? use.missing.find(({ signal }) => signal === 'headroomBytes')).toBeDefined()
    expect(await measureUse()).not.toHaveProperty('mappedBytes')
  })

  test('is of another process, where it runs', async () => {
    const parent = await measureUse({ pid: process.ppid })
    expect(parent.pid).toBe(process.ppid)
    await rejectedBy(IoError, measureUse({ pid: 2 ** 31 - 1 }))
    await rejectedBy(InvalidArgumentError, measureUse({ pid: 0 }))
    await rejectedBy(InvalidArgumentError, measureUse({ modell: model } as object))
  })
})

describe('verifyEstimate', () => {
  test('compares growth, each component by the signal that shows it', () => {
    const after = using(own + 10 * MiB, needs.weightsBytes)
    const { verdict, components } = verifyEstimate(needs, using(10 * MiB, 0), after)
    expect(verdict).toBe('within')
    expect(components).toMatchObject([
      { component: 'mapped-weights', from: 'mapped-file', estimatedBytes: needs.weightsBytes, differencePercent: 0 },
      { component: 'buffers', from: 'anonymous', measuredBytes: own, boundBytes: own + 64 * MiB },
      {
        component: 'all',
        estimatedBytes: needs.totals.steadyBytes,
        missing: 'the headroom of the machine is not known',
      },
    ])
  })

  test('says that more is used than the bound allows, with and without what was before', () => {
    const verdictOf = (before: MemoryUse | undefined, bytes: number) =>
      verifyEstimate(needs, before, using(bytes, 1), { programBytes: MiB }).verdict
    expect(verdictOf(using(5 * MiB, 0), own + 6 * MiB)).toBe('within')
    expect(verdictOf(using(5 * MiB, 0), own + 6 * MiB + 1)).toBe('above')
    expect(verdictOf(undefined, own + MiB)).toBe('within')
    expect(verdictOf(undefined, own + MiB + 1)).toBe('above')
  })

  test('memory that a process really takes shows', async () => {
    const before = await measureUse()
    const held = Buffer.alloc(256 * MiB, 1)
    const { components } = verifyEstimate(needs, before, await measureUse())
    expect(row(components, 'buffers')?.measuredBytes).toBeGreaterThan(200 * MiB)
    expect(held[1]).toBe(1)
  })

  test('pages of all files stand for those of a model that was not named, and the phase for what is in use', () => {
    const found = verifyEstimate(needs, using(0), using(0), { phase: 'loading' })
    expect(row(found.components, 'mapped-weights')).toMatchObject({ from: 'file-pages', differencePercent: -100 })
    expect(row(found.components, 'all')?.estimatedBytes).toBe(needs.totals.loadingBytes)
  })

  test('what a GPU holds is told by its driver, or by the machine', () => {
    const onGpu = estimate(model, { contextLength: 4096, gpuLayers: 99 })
    expect(verifyEstimate(onGpu, undefined, using(0, 0)).verdict).toBe('not-measurable')
    const told = verifyEstimate(onGpu, undefined, { ...using(0, 1), gpuBytes: MiB })
    expect(told.verdict).toBe('within')
    expect(row(told.components, 'gpu')).toMatchObject({ from: 'gpu-processes', measuredBytes: MiB })
    const fallen = (bytes: number) =>
      verifyEstimate(onGpu, { ...using(0), headroomBytes: bytes }, { ...using(0), headroomBytes: 0 }).verdict
    expect([fallen(onGpu.weightsBytes), fallen(3 * onGpu.totals.peakBytes)]).toEqual(['within', 'above'])
  })

  test('what is no estimate and no measurement is refused', () => {
    for (const call of [
      () => verifyEstimate({} as typeof needs, undefined, using(0)),
      () => verifyEstimate(needs, undefined, {} as MemoryUse),
      () => verifyEstimate(needs, undefined, undefined as unknown as MemoryUse),
      () => verifyEstimate(needs, { ...using(0), rssBytes: -1 }, using(0)),
      () => verifyEstimate(needs, undefined, using(0), { phase: 'later' as 'full' }),
      () => verifyEstimate(needs, undefined, using(0), { programBytes: 0.5 }),
    ]) {
      thrownBy(InvalidArgumentError, call)
    }
  })
})

describe('plimsoll estimate --verify', () => {
  const plimsoll = (...args: string[]) => runNode(['dist/cli.js', 'estimate', path, '--context', '4096', ...args])
  const pid = String(process.pid)

  test('shows what a process uses, and ends with 1 where that is more than the bound says', () => {
    const { status, stdout } = plimsoll('--verify', pid, '--program', '64GiB')
    expect(status).toBe(0)
    expect(stdout).toMatch(/^ {2}buffers +\d.* anonymous and shared memory$/m)
    expect(stdout).toMatch(/^ {2}all of it +\d.* nothing was measured before the model was loaded$/m)
    expect(stdout).toMatch(/^ {2}a part of it cannot be measured, or the process has no page of the model$/m)
    const small = runNode(['dist/cli.js', 'estimate', '--params', '1000', '--verify', pid, '--program', '1B', '--json'])
    expect(small.status).toBe(1)
    const { verification } = JSON.parse(small.stdout)
    expect(verification).toMatchObject({ pid: process.pid, verdict: 'above' })
    expect(verification.components.at(-1)).toMatchObject({ component: 'all', measuredBytes: null, from: null })
  })

  test('wants a process that runs', () => {
    expect(existsSync('/proc/2147483647')).toBe(false)
    for (const args of [
      ['--verify', '2147483647'],
      ['--verify', 'x'],
      ['--phase', 'full'],
      ['--verify', pid, '--phase', 'x'],
    ]) {
      expect(plimsoll(...args).status).toBe(2)
    }
  })
})
