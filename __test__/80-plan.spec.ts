import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  estimate,
  formatBytes,
  GgufFile,
  GiB,
  InvalidPlanError,
  MiB,
  type Plan,
  type PlanReport,
  type Processor,
  planModes,
  recommendLimits,
  validatePlan,
} from 'plimsoll'
import { root } from './helpers/child'
import { tensorTypes } from './helpers/gguf-writer'
import { headerOf, llama1b, llama8b } from './helpers/headers'
import { scratch } from './helpers/models'

const file = scratch()
const large = file('llama-8b.gguf')
const small = file('llama-1b.gguf')
const other = file('model.rkllm')
writeFileSync(large, headerOf(llama8b))
writeFileSync(small, headerOf(llama1b))
writeFileSync(other, Buffer.alloc(4 * MiB))

/** The machine of the older tool's examples, of whose memory 26.55 GiB are usable. */
const totalBytes = 31_982 * MiB

const matrix = (subject: number, observer: number, god: number, total = totalBytes): Plan => ({
  mode: 'matrix',
  totalBytes: total,
  instances: {
    subject: { limitBytes: subject * GiB },
    observer: { limitBytes: observer * GiB },
    god: { limitBytes: god * GiB },
  },
})

const descriptions = ({ advice }: PlanReport) => advice.map(({ description }) => description)

describe('the examples of older tools', () => {
  test('30.00 against 26.55 usable fail', () => {
    const report = validatePlan(matrix(8, 10, 12))
    expect(report).toMatchObject({
      passes: false,
      requiredBytes: 30 * GiB,
      peakBytes: 30 * GiB,
      bound: 'safety-margin',
    })
    expect(formatBytes(report.usableBytes)).toBe('26.55 GiB')
    expect(report.marginBytes).toBe(report.usableBytes - 30 * GiB)
    expect(report.issues).toMatchObject([
      { kind: 'total-too-large', neededBytes: 30 * GiB, usableBytes: report.usableBytes },
    ])
    expect(readFileSync(join(root, 'docs/plans.md'), 'utf8')).toContain(`\n${report}\n`)
    const passing = validatePlan(matrix(7, 9, 10))
    expect([passing.passes, `${passing}`.split('\n')[5]]).toEqual([true, 'Safety margin: +560.70 MiB'])
    const lines = `${report}`.split('\n')
    expect(lines.slice(0, 6)).toEqual([
      '='.repeat(70),
      'PLAN FAILED',
      '='.repeat(70),
      'Total required: 30.00 GiB / 26.55 GiB',
      'Safe threshold: 31.23 GiB less a safety margin of 15 %',
      'Safety margin: -3.45 GiB',
    ])
    expect(`${report}`).toMatch(/^ {2}1\. all instances together require 30\.00 GiB, .* 26\.55 GiB$/m)
  })

  test('60.00 against 26.55 fail, and nothing that is recommended is made up', () => {
    const report = validatePlan(matrix(16, 20, 24))
    expect(report.issues.map(({ message }) => message)).toEqual([
      'all instances together require 60.00 GiB, more than the safe threshold of 26.55 GiB',
    ])
    // No single limit mends it: two of them are above what is usable already.
    expect(report.advice.filter(({ kind }) => kind === 'limit')).toEqual([])
    expect(descriptions(report)).toContain('a memory of 70.59 GiB would be enough')
  })

  test('what they recommend for 32 and 64 GiB fails by their own rule, and for 16 passes', () => {
    expect(validatePlan(matrix(8, 10, 12, 32 * GiB)).passes).toBe(false)
    expect(validatePlan(matrix(16, 20, 24, 64 * GiB)).passes).toBe(false)
    const single = { mode: 'single', totalBytes: 16 * GiB, instances: { subject: { limitBytes: 12 * GiB } } } as const
    expect(validatePlan(single).passes).toBe(true)
  })

  test('a footprint is the file and half of it, and what is required the larger of it and the limit', () => {
    const of = (limitBytes?: number) =>
      validatePlan({
        totalBytes,
        formula: 'rule-of-thumb',
        instances: { one: { model: other, ...(limitBytes !== undefined && { limitBytes }) } },
      }).instances[0]
    expect(of()).toMatchObject({
      formula: 'rule-of-thumb',
      footprintBytes: 6 * MiB,
      requiredBytes: 6 * MiB,
      model: other,
    })
    expect(of(5 * MiB)).toMatchObject({ limitBytes: 5 * MiB, requiredBytes: 6 * MiB })
    expect(of(8 * MiB)).toMatchObject({ requiredBytes: 8 * MiB })
  })

  test('usable is the total less the margin, and the margin and the headroom may be set', () => {
    const usable = (plan: Plan) => validatePlan({ instances: { one: { limitBytes: 1 } }, ...plan }).usableBytes
    expect(usable({ totalBytes: 32 * GiB })).toBe(Math.floor(32 * GiB * 0.85))
    expect(usable({ totalBytes: 32 * GiB, safetyMarginPercent: 20 })).toBe(Math.floor(32 * GiB * 0.8))
    expect(usable({ totalBytes: 32 * GiB, safetyMarginPercent: 0 })).toBe(30 * GiB)
    expect(usable({ totalBytes: 32 * GiB, safetyMarginPercent: 0, headroomBytes: '3 GiB' })).toBe(29 * GiB)
    expect(usable({ totalBytes: 8 * GiB, safetyMarginPercent: 0 })).toBe(7 * GiB)
    expect(usable({ board: 'rk3588-8gb' })).toBeLessThan(8 * GiB)
  })
})

describe('recommendLimits()', () => {
  test('gives limits that pass on any memory', () => {
    for (const mode of planModes) {
      for (let gib = 0.5; gib < 1024; gib *= 1.37) {
        const total = Math.round(gib * GiB)
        const limits = recommendLimits(mode, total)
        const instances = Object.fromEntries(limits.map(({ role, limitBytes }) => [role, { limitBytes }]))
        expect(validatePlan({ mode, totalBytes: total, instances })).toMatchObject({ passes: true })
      }
    }
    expect(recommendLimits('matrix', 32 * GiB).map(({ role, limitBytes }) => [role, limitBytes / GiB])).toEqual([
      ['subject', 7],
      ['observer', 9],
      ['god', 10.5],
    ])
    expect(recommendLimits('single', 16 * GiB)).toEqual([{ role: 'subject', limitBytes: 12 * GiB }])
  })

  test('is what a mode has where no limit is given', () => {
    const { passes, instances } = validatePlan({ mode: 'matrix', totalBytes: 64 * GiB })
    expect(passes).toBe(true)
    expect(instances.map(({ id, limitBytes }) => ({ role: id, limitBytes }))).toEqual(
      recommendLimits('matrix', 64 * GiB),
    )
  })

  test('refuses what it does not know', () => {
    expect(() => recommendLimits('duo' as 'single', GiB)).toThrow(/one of "single", "matrix"/)
    expect(() => recommendLimits('single', -1)).toThrow(/totalBytes/)
    expect(() => recommendLimits('single', GiB, { safetyMargin: 3 } as object)).toThrow(
      /did you mean "safetyMarginPercent"/,
    )
  })
})

describe('what would mend a plan', () => {
  test('is computed: each limit, each cache, each context that is told passes', () => {
    const plan: Plan = {
      totalBytes: 16 * GiB,
      instances: {
        chat: { model: large, contextLength: 65_536 },
        notes: { limitBytes: 3 * GiB },
      },
    }
    const report = validatePlan(plan)
    expect(report.passes).toBe(false)
    const { chat, notes } = plan.instances as { chat: object; notes: object }
    const kinds = report.advice.map(({ kind }) => kind)
    expect(kinds).toEqual(expect.arrayContaining(['kv-type', 'context']))
    for (const { kind, instance, fits, bytes, contextLength, savedBytes, description } of report.advice) {
      const changed = (change: object): boolean => {
        const instances = {
          chat: { ...chat, ...(instance === 'chat' && change) },
          notes: { ...notes, ...(instance === 'notes' && change) },
        }
        return validatePlan({ ...plan, instances }).passes
      }
      if (kind === 'limit') expect([description, changed({ limitBytes: bytes })]).toEqual([description, fits])
      if (kind === 'kv-type') {
        expect([description, changed({ kvType: 'q8_0' })]).toEqual([description, fits])
        using model = GgufFile.open(large, { headerOnly: true })
        const [f16, q8] = (['f16', 'q8_0'] as const).map((type) =>
          estimate(model, { contextLength: 65_536, kvTypeK: type, kvTypeV: type }),
        )
        expect(savedBytes).toBe((f16?.totals.peakBytes ?? 0) - (q8?.totals.peakBytes ?? 0))
        expect(description).toContain(`q8_0 KV saves ${formatBytes(savedBytes ?? 0)}`)
      }
      if (kind === 'context') expect([description, changed({ contextLength })]).toEqual([description, fits])
      if (kind === 'memory') expect(validatePlan({ ...plan, totalBytes: bytes as number }).passes).toBe(true)
    }
  })

  test('names a limit that one instance would fit with', () => {
    expect(descriptions(validatePlan(matrix(8, 10, 12)))).toEqual([
      'subject at 4.50 GiB would fit',
      'observer at 6.50 GiB would fit',
      'god at 8.50 GiB would fit',
      'subject at 7.00 GiB, observer at 9.00 GiB, god at 10.50 GiB would fit together',
      'without subject it would fit',
      'without observer it would fit',
      'without god it would fit',
      'a memory of 35.29 GiB would be enough',
    ])
  })
})

describe('peaks while loading', () => {
  /** On the GPU weights pass through the mapped file, so that loading takes more than what is there afterwards. */
  const heavy = { model: large, device: 'gpu', contextLength: 512 } as const
  const light = { model: small, contextLength: 512 } as const

  test('are weighed in the order of start, and another order is told', () => {
    const alone = validatePlan({ totalBytes: 64 * GiB, instances: { heavy, light } })
    const [first, second] = alone.instances
    expect(first?.loadingBytes).toBeGreaterThan(first?.requiredBytes ?? 0)
    const least = (first?.loadingBytes ?? 0) + 64 * MiB
    const total = Math.ceil(least / 0.85)
    expect(least).toBeLessThan((first?.loadingBytes ?? 0) + (second?.requiredBytes ?? 0))
    const good = validatePlan({ totalBytes: total, instances: { heavy, light } })
    expect(good.passes).toBe(true)
    const bad = validatePlan({ totalBytes: total, instances: { light, heavy } })
    expect(bad).toMatchObject({ passes: false, bestOrder: ['heavy', 'light'] })
    expect(bad.requiredBytes).toBeLessThanOrEqual(bad.usableBytes)
    expect(bad.issues).toMatchObject([{ kind: 'peak-too-large', instance: 'heavy' }])
    expect(bad.advice[0]).toMatchObject({ kind: 'order', fits: true })
    expect(`${bad}`).toContain('Peak while loading: ')
  })
})

describe('formulas', () => {
  test('are named in the report, and figures of the estimate are those of estimate()', () => {
    using model = GgufFile.open(small, { headerOnly: true })
    const needs = estimate(model, { contextLength: 4096, parallel: 2, kvTypeK: 'q8_0', kvTypeV: 'q8_0', gpuLayers: 99 })
    const { instances } = validatePlan({
      totalBytes,
      instances: {
        exact: { model: small, contextLength: 4096, parallel: 2, kvType: 'q8_0', gpuLayers: 99 },
        thumb: { model: small, formula: 'rule-of-thumb' },
        other: { model: other },
        bare: { limitBytes: '1 GiB' },
      },
    })
    expect(instances.map(({ formula }) => formula)).toEqual([
      'estimate',
      'rule-of-thumb',
      'rule-of-thumb',
      'limit-only',
    ])
    expect(instances[0]).toMatchObject({
      footprintBytes: needs.totals.fullBytes,
      loadingBytes: needs.totals.loadingBytes,
    })
  })

  test('a plan for a board is estimated for its processor, whatever this one is', () => {
    const path = file('llama-8b-q6.gguf')
    writeFileSync(path, headerOf(llama8b, tensorTypes.Q6_K))
    using model = GgufFile.open(path, { headerOnly: true })
    const on = (processor: Processor) => estimate(model, { contextLength: 4096, processor }).totals.fullBytes
    const plan = { board: 'agx-orin-32gb', instances: { chat: { model: path, contextLength: 4096 } } } as const
    expect(validatePlan(plan).instances[0]?.footprintBytes).toBe(on('arm64'))
    expect(on('arm64')).toBeGreaterThan(on('x64'))
  })

  test('what would fit a board is found for its processor, too', () => {
    const run = { model: large, contextLength: 65_536 }
    const plan = { board: 'orin-nx-16gb', instances: { chat: run } } as const
    const shorter = validatePlan(plan).advice.find(({ kind }) => kind === 'context')
    expect(shorter?.contextLength).toBeGreaterThan(0)
    const { contextLength } = shorter as { contextLength: number }
    expect(validatePlan({ ...plan, instances: { chat: { ...run, contextLength } } }).passes).toBe(true)
  })
})

describe('what is no plan', () => {
  const issuesOf = (plan: unknown) => {
    try {
      validatePlan(plan as Plan)
    } catch (error) {
      expect(error).toBeInstanceOf(InvalidPlanError)
      const { code, issues } = error as InvalidPlanError
      expect(code).toBe('ERR_INVALID_PLAN')
      return issues
    }
    throw new Error('expected it to be refused')
  }

  test.each([
    ['nothing', {}, 'missing-value', /instances, or a mode/],
    ['a misspelt key', { instance: {} }, 'unknown-key', /unknown key "instance"; expected "instances"/],
    ['a misspelt key of an instance', { instances: { a: { limitByte: 1 } } }, 'unknown-key', /expected "limitBytes"/],
    [
      'a negative size',
      { instances: { a: { limitBytes: -1 } } },
      'invalid-value',
      /instances\.a\.limitBytes .* got -1/,
    ],
    ['no size', { instances: { a: { limitBytes: 'much' } } }, 'invalid-value', /got "much"/],
    ['an absurd size', { instances: { a: { limitBytes: 1e30 } } }, 'invalid-value', /got 1e\+30/],
    ['a size that is absurd in words', { instances: { a: { limitBytes: '99999999T' } } }, 'invalid-value', /99999999T/],
    ['NaN', { instances: { a: { limitBytes: Number.NaN } } }, 'invalid-value', /got NaN/],
    ['a margin of everything', { safetyMarginPercent: 100, mode: 'single' }, 'invalid-value', /below 100/],
    ['a board that is none', { board: 'rk3588', mode: 'single' }, 'invalid-value', /rk3588-8gb/],
    ['a board and a total', { board: 'rk3588-8gb', totalBytes: '8G', mode: 'single' }, 'invalid-value', /left out/],
    [
      'an instance that a mode has not got',
      { mode: 'single', instances: { god: { limitBytes: 1 } } },
      'unknown-key',
      /subject/,
    ],
    ['neither model nor limit', { instances: { a: {} } }, 'missing-value', /model or limitBytes/],
    [
      'a model that is not there',
      { instances: { a: { model: '/none.gguf' } } },
      'missing-model',
      /a file that is there/,
    ],
    ['a folder as a model', { instances: { a: { model: '/tmp' } } }, 'missing-model', /a file that is there/],
    ['no name', { instances: { '': { limitBytes: 1 } } }, 'invalid-value', /begins with a letter/],
    ['a name that is a number', { instances: { 1: { limitBytes: 1 } } }, 'invalid-value', /begins with a letter/],
    ['a list of instances', { instances: [] }, 'invalid-value', /an object with an instance for each name/],
    [
      'a command that does not exist',
      { instances: { a: { limitBytes: 1, command: 'no-such-program-here -x' } } },
      'missing-command',
      /in PATH/,
    ],
    [
      'a command that is no program',
      { instances: { a: { limitBytes: 1, command: ['/tmp/none'] } } },
      'missing-command',
      /may be run/,
    ],
    [
      'a listener without a command',
      { instances: { a: { limitBytes: 1, listen: ':80' } } },
      'missing-value',
      /a command beside/,
    ],
    [
      'an idle time without a listener',
      { instances: { a: { limitBytes: 1, command: 'true', idleTimeoutMs: '5min' } } },
      'missing-value',
      /listen beside/,
    ],
    [
      'a port that is none',
      { instances: { a: { limitBytes: 1, command: 'true', listen: '127.0.0.1:70000' } } },
      'invalid-value',
      /1 to 65535/,
    ],
    [
      'a time without a unit',
      { instances: { a: { limitBytes: 1, command: 'true', restartDelayMs: '5' } } },
      'invalid-value',
      /a time such as/,
    ],
    [
      'a word that restarts nothing',
      { instances: { a: { limitBytes: 1, command: 'true', restart: 'never' } } },
      'invalid-value',
      /"on-failure"/,
    ],
    [
      'a line with quotes',
      { instances: { a: { limitBytes: 1, command: 'sh -c "exit 1"' } } },
      'invalid-value',
      /without quotes/,
    ],
  ])('%s is an issue', (_, plan, kind, message) => {
    const issues = issuesOf(plan)
    expect(issues).toMatchObject([{ kind }])
    expect(issues[0]?.message).toMatch(message)
  })

  test('everything that is wrong is told at once', () => {
    const issues = issuesOf({ mod: 1, instances: { a: { limitBytes: -1, contextLength: 0 }, b: { kvType: 'q9' } } })
    expect(issues.map(({ key }) => key)).toEqual([
      'mod',
      'instances.a.limitBytes',
      'instances.a.contextLength',
      'instances.b.kvType',
    ])
  })

  test('two instances at one address are told', () => {
    const at = { limitBytes: 1, command: 'true', listen: '127.0.0.1:8080' }
    expect(issuesOf({ instances: { a: at, b: { ...at } } })).toMatchObject([
      { key: 'instances.b.listen', instance: 'b' },
    ])
  })

  test('a file that is no model, or an option that it cannot have, is an issue of its instance', () => {
    const broken = join(file('.'), 'broken.gguf')
    writeFileSync(broken, 'GGUF, or so it says')
    const issues = issuesOf({
      totalBytes,
      instances: { a: { model: broken }, b: { model: small, kvType: 'q8_0', flashAttention: false } },
    })
    expect(issues).toMatchObject([
      { kind: 'invalid-model', instance: 'a' },
      { kind: 'invalid-model', instance: 'b' },
    ])
  })

  test('strangers are survived', () => {
    const revoked = Proxy.revocable({}, {})
    revoked.revoke()
    for (const plan of [undefined, null, 7, 'plan', [], () => {}, revoked.proxy, { instances: revoked.proxy }])
      issuesOf(plan)
    issuesOf({ instances: { a: { limitBytes: revoked.proxy, command: revoked.proxy, loras: revoked.proxy } } })
    const hostile = JSON.parse('{"__proto__": {"limitBytes": 1}}')
    expect(issuesOf({ instances: hostile })).toMatchObject([{ kind: 'invalid-value' }])
    // An option that is inherited is none.
    Object.defineProperty(Object.prototype, 'limitBytes', { value: 5, configurable: true })
    try {
      expect(issuesOf({ totalBytes, instances: { a: {} } })).toMatchObject([{ kind: 'missing-value' }])
    } finally {
      delete (Object.prototype as { limitBytes?: number }).limitBytes
    }
  })

  test('a plan that does not fit can be thrown with its issues', () => {
    const report = validatePlan(matrix(8, 10, 12))
    expect(() => report.throwIfFailed()).toThrow(InvalidPlanError)
    expect(() => report.throwIfFailed()).toThrow(/all instances together require 30\.00 GiB/)
    validatePlan(matrix(7, 8, 10)).throwIfFailed()
  })
})
