import { readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import Ajv from 'ajv/dist/2020'
import {
  fixPlan,
  GiB,
  InvalidArgumentError,
  InvalidPlanError,
  IoError,
  kvTypes,
  MiB,
  type Plan,
  parsePlan,
  planModes,
  readPlan,
  runtimes,
  validatePlan,
} from 'plimsoll'
import { root } from './helpers/child'
import { thrownBy } from './helpers/errors'
import { headerOf, llama8b } from './helpers/headers'
import { scratch } from './helpers/models'

const file = scratch()
writeFileSync(file('model.gguf'), headerOf(llama8b))

const issuesOf = (text: string) => thrownBy(InvalidPlanError, () => parsePlan(text)).issues

const yaml = `# A server and a notebook.
board: agx-orin-32gb
instances:
  chat:
    model: model.gguf # beside this file
    contextLength: 8192
    parallel: 2
    kvType: q8_0
    device: gpu
    command: [sh, -c, 'exit 0']
    listen: 127.0.0.1:8080
    upstream: 127.0.0.1:8081
    healthPath: /health
    priority: 10
    idleTimeoutMs: 5min
    restart: no
    restartDelayMs: 500ms
    environment: { CUDA_VISIBLE_DEVICES: '0' }
  notes:
    limitBytes: 2.5GiB
`

describe('parsePlan()', () => {
  test('reads YAML, and JSON as the same', () => {
    const plan = parsePlan(yaml)
    expect(plan.instances?.chat).toMatchObject({
      command: ['sh', '-c', 'exit 0'],
      idleTimeoutMs: 300_000,
      restart: 'no',
      restartDelayMs: 500,
      environment: { CUDA_VISIBLE_DEVICES: '0' },
    })
    expect(plan.instances?.notes).toEqual({ limitBytes: 2.5 * GiB })
    expect(parsePlan(JSON.stringify(plan))).toEqual(plan)
  })

  test('takes anchors and merges as YAML has them', () => {
    const plan = parsePlan('instances:\n  a: &a { limitBytes: 1GiB, priority: 3 }\n  b: { <<: *a, priority: 4 }\n')
    expect(plan.instances).toEqual({ a: { limitBytes: GiB, priority: 3 }, b: { limitBytes: GiB, priority: 4 } })
  })

  test('tells every issue with its line', () => {
    const text =
      'mode: matrix\ninstances:\n  subject:\n    limitBytes: -8GiB\n    contxtLength: 4\n  god: { restart: never }\n'
    expect(issuesOf(text).map(({ line, kind, key }) => [line, kind, key])).toEqual([
      [4, 'invalid-value', 'instances.subject.limitBytes'],
      [5, 'unknown-key', 'instances.subject.contxtLength'],
      [6, 'invalid-value', 'instances.god.restart'],
    ])
    expect(thrownBy(InvalidPlanError, () => parsePlan(text, { path: 'p.yaml' })).message).toMatch(
      /^p\.yaml: \(1\) line 4: .*; \(2\) line 5: unknown key "contxtLength" in instances\.subject; expected "contextLength"; \(3\)/,
    )
  })

  test('tells what is named and not there beside what is wrong, and nothing that follows from that', () => {
    const text = [
      'instances:',
      '  a: { limitBytes: -1, model: none.gguf }',
      '  a: { model: none.gguf, command: "no-such-program" }',
      '  b: { limitBytes: 1GiB, command: [], listen: "127.0.0.1:1" }',
      '  c: { limitBytes: 1GiB, listen: "127.0.0.1:2" }',
    ].join('\n')
    expect(issuesOf(text).map(({ line, kind, key }) => [line, kind, key])).toEqual([
      [3, 'duplicate-name', undefined],
      [4, 'invalid-value', 'instances.b.command'],
      [3, 'missing-command', 'instances.a.command'],
      [5, 'missing-value', 'instances.c.listen'],
      [3, 'missing-model', 'instances.a.model'],
    ])
  })

  test.each([
    ['an alias of nothing', 'b: *x', /^line 3|expected an anchor &x before its alias, got none/],
    ['a merge of a number', '<<: 5', /expected << to have an alias of a map/],
    ['a merge of an alias of a number', 'a: &n 5, <<: *n', /expected << to have an alias of a map/],
    ['a merge of a list with a number', '<<: [5]', /expected << to have an alias of a map/],
  ])('%s is told with its line', (_, entry, message) => {
    expect(issuesOf(`instances:\n  a:\n    { ${entry}, limitBytes: 1 }\n`)).toMatchObject([
      { kind: 'syntax', line: 3, message: expect.stringMatching(message) },
    ])
  })

  test('two instances of one name are told with the line of the second', () => {
    const twice = 'instances:\n  a: { limitBytes: 1 }\n  b: { limitBytes: 1 }\n  a: { limitBytes: 2 }\n'
    expect(issuesOf(twice)).toMatchObject([{ kind: 'duplicate-name', line: 4 }])
    expect(issuesOf('{\n"instances": {"a": {}, \n"a": {}}}')).toMatchObject([{ kind: 'duplicate-name', line: 3 }])
  })

  test('what is no YAML is told with its line', () => {
    expect(issuesOf('instances:\n  a: [1, 2\nb: }')[0]).toMatchObject({ kind: 'syntax', line: expect.any(Number) })
    expect(issuesOf('just words')).toMatchObject([{ kind: 'invalid-value', line: 1 }])
    expect(issuesOf('')).toMatchObject([{ kind: 'invalid-value' }])
    expect(issuesOf('a: 1\n---\nb: 2\n')[0]).toMatchObject({ kind: 'syntax' })
  })

  test.each([
    [
      'aliases of aliases',
      `a: &a [${'x,'.repeat(9)}x]\n${[...'bcdefghij'].map((c, i) => `${c}: &${c} [${`*${'abcdefghij'[i]},`.repeat(9)}1]`).join('\n')}\n`,
    ],
    ['brackets without end', '['.repeat(100_000)],
    ['lists in lists without end', '- '.repeat(100_000)],
    ['a text without end', `#${' '.repeat(256 * 1024)}`],
    ['keys without end', Array.from({ length: 5000 }, (_, i) => `k${i}: 1`).join('\n')],
    ['a tag of another language', 'instances: !!python/object/apply:os.system ["true"]'],
  ])('%s end in an error, soon', (_, text) => {
    expect(issuesOf(text).length).toBeGreaterThan(0)
  })

  test('takes no names of objects for instances', () => {
    expect(issuesOf('instances:\n  __proto__: { limitBytes: 1 }')).toMatchObject([{ kind: 'invalid-value', line: 2 }])
    const { instances } = parsePlan('instances: { constructor: { limitBytes: 1 } }')
    expect(Object.keys(instances ?? {})).toEqual(['constructor'])
  })

  test('refuses what is no text, and options that it has not got', () => {
    thrownBy(InvalidArgumentError, () => parsePlan(7 as unknown as string))
    expect(thrownBy(InvalidArgumentError, () => parsePlan('', { pth: 'x' } as object)).message).toContain('"path"')
  })
})

describe('readPlan()', () => {
  test('sees paths from the folder of the plan, and lines go on to what is found later', () => {
    writeFileSync(file('plan.yaml'), yaml)
    const report = validatePlan(readPlan(file('plan.yaml')))
    expect(report.instances.map(({ id, formula }) => [id, formula])).toEqual([
      ['chat', 'estimate'],
      ['notes', 'limit-only'],
    ])
    writeFileSync(
      file('missing.yaml'),
      yaml.replace('model: model.gguf', 'model: other.gguf').replace('[sh,', '[no-such-sh,'),
    )
    const { issues, path } = thrownBy(InvalidPlanError, () => validatePlan(readPlan(file('missing.yaml'))))
    expect(path).toBe(file('missing.yaml'))
    expect(issues.map(({ kind, line }) => [kind, line])).toEqual([
      ['missing-command', 10],
      ['missing-model', 5],
    ])
    writeFileSync(
      file('large.yaml'),
      'totalBytes: 4GiB\ninstances:\n  a: { limitBytes: 1GiB }\n  b: { limitBytes: 9GiB }\n',
    )
    expect(validatePlan(readPlan(file('large.yaml'))).issues.map(({ kind, line }) => [kind, line])).toEqual([
      ['total-too-large', 2],
      ['instance-too-large', 4],
    ])
  })

  test('refuses what is no file', () => {
    expect(thrownBy(IoError, () => readPlan(file('none.yaml')))).toMatchObject({
      errnoName: 'ENOENT',
      path: file('none.yaml'),
    })
    expect(thrownBy(IoError, () => readPlan('/dev/zero')).message).toContain('a plan in YAML or JSON')
    thrownBy(IoError, () => readPlan(root))
  })
})

describe('fixPlan()', () => {
  const fixOf = (text: string) => {
    const fix = fixPlan(parsePlan(text, { path: file('plan.yaml') }))
    // What is proposed is a plan, and is judged as it says.
    const report = validatePlan(parsePlan(fix.text, { path: file('plan.yaml') }))
    expect(report.passes).toBe(fix.passes)
    expect(validatePlan(parsePlan(JSON.stringify(fix.plan), { path: file('plan.yaml') })).peakBytes).toBe(
      report.peakBytes,
    )
    return { ...fix, peakBytes: report.peakBytes }
  }

  test('leaves a plan that passes as it is, with its comments', () => {
    const { text, changes } = fixOf(yaml)
    expect({ text, changes }).toEqual({ text: yaml, changes: [] })
  })

  test('lowers limits in proportion', () => {
    const text =
      '# Three.\nmode: matrix\ntotalBytes: 31982MiB\ninstances:\n  subject: { limitBytes: 8GiB }\n  observer:\n    limitBytes: 10GiB # too much\n  god: { limitBytes: 12GiB }\n'
    const fix = fixOf(text)
    expect(fix.passes).toBe(true)
    expect(fix.changes).toEqual([
      'subject: limitBytes 7.00 GiB, was 8.00 GiB',
      'observer: limitBytes 9.00 GiB, was 10.00 GiB',
      'god: limitBytes 10.50 GiB, was 12.00 GiB',
    ])
    expect(fix.text).toBe(text.replace('8GiB', '7GiB').replace('10GiB', '9GiB').replace('12GiB', '10.5GiB'))
  })

  test('changes an instance that stands for another by itself', () => {
    const head = 'mode: matrix\ntotalBytes: 31982MiB\ninstances:\n'
    const fix = fixOf(`${head}  subject: &s { limitBytes: 10GiB }\n  observer: *s\n  god: { limitBytes: 10GiB }\n`)
    expect(fix).toMatchObject({ passes: true })
    expect(fix.changes).toHaveLength(3)
    expect(fix.text).not.toContain('*s')
  })

  test('makes caches smaller where limits do not do, those of the lowest priority first', () => {
    const of = (priority: number) => `{ model: model.gguf, contextLength: 32768, priority: ${priority} }`
    const fix = fixOf(
      `totalBytes: 28GiB\ninstances:\n  high: ${of(2)}\n  low: ${of(1)}\n  notes: { limitBytes: 1GiB }\n`,
    )
    expect({ passes: fix.passes, changed: fix.changes.length > 0 }).toEqual({ passes: true, changed: true })
    expect(fix.changes.filter((change) => change.startsWith('high'))).toEqual([])
  })

  test('makes a cache smaller before a limit that nobody knows the need behind becomes useless', () => {
    const plan = (gib: number) =>
      `totalBytes: ${gib}GiB\ninstances:\n  chat: { model: model.gguf, contextLength: 32768 }\n  vision: { limitBytes: 6GiB }\n`
    const fix = fixOf(plan(18))
    expect({ passes: fix.passes, vision: fix.plan.instances?.vision?.limitBytes }).toEqual({
      passes: true,
      vision: 6 * GiB,
    })
    expect(fix.changes.every((change) => change.startsWith('chat: '))).toBe(true)
    // Where no cache is small enough, it is lowered all the same.
    const tight = fixOf(plan(11))
    expect(tight.passes).toBe(true)
    expect(tight.plan.instances?.vision?.limitBytes).toBeLessThan(6 * GiB)
  })

  test('starts what is heavy to load first', () => {
    const [heavy, light] = ['{ model: model.gguf, device: gpu, contextLength: 512 }', '{ limitBytes: 2GiB }']
    const loads = validatePlan(
      parsePlan(`totalBytes: 999GiB\ninstances: { heavy: ${heavy} }`, { path: file('plan.yaml') }),
    )
    const total = Math.ceil((loads.peakBytes + 256 * MiB) / 0.85)
    const fix = fixOf(`totalBytes: ${total}\ninstances:\n  light: ${light}\n  heavy: ${heavy}\n`)
    expect(fix).toMatchObject({ passes: true, changes: ['start in the order heavy, light'] })
    expect(fix.text.indexOf('heavy:')).toBeLessThan(fix.text.indexOf('light:'))
  })

  test('says so where nothing fits', () => {
    const fix = fixOf('totalBytes: 1GiB\ninstances:\n  a: { model: model.gguf }\n')
    expect(fix.passes).toBe(false)
    expect(fix.report.issues.map(({ kind }) => kind)).toContain('instance-too-large')
  })
})

describe('the schema', () => {
  const schema = JSON.parse(readFileSync(resolve(root, 'dist/plan.schema.json'), 'utf8'))
  const accepts = new Ajv({ allowUnionTypes: true, strict: false }).compile(schema)
  const plainOf = (plan: unknown): unknown => JSON.parse(JSON.stringify(plan))

  test('is what the package exports', () => {
    expect(require('plimsoll/plan.schema.json')).toEqual(schema)
  })

  test('has the names that the package has', () => {
    const { properties, $defs } = schema
    expect(properties.mode.enum).toEqual(planModes)
    expect([...$defs.kvType.enum].sort()).toEqual([...kvTypes].sort())
    expect($defs.instance.properties.runtime.enum).toEqual(runtimes)
  })

  test('describes everything that an instance may have', () => {
    for (const part of Object.values({ ...schema.properties, ...schema.$defs.instance.properties })) {
      expect(part).toHaveProperty('description')
    }
  })

  test.each([yaml, 'mode: single', 'instances: { a: { limitBytes: 1 } }', 'mode: matrix\ntotalBytes: " 31.5 gib "'])(
    'accepts what is a plan: %#',
    (text) => {
      expect(accepts(plainOf(parsePlan(text)))).toBe(true)
    },
  )

  test.each<unknown>([
    7,
    { mode: 'duo' },
    { instances: [] },
    { instances: { '1': {} } },
    { instances: { a: { limitByte: 1 } } },
    { instances: { a: { limitBytes: 0 } } },
    { instances: { a: { limitBytes: '8 parsecs' } } },
    { instances: { a: { restartDelayMs: '5' } } },
    { instances: { a: { command: 'sh -c "x"' } } },
    { instances: { a: { command: [] } } },
    { instances: { a: { listen: '127.0.0.1:70000' } } },
    { instances: { a: { environment: { 'A-B': 'x' } } } },
    { safetyMarginPercent: 100 },
  ])('refuses what the package refuses: %j', (plan) => {
    expect(accepts(plan)).toBe(false)
    thrownBy(InvalidPlanError, () => validatePlan(plan as Plan))
  })
})
