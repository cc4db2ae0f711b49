import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root, runNode } from './helpers/child'

const sample = 'examples/models/plimsoll-sample-llama.gguf'
const plimsoll = (...args: string[]) => runNode(['dist/cli.js', ...args])

const ANSI = '\x1b['

describe('help and version', () => {
  test('--help lists every verb and what the exit codes mean', () => {
    const { status, stdout, stderr } = plimsoll('--help')
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    for (const text of [
      'doctor',
      'blackbox [FILE]',
      'cache [PATH...]',
      'inspect FILE|URL',
      'load FILE',
      'metrics',
      'pools FILE',
      'replay FILE',
      'top',
      'up FILE',
      'does not fit',
      'broken input',
    ]) {
      expect(stdout).toContain(text)
    }
  })

  test.each([
    ['doctor', ['--board ID', '--boards', '--devices', '--root DIR', '--json']],
    ['blackbox', ['[FILE]', '--name NAME', '--boot WHICH', '--json']],
    ['cache', ['[PATH...]', '--drop', '--json']],
    ['inspect', ['--header-only', '--json']],
    ['load', ['--as raw|f32|f16|bf16', '--chunk SIZE', '--tensor NAME ...', '--json']],
    ['dashboard', ['--port N', '--interval TIME', '--name NAME', '--json']],
    ['metrics', ['--port N', '--name NAME', '--margin PERCENT', '--json']],
    ['pools', ['--html OUT', '--at N', '--slab SIZE', '--json']],
    ['replay', ['--device auto|host|', '--slab SIZE', '--page SIZE', '--defragment', '--repeat N', '--json']],
    ['top', ['--interval TIME', '--count N', '--pid PID', '--json', 'print one JSON document a line']],
    ['up', ['FILE', '--check', '--name NAME', '--directory DIR', '--group GID', '--json']],
  ])('%s --help lists its options and runs nothing', (verb, options) => {
    const { status, stdout } = plimsoll(verb, '--help')
    expect(status).toBe(0)
    for (const option of options) expect(stdout).toContain(option)
  })

  test('--version prints the version of the package', () => {
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    expect(plimsoll('--version').stdout).toBe(`${version}\n`)
    expect(plimsoll('-v').stdout).toBe(`${version}\n`)
  })

  test('help is given in every way that it is asked for', () => {
    const [program, verb] = [plimsoll('--help').stdout, plimsoll('load', '--help').stdout]
    for (const args of [['-h'], ['help'], ['help', 'help']])
      expect(plimsoll(...args)).toMatchObject({ status: 0, stdout: program })
    for (const args of [
      ['load', '-h'],
      ['-h', 'load'],
      ['--help', 'load'],
      ['help', 'load'],
    ]) {
      expect(plimsoll(...args)).toMatchObject({ status: 0, stdout: verb })
    }
    expect(plimsoll('help', 'lod')).toMatchObject({ status: 2, stderr: expect.stringContaining('"load"') })
  })

  test('no line of the help is cut where there is no terminal', () => {
    const { verbs } = JSON.parse(plimsoll('--help', '--json').stdout) as { verbs: { verb: string }[] }
    const cut = [[], ...verbs.map(({ verb }) => [verb])].filter((of) => plimsoll(...of, '--help').stdout.includes('…'))
    expect(cut).toEqual([])
  })

  test('with --json the help is a document: of a verb its options, of the program all verbs', () => {
    const top = JSON.parse(plimsoll('top', '--help', '--json').stdout)
    expect(top).toMatchObject({
      verb: 'top',
      operand: null,
      command: null,
      summary: expect.stringContaining('live view'),
    })
    const interval = { option: '--interval', short: null, value: 'TIME', repeatable: false, help: expect.any(String) }
    expect(top.options).toContainEqual(interval)
    expect(top.options).toContainEqual(expect.objectContaining({ option: '--help', short: '-h', value: null }))
    for (const args of [
      ['--json', 'help', 'top'],
      ['--json', '-h', 'top'],
    ]) {
      expect(JSON.parse(plimsoll(...args).stdout)).toEqual(top)
    }

    const program = JSON.parse(plimsoll('--help', '--json').stdout)
    expect(program.verbs).toContainEqual(top)
    expect(program.verbs).toContainEqual(
      expect.objectContaining({ verb: 'run', command: 'COMMAND ARGS', options: expect.any(Array) }),
    )
    const load = program.verbs.find(({ verb }: { verb: string }) => verb === 'load')
    expect(load).toMatchObject({ operand: 'FILE' })
    expect(load.options).toContainEqual(expect.objectContaining({ option: '--tensor', repeatable: true }))
    expect(program.options).toContainEqual(expect.objectContaining({ option: '--version', short: '-v' }))
    expect(program.exitCodes).toContainEqual({ code: 2, meaning: 'wrong use' })
    // What the document says is what people read.
    const told = plimsoll('top', '--help').stdout
    for (const { help } of top.options) expect(told).toContain(` ${help}\n`)
  })

  test('options may stand before the verb', () => {
    const { stdout } = plimsoll('inspect', sample, '--json')
    expect(plimsoll('--json', 'inspect', sample).stdout).toBe(stdout)
    expect(plimsoll('--header-only', '--json', 'inspect', sample)).toMatchObject({ status: 0 })
    const { status, stderr } = plimsoll('--jsn', 'inspect', sample)
    expect([status, stderr]).toEqual([2, expect.stringContaining('plimsoll inspect: unknown option "--jsn"')])
    // A file may be called as a verb is.
    expect(plimsoll('inspect', 'load')).toMatchObject({ status: 3 })
  })
})

describe('wrong use ends with 2 and says what is right', () => {
  test.each([
    [
      [],
      'expected a verb: doctor, blackbox, cache, dashboard, estimate, fit, inspect, ledger, load, metrics, plan, pools, replay, run, top, up',
    ],
    [['insepct', sample], 'unknown verb "insepct"; did you mean "inspect"?'],
    [['doc'], 'unknown verb "doc"; did you mean "doctor"?'],
    [['down'], 'unknown verb "down"; expected one of doctor'],
    [['inspect', sample, '--color'], 'unknown option "--color"; expected one of --'],
    [['load', sample, '--foo'], 'unknown option "--foo"; expected one of --'],
    [
      ['frobnicate'],
      'unknown verb "frobnicate"; expected one of doctor, blackbox, cache, dashboard, estimate, fit, inspect, ledger, load, metrics, plan, pools, replay, run, top, up',
    ],
    [['hlp'], 'unknown verb "hlp"; did you mean "help"?'],
    [['--json', 'doctr'], 'unknown verb "doctr"; did you mean "doctor"?'],
    [['--max', '4GiB', 'doctr'], 'unknown verb "doctr"; did you mean "doctor"?'],
    [['--help', 'doctr'], 'unknown verb "doctr"; did you mean "doctor"?'],
    [['--json'], 'expected a verb: doctor,'],
    [['--jsn'], 'unknown option "--jsn"; did you mean "--json"?'],
    [['--frobnicate'], 'unknown option "--frobnicate"; expected one of --json, --help, --version'],
    [['--vesion'], 'unknown option "--vesion"; did you mean "--version"?'],
    [['doctor', '--jsn'], 'unknown option "--jsn"; did you mean "--json"?'],
    [['load', sample, '--chnk', '1MiB'], 'did you mean "--chunk"?'],
    [['load', sample, '--json=yes'], "'--json' does not take an argument"],
    [['load', sample, '--chunk'], "'--chunk <value>' argument missing"],
    [['inspect'], 'expected a FILE, got none'],
    [['inspect', sample, 'other'], 'expected one FILE, got also "other"'],
    [['doctor', sample], 'expected no operand'],
  ])('%j', (args, message) => {
    const { status, stdout, stderr } = plimsoll(...args)
    // For --json the error is the document.
    if (args.includes('--json')) expect(JSON.parse(stdout)).toEqual({ error: expect.anything() })
    else expect(stdout).toBe('')
    expect(status).toBe(2)
    expect(stderr).toMatch(/^plimsoll/)
    expect(stderr).toContain(message)
  })

  test('with --json the error is the one document on stdout, and still told on stderr', () => {
    const { status, stdout, stderr } = plimsoll('load', '--json', '--as', 'f23', sample)
    expect(status).toBe(2)
    expect(JSON.parse(stdout)).toEqual({
      error: { code: 'ERR_INVALID_ARGUMENT', message: 'unknown value "f23" of --as; did you mean "f32"?' },
    })
    expect(stderr).toContain('did you mean "f32"?')
  })
})

describe('an option is called as on the command line in what the package says of its value', () => {
  const ofRun = ['run', '--memory', '1MiB']
  const much = '99999999999'
  const calls: [args: string[], flag: string][] = [
    [['blackbox', '--name', '../x'], '--name'],
    [['dashboard', '--name', '../x'], '--name'],
    [['ledger', '--name', '../x'], '--name'],
    [['metrics', '--name', '../x'], '--name'],
    [['top', '--name', '../x'], '--name'],
    [[...ofRun, '--name', '../x', '--', 'true'], '--name'],
    [[...ofRun, '--directory', '', '--', 'true'], '--directory'],
    [[...ofRun, '--black-box', '', '--', 'true'], '--black-box'],
    [['top', '--pid', much], '--pid'],
    [['doctor', '--margin', '100'], '--margin'],
    [['load', sample, '--threads', '99'], '--threads'],
    [['load', sample, '--chunk', '1'], '--chunk'],
    [['inspect', 'http://127.0.0.1:9/x.gguf', '--header', 'range: x'], '--header'],
    [['estimate', sample, '--context', much], '--context'],
    [['estimate', sample, '--parallel', '999'], '--parallel'],
    [['estimate', sample, '--kv-type', 'q4_0', '--no-flash-attention'], '--kv-type'],
    [['estimate', sample, '--kv-type-v', 'q4_0', '--no-flash-attention'], '--kv-type-v'],
    [['estimate', sample, '--draft', sample, '--draft-kv-type', 'q4_0', '--no-flash-attention'], '--draft-kv-type'],
    [['estimate', sample, '--context', '512', '--draft', sample, '--draft-context', much], '--draft-context'],
    [['estimate', sample, '--draft', sample, '--draft-gpu-layers', much], '--draft-gpu-layers'],
    [['estimate', sample, '--mtp', '--draft-tokens', much], '--draft-tokens'],
    [['estimate', sample, '--checkpoints', much], '--checkpoints'],
    [['estimate', sample, '--verify', much], '--verify'],
    [['estimate', '--params', '7B', '--quant', 'Q9'], '--quant'],
    [['estimate', '--params', '7B', '--shape', 'none'], '--shape'],
    [['fit', sample, '--ubatches', much], '--ubatches'],
    [['fit', sample, '--kv-types', 'q4_0', '--no-flash-attention'], '--kv-types'],
    [['fit', sample, '--n-cpu-moe', much], '--n-cpu-moe'],
    [['fit', sample, '--cpu-tensors', '['], '--cpu-tensors'],
    [['plan', '--mode', 'single', '--total', '0'], '--total'],
    [['plan', '--mode', 'single', '--model', 'none.gguf'], '--model'],
  ]
  test.each(calls)('%j: %s', (args, flag) => {
    const { stderr } = plimsoll(...args)
    expect(stderr).toContain(`plimsoll ${args[0]}: expected ${flag} to be `)
  })

  test('and so is another that the sentence names', () => {
    const { stderr } = plimsoll('fit', sample, '--min-context', '4096', '--max-context', '100')
    expect(stderr).toContain('expected --min-context to be at most --max-context, which is 100, got 4096')
  })
})

describe('output', () => {
  test.each([
    [['doctor']],
    [['inspect', sample]],
    [['load', sample]],
    [['top', '--count', '1']],
    [['inspect', 'missing.gguf']],
  ])('a pipe gets no terminal codes: %j', (args) => {
    const { stdout, stderr } = runNode(['dist/cli.js', ...args], { through: ['env', 'FORCE_COLOR=1'] })
    expect(stdout + stderr).not.toContain(ANSI)
  })

  test('a reader that leaves early is no error', () => {
    const { stdout, stderr } = spawnSync(
      'sh',
      ['-c', `"${process.execPath}" dist/cli.js inspect ${sample} | head -n 1`],
      {
        cwd: root,
        encoding: 'utf8',
      },
    )
    expect(stdout).toBe('plimsoll-sample-llama.gguf\n')
    expect(stderr).toBe('')
  })

  const full = existsSync('/dev/full') ? test : test.skip
  full('output that cannot be written ends with 4', () => {
    const { status, stderr } = spawnSync('sh', ['-c', `"${process.execPath}" dist/cli.js doctor > /dev/full`], {
      cwd: root,
      encoding: 'utf8',
    })
    expect(status).toBe(4)
    expect(stderr).toContain('expected to write to stdout, but ENOSPC')
  })
})

/** A terminal made by script(1) of util-linux, whose arguments other systems do not take. */
const hasTerminal = spawnSync('script', ['-qec', 'true', '/dev/null']).status === 0
if (!hasTerminal) console.warn('script(1) is missing: terminal manners are not tested')

;(hasTerminal ? describe : describe.skip)('on a terminal', () => {
  const onTerminal = (command: string, env: NodeJS.ProcessEnv = {}): string => {
    // Node.js takes a terminal for one without colours where CI is set.
    const { NO_COLOR: _, NODE_DISABLE_COLORS: __, FORCE_COLOR: ___, CI: ____, ...inherited } = process.env
    const line = `"${process.execPath}" dist/cli.js ${command}`
    const options = { cwd: root, encoding: 'utf8', env: { ...inherited, TERM: 'xterm-256color', ...env } } as const
    return spawnSync('script', ['-qec', line, '/dev/null'], options).stdout
  }

  test('headings are bold', () => {
    expect(onTerminal('doctor')).toContain(`${ANSI}1mMachine`)
  })

  test('NO_COLOR is honoured', () => {
    const output = onTerminal('doctor', { NO_COLOR: '1' })
    expect(output).toContain('Machine')
    expect(output).not.toContain(ANSI)
  })

  test('a load shows its progress on stderr and wipes it at the end', () => {
    const output = onTerminal(`load ${sample} --chunk 4KiB 2>&1 >/dev/null`)
    expect(output).toContain('─')
    expect(output.endsWith(`\r${ANSI}K`)).toBe(true)
  })

  test('a terminal that cannot redraw a line gets no progress', () => {
    expect(onTerminal(`load ${sample} 2>&1 >/dev/null`, { TERM: 'dumb' })).toBe('')
  })
})
