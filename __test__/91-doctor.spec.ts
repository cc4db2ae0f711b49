import { boardPresets, loadedAddon, machineMemory } from '../index'
import { runNode } from './helpers/child'

const doctor = (...args: string[]) => runNode(['cli.js', 'doctor', ...args])
const document = (...args: string[]) => JSON.parse(doctor('--json', ...args).stdout)

test('shows the machine, the line with its terms, and the process', () => {
  const { status, stdout, stderr } = doctor()
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  for (const heading of ['Program', 'Machine', 'Line', 'This process']) {
    expect(stdout).toMatch(new RegExp(`^${heading}`, 'm'))
  }
  expect(stdout.match(/▸/g)).toHaveLength(1)
})

test('--json gives every figure as a number of bytes', () => {
  expect(document()).toEqual({
    version: expect.any(String),
    node: process.versions.node,
    platform: process.platform,
    system: expect.any(String),
    architecture: process.arch,
    instructionSet: expect.any(String),
    addon: loadedAddon(),
    machine: {
      totalBytes: machineMemory().totalBytes,
      availableBytes: expect.any(Number),
      cgroup: machineMemory().cgroup ?? null,
    },
    board: null,
    line: { lineBytes: expect.any(Number), binding: expect.any(String), terms: expect.any(Array) },
    process: {
      rssBytes: expect.any(Number),
      peakRssBytes: expect.any(Number),
      anonymousBytes: expect.any(Number),
      fileBytes: expect.any(Number),
      shmemBytes: expect.any(Number),
    },
  })
})

test('the lowest term comes first and draws the line', () => {
  const { line } = document()
  const bytes: number[] = line.terms.map((term: { bytes: number }) => term.bytes)
  expect(bytes).toEqual([...bytes].sort((a, b) => a - b))
  expect(line.terms[0]).toMatchObject({ kind: line.binding, bytes: line.lineBytes })
})

test('--max moves the line', () => {
  expect(document('--max', '64 MiB').line).toMatchObject({ lineBytes: 64 * 1024 * 1024, binding: 'maximum' })
})

test('--margin moves its term', () => {
  const { machine, line } = document('--margin', '50')
  const term = line.terms.find((each: { kind: string }) => each.kind === 'safety-margin')
  expect(term.bytes).toBe(machine.totalBytes / 2)
})

test('--board adds the preset and its term', () => {
  const { board, line } = document('--board', 'orin-nano-8gb')
  expect(board).toEqual(boardPresets.find((preset) => preset.id === 'orin-nano-8gb'))
  expect(line.terms).toContainEqual(expect.objectContaining({ kind: 'preset', bytes: board.usableBytes }))
})

test('--boards lists every preset', () => {
  const { stdout } = doctor('--boards')
  for (const { id, name } of boardPresets) expect(stdout).toMatch(new RegExp(`^  ${id} .* ${name}$`, 'm'))
  expect(document('--boards')).toEqual({ boards: boardPresets })
})

test.each([
  [['--board', 'orin-nano-8g'], 'did you mean "orin-nano-8gb"?'],
  [['--margin', 'half'], 'expected --margin to be a number, got "half"'],
  [['--margin', '100'], 'expected --margin to be a number from 0 to below 100, got 100'],
  [['--max', 'lots'], 'expected --max to be a size'],
])('an unfit value ends with 2: %j', (args, message) => {
  const { status, stderr } = doctor(...args)
  expect(status).toBe(2)
  expect(stderr).toContain(message)
})
