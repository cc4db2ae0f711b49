import { writeFileSync } from 'node:fs'
import { GiB, parsePlan, validatePlan } from 'plimsoll'
import { runNode } from './helpers/child'
import { headerOf, llama1b } from './helpers/headers'
import { scratch } from './helpers/models'

const file = scratch()
const plimsoll = (...args: string[]) => runNode(['dist/cli.js', 'plan', ...args])
const document = (...args: string[]) => JSON.parse(plimsoll(...args, '--json').stdout)

const path = file('plan.yaml')
const text = `# Three that shall run together.
mode: matrix
totalBytes: 31982MiB
instances:
  subject: { limitBytes: 8GiB }
  observer: { limitBytes: 10GiB }
  god: { limitBytes: 12GiB } # the largest
`
writeFileSync(path, text)
writeFileSync(file('model.gguf'), headerOf(llama1b))

test('a plan that does not fit ends with 1, its issues and what would mend it', () => {
  const { status, stdout, stderr } = plimsoll(path)
  expect({ status, stderr }).toEqual({ status: 1, stderr: '' })
  expect(stdout).toBe(`${validatePlan(parsePlan(text, { path }))}\n`)
  expect(stdout).toContain('Total required: 30.00 GiB / 26.55 GiB')
  expect(stdout).toContain('  1. line 4: all instances together require 30.00 GiB')
  expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(120)
})

test('options count before the file', () => {
  const limits = ['--ram-limit-subject', '7G', '--ram-limit-observer=8G', '--ram-limit-god', '10GiB']
  const passed = plimsoll(path, ...limits)
  expect(passed).toMatchObject({ status: 0, stderr: '' })
  expect(passed.stdout).toMatch(/^PLAN PASSED /m)
  expect(document(path, '--total', '64G', '--safety-margin', '50', '--headroom', '3G')).toMatchObject({
    passes: true,
    totalBytes: 64 * GiB,
    usableBytes: 32 * GiB,
    headroomBytes: 3 * GiB,
  })
  expect(document(path, '--board', 'agx-orin-64gb').passes).toBe(true)
})

test('a mode needs no file, and has limits that pass', () => {
  expect(plimsoll('--mode', 'matrix', '--total', '32G').status).toBe(0)
  const model = file('model.gguf')
  const { instances, passes } = document('--mode', 'single', '--model', model, '--rule-of-thumb', '--total', '16G')
  expect({ passes, instances }).toMatchObject({
    passes: true,
    instances: [{ id: 'subject', limitBytes: 12 * GiB, formula: 'rule-of-thumb', model }],
  })
  expect(document('--ram-limit-chat', '4G', '--total', '8G').instances).toMatchObject([
    { id: 'chat', limitBytes: 4 * GiB },
  ])
})

test('--json has the report, with null for what is not there', () => {
  const { path: told, issues, advice, ...report } = document(path)
  expect(told).toBe(path)
  expect(report).toMatchObject({ passes: false, mode: 'matrix', bound: 'safety-margin', requiredBytes: 30 * GiB })
  expect(issues).toMatchObject([{ kind: 'total-too-large', line: 4, instance: null, neededBytes: 30 * GiB }])
  expect(advice[0]).toMatchObject({ kind: 'limit', instance: 'subject', savedBytes: null })
})

test('--fix prints a plan that fits, which can be written to a file', () => {
  const { status, stdout } = plimsoll(path, '--fix')
  expect(status).toBe(0)
  expect(stdout).toMatch(/^# This plan fits\. It was changed:\n# - subject: limitBytes 7\.00 GiB, was 8\.00 GiB\n/)
  expect(stdout).toContain('  god: { limitBytes: 10.5GiB } # the largest\n')
  writeFileSync(file('fixed.yaml'), stdout)
  expect(plimsoll(file('fixed.yaml')).status).toBe(0)
  const { passes, changes, text: proposed, report } = document(path, '--fix')
  expect({ passes, count: changes.length, fits: report.passes }).toEqual({ passes: true, count: 3, fits: true })
  expect(validatePlan(parsePlan(proposed)).passes).toBe(true)
})

test('--fix of a plan in JSON is JSON', () => {
  const json = file('plan.json')
  writeFileSync(json, JSON.stringify(parsePlan(text)))
  const { status, stdout } = plimsoll(json, '--fix')
  expect(status).toBe(0)
  expect(JSON.parse(stdout).instances.god).toEqual({ limitBytes: '10.5GiB' })
})

test('--fix of what cannot fit ends with 1', () => {
  writeFileSync(file('huge.yaml'), 'totalBytes: 1GiB\ninstances: { a: { model: model.gguf } }\n')
  const { status, stdout } = plimsoll(file('huge.yaml'), '--fix')
  expect(status).toBe(1)
  expect(stdout).toMatch(/^# No change makes this plan fit/)
})

test('a plan that is wrong ends with 1 and every issue with its line, and what is no plan with 3', () => {
  writeFileSync(file('wrong.yaml'), 'instances:\n  a: { limitByte: 1 }\n  b: { model: none.gguf }\n')
  const wrong = plimsoll(file('wrong.yaml'))
  expect(wrong).toMatchObject({ status: 1, stdout: '' })
  expect(wrong.stderr).toMatch(/line 2: unknown key "limitByte" .* expected "limitBytes"/)
  const { error } = document(file('wrong.yaml'))
  expect(error).toMatchObject({
    code: 'ERR_INVALID_PLAN',
    issues: [
      { kind: 'unknown-key', line: 2 },
      { kind: 'missing-model', line: 3 },
    ],
  })
  writeFileSync(file('broken.yaml'), 'instances: [\n')
  expect(plimsoll(file('broken.yaml'))).toMatchObject({ status: 3, stdout: '' })
  expect(plimsoll(file('none.yaml'))).toMatchObject({ status: 3, stdout: '' })
})

test.each([
  [[], /expected a FILE, --mode, or --ram-limit-ID/],
  [['--mode', 'duo'], /unknown value "duo" of --mode/],
  [['--ram-limit-a', 'much'], /expected --ram-limit-a to be a size/],
  [['--ram-limit-a', '0'], /expected --ram-limit-a to be a size from 1 byte up/],
  [['--ram-limit-', '1G'], /unknown option "--ram-limit-"/],
  [['--ram-limits-a', '1G'], /unknown option "--ram-limits-a"/],
  [['--mode', 'single', '--safety-margin', '100'], /from 0 to below 100/],
  [['--mode', 'single', '--board', 'agx-orin-64gb', '--total', '8G'], /--board or --total/],
])('%j is wrong use', (args, message) => {
  const { status, stdout, stderr } = plimsoll(...args)
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
  expect(stderr).toMatch(message)
})
