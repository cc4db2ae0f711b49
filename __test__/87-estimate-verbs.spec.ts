import { truncateSync, writeFileSync } from 'node:fs'
import { estimate as estimateOf, fit as fitOf, GgufFile, GiB } from 'plimsoll'
import { root, runNode, startBesideOthers } from './helpers/child'
import { headerOf, llama1b, llama8b, mtpHeader } from './helpers/headers'
import { serving } from './helpers/model-server'
import { sampleBytes, samplePath, scratch } from './helpers/models'

const file = scratch()
const large = file('llama-8b.gguf')
const small = file('llama-1b.gguf')
writeFileSync(large, headerOf(llama8b))
writeFileSync(small, headerOf(llama1b))
const ahead = file('mtp.gguf')
writeFileSync(ahead, mtpHeader())

/** What tests are called by must not change from run to run, as folders do. */
const models: Readonly<Record<string, string>> = { '8b.gguf': large, '1b.gguf': small }
const plimsoll = (...args: string[]) => runNode(['dist/cli.js', ...args.map((word) => models[word] ?? word)])
const document = (...args: string[]) => JSON.parse(plimsoll(...args, '--json').stdout)

/** The words of a line as a shell has them: one may stand in quotes. */
const words = (line: string) => (line.match(/'[^']*'|\S+/g) ?? []).map((word) => word.replace(/^'(.*)'$/, '$1'))

describe('plimsoll estimate', () => {
  test('shows parts, devices and the peak', () => {
    const options = ['--context', '8192', '--parallel', '2', '--gpu-layers', 'all', '--board', 'orin-nano-8gb']
    const { status, stdout, stderr } = plimsoll('estimate', small, ...options)
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    for (const row of [
      /^ {2}family +llama$/m,
      /^ {2}context +8,192 tokens in each of 2 slots$/m,
      /^ {2}keys and values +512\.00 MiB {2}━/m,
      /^ {2}weights, in the page cache .* while it is loaded$/m,
      /^ {2}gpu +\d/m,
      /^ {2}fits +\d.* of the 6\.00 GiB that the board orin-nano-8gb has$/m,
    ]) {
      expect(stdout).toMatch(row)
    }
    expect(Math.max(...stdout.split('\n').map((line) => [...line].length))).toBeLessThanOrEqual(120)
  })

  test('--json has what the package gives, and the options reach it', () => {
    const options = ['--context', '4096', '--kv-type', 'q8_0', '--ubatch', '128', '--no-repack', '--draft', small]
    using model = GgufFile.open(large, { headerOnly: true })
    using draft = GgufFile.open(small, { headerOnly: true })
    const run = { contextLength: 4096, kvTypeK: 'q8_0', kvTypeV: 'q8_0', ubatch: 128, repack: false, draft } as const
    const { model: name, fits, budget, command, ...figures } = document('estimate', large, ...options)
    expect(figures).toEqual(JSON.parse(JSON.stringify(estimateOf(model, run))))
    expect({ name, command, named: budget.named }).toEqual({ name: large, command: null, named: false })
    expect(typeof fits).toBe('boolean')
  })

  test('reads a command line of llama-server behind --', () => {
    const argv = ['llama-server', '-m', large, '-c', '8192', '-np', '2', '--cache-ram', '64', '-ot', 'exps=CUDA0']
    const { command, contextLength, computeExact } = JSON.parse(plimsoll('estimate', '--json', '--', ...argv).stdout)
    expect({ contextLength, computeExact }).toEqual({ contextLength: 4096, computeExact: false })
    expect(command).toMatchObject({ program: 'llama-server', notUnderstood: [{ argument: '-ot exps=CUDA0' }] })
    expect(plimsoll('estimate', '--', ...argv).stdout).toMatch(/^Not understood .*\n\n {2}-ot exps=CUDA0 /m)
  })

  test('has options that go before a command line, and some of a draft model', () => {
    const argv = ['--', 'llama-server', '-m', large, '-c', '4096', '-fa', 'off', '--no-mmap', '-ctk', 'f16']
    const of = (...options: string[]) => JSON.parse(plimsoll('estimate', '--json', ...options, ...argv).stdout)
    const [said, other] = [of(), of('--flash-attention', '--mmap', '--no-repack')]
    expect(other.computeBoundBytes).toBeLessThan(said.computeBoundBytes)
    expect([said, other].map(({ devices: [cpu] }) => cpu.mappedBytes > 0)).toEqual([false, true])
    const options = ['--context', '4096', '--no-repack', '--draft', small, '--draft-context', '1024']
    const drafted = document('estimate', large, ...options, '--draft-kv-type', 'q8_0', '--draft-gpu-layers', 'all')
    using model = GgufFile.open(large, { headerOnly: true })
    using draft = GgufFile.open(small, { headerOnly: true })
    const own = { model: draft, contextLength: 1024, kvTypeK: 'q8_0', kvTypeV: 'q8_0', gpuLayers: 2 ** 31 - 1 } as const
    const { extras } = estimateOf(model, { contextLength: 4096, repack: false, draft: own })
    expect(drafted.extras).toEqual(extras)
    const alone = document('estimate', ahead, '--mtp', '--draft-tokens', '4', '--cpu-tensors', 'attn')
    expect(alone.extras.map(({ kind }: { kind: string }) => kind)).toContain('mtp')
  })

  test('estimates a model before its download', async () => {
    await using server = await serving(sampleBytes())
    const url = `${server.origin}/sample.gguf`
    const { status, stdout } = await startBesideOthers(['dist/cli.js', 'estimate', url, '--json'], root, 60_000)
    const { model, budget, ...remote } = JSON.parse(stdout)
    expect({ status, model, named: budget.named }).toEqual({ status: 0, model: url, named: false })
    expect(document('estimate', samplePath)).toMatchObject(remote)
  })

  test('estimates without a file', () => {
    const { weightsBytes } = document('estimate', '--params', '7B', '--quant', 'q4_k_m')
    expect(weightsBytes).toBe(Math.ceil((7e9 * 4.8944) / 8))
    expect(document('estimate', '--params', '350M').weightsBytes).toBe(Math.ceil((350e6 * 16.0005) / 8))
    const config = file('config.json')
    const dimensions = { hidden_size: 2048, num_hidden_layers: 16, num_attention_heads: 32, intermediate_size: 8192 }
    writeFileSync(config, JSON.stringify({ model_type: 'llama', vocab_size: 32_000, ...dimensions }))
    expect(document('estimate', '--config', config)).toMatchObject({ architecture: 'llama', known: true })
  })

  test('takes the size of a file of RKLLM, and the dimensions of what it was made of', () => {
    const [rkllm, config] = [file('model.RKLLM'), file('of-rkllm.json')]
    writeFileSync(rkllm, '')
    truncateSync(rkllm, 6e9)
    const dimensions = { hidden_size: 2048, num_hidden_layers: 36, num_attention_heads: 16, intermediate_size: 11_008 }
    writeFileSync(config, JSON.stringify({ model_type: 'qwen2', vocab_size: 151_936, ...dimensions }))
    const found = document('estimate', rkllm, '--config', config, '--context', '4096')
    expect(found).toMatchObject({ model: rkllm, weightsBytes: 6e9, npuDomains: 2, extras: [] })
    const { stdout } = plimsoll('estimate', rkllm, '--config', config, '--context', '4096')
    expect(stdout).toMatch(/^ {2}NPU +at least 2 domains of 4\.00 GiB$/m)
    expect(plimsoll('estimate', rkllm)).toMatchObject({ status: 2, stderr: expect.stringContaining('--config') })
    expect(plimsoll('fit', rkllm)).toMatchObject({ status: 2, stderr: expect.stringContaining('plimsoll estimate') })
    const none = plimsoll('estimate', file('none.rkllm'), '--config', config)
    expect(none).toMatchObject({ status: 3, stderr: expect.stringContaining('none.rkllm') })
  })

  test('has the compute buffer of the version that is named', () => {
    const of = (version: string) => document('estimate', small, '--llama-cpp-version', version)
    expect(of('0.6')).toMatchObject({ computeExact: true })
    expect(of('0.6').computeBytes).toBeGreaterThan(of('0.5').computeBytes)
    expect(plimsoll('estimate', small, '--llama-cpp-version', '0.4').status).toBe(2)
  })

  test('shows each layer where it is asked for', () => {
    expect(plimsoll('estimate', small, '--layers').stdout).toMatch(/^ +15 +\d/m)
  })

  test('ends with 1 where a budget was named that is too small', () => {
    const { status, stdout } = plimsoll('estimate', large, '--max', '2GiB')
    expect(status).toBe(1)
    expect(stdout).toMatch(/^ {2}does not fit +.* too much$/m)
  })

  test.each([
    [2, [], 'expected a FILE, --params, --config, or -- and a command line of llama.cpp, got none of them'],
    [2, ['8b.gguf', '--params', '7B'], 'got several of them'],
    [2, ['--params', 'seven'], 'expected --params to be a number of parameters, such as 7B or 350M, got "seven"'],
    [2, ['8b.gguf', '--quant', 'Q4_0'], 'expected --quant with --params or --config'],
    [2, ['--params', '7B', '--lora', 'x.gguf'], 'x.gguf'],
    [2, ['8b.gguf', '--kv-type', 'q8'], 'unknown value "q8" of --kv-type; did you mean "q8_0"?'],
    [2, ['8b.gguf', '--gpu-layers', '-1'], 'gpu-layers'],
    [2, ['8b.gguf', '--mmap', '--no-mmap'], 'expected --mmap or --no-mmap, got both'],
    [2, ['8b.gguf', '--draft-context', '512'], 'expected --draft-context with --draft, got it without'],
    [2, ['8b.gguf', '--draft-tokens', '4'], 'expected --draft-tokens with --mtp, got it without'],
    [3, ['8b.gguf', '--mtp'], 'general.architecture'],
    [3, ['8b.gguf', '--mmproj', '1b.gguf'], 'mmproj'],
    [2, ['--', 'ls', '-l'], 'expected the program to be llama-server'],
    [2, ['--', 'llama-server', '-c', '8k'], 'a command line with -m'],
    [2, ['--', 'llama-bench', '-m', 'x'], 'llama-bench'],
    [3, ['none.gguf'], 'none.gguf'],
    [3, ['--config', 'none.json'], 'none.json'],
    [3, ['package.json'], 'package.json'],
    [3, ['--', 'llama-server', '-m', 'none.gguf'], 'none.gguf'],
  ])('ends with %i for %j', (status, args, message) => {
    const ended = plimsoll('estimate', ...args)
    expect({ status: ended.status, stdout: ended.stdout }).toEqual({
      status: message === 'x.gguf' ? 3 : status,
      stdout: '',
    })
    expect(ended.stderr).toContain(message)
  })
})

describe('plimsoll fit', () => {
  test('shows the best configuration and its trades, with the arguments of llama-server', () => {
    const { status, stdout } = plimsoll('fit', large, '--board', 'orin-nano-8gb', '--parallel', '2')
    expect(status).toBe(0)
    for (const row of [
      /^ {2}context +[\d,]+ tokens in each of 2 slots$/m,
      /^ {2}family +llama$/m,
      /^ {2}llama-server -m FILE -c \d+ -np 2 -ctk f16 -ctv f16 -ub 512 .* --no-mmap .*--cache-ram 0 --ctx-checkpoints 0$/m,
      /^ {2}left +.*, for --cache-ram and --ctx-checkpoints$/m,
      /^ {2}[\d,]+ tokens would need .* too much\.$/m,
      /^ {2}q8_0 KV: \+[\d,]+ tokens, or saves /m,
    ]) {
      expect(stdout).toMatch(row)
    }
  })

  test('--json has what the package gives, and the options reach it', () => {
    const options = [
      '--min-context',
      '1024',
      '--kv-types',
      'q8_0,q4_0',
      '--ubatches',
      '256',
      '--no-repack',
      '--max',
      '6GiB',
    ]
    const {
      model: name,
      budget,
      llamaServerArguments,
      ...found
    } = document('fit', large, '--board', 'orin-nx-16gb', ...options)
    using model = GgufFile.open(large, { headerOnly: true })
    const choices = { minContext: 1024, kvTypes: ['q8_0', 'q4_0'], ubatches: [256], repack: false } as const
    expect(found).toEqual(JSON.parse(JSON.stringify(fitOf(model, 6 * GiB, { ...choices, processor: 'arm64' }))))
    expect({ name, budget }).toEqual({
      name: large,
      budget: { availableBytes: 6 * GiB, board: 'orin-nx-16gb', named: true, boundBy: '--max' },
    })
  })

  test.each([
    [['--parallel', '2,1']],
    [['--parallel', '4', '--kv-unified', '--swa-full', '--draft', '1b.gguf', '--no-repack']],
    [['--no-flash-attention', '--prompt-cache', '512MiB', '--checkpoints', '4', '--runtime', 'llama-server']],
    [['--gpu-layers', 'all', '--kv-types', 'q8_0', '--ubatches', '128', '--batch', '512']],
    [['--gpu-layers', 'all', '--cpu-tensors', 'ffn_(up|down)', '--cpu-tensors', '^blk\\.0\\.']],
    [['--draft', '1b.gguf', '--draft-context', '2048', '--draft-kv-type', 'q8_0', '--draft-gpu-layers', '4']],
  ])('its arguments of llama-server need what it found, with %j', (options) => {
    const board = ['--board', 'agx-orin-64gb']
    const { fits, estimate, llamaServerArguments } = document('fit', large, ...board, '--max', '24GiB', ...options)
    expect(fits).toBe(true)
    const command = ['llama-server', '-m', large, ...words(llamaServerArguments)]
    const again = JSON.parse(plimsoll('estimate', '--json', ...board, '--', ...command).stdout)
    expect(again.command.notUnderstood).toEqual([])
    // A server computes the logits of its slots alone.
    const server = options.includes('llama-server')
    if (server) expect(again.totals).toEqual(estimate.totals)
    else expect(again.totals.peakBytes).toBeLessThanOrEqual(estimate.totals.peakBytes)
    const { weightsBytes, kvCacheBytes } = estimate
    expect(again).toMatchObject({ weightsBytes, kvCacheBytes })
  })

  test('names the limit that leaves no more', () => {
    const config = file('limits.yaml')
    writeFileSync(config, 'max_memory_gb: 1\n')
    const ofBoard = ['fit', '1b.gguf', '--board', 'orin-nx-16gb']
    expect(plimsoll(...ofBoard, '--max', '2GiB').stdout).toMatch(/of the 2\.00 GiB that --max leaves$/m)
    expect(plimsoll(...ofBoard, '--max-memory-gb', '2').stdout).toMatch(
      /of the 2\.00 GiB that --max-memory-gb leaves$/m,
    )
    expect(plimsoll(...ofBoard, '--config', config).stdout).toMatch(/of the 1\.00 GiB that max_memory_gb leaves/)
  })

  test('ends with 3 for a configuration that is not there or none', () => {
    writeFileSync(file('broken.yaml'), 'a: [\n')
    for (const config of ['none.yaml', 'broken.yaml']) {
      expect(plimsoll('fit', '1b.gguf', '--config', file(config))).toMatchObject({ status: 3, stdout: '' })
    }
  })

  test('ends with 1 where nothing fits, and says the least', () => {
    const { status, stdout } = plimsoll('fit', large, '--max', '1GiB')
    expect(status).toBe(1)
    expect(stdout).toContain('Even 2,048 tokens in one slot')
  })

  test.each([
    [2, [], 'expected a FILE, got none'],
    [2, ['8b.gguf', '--parallel', '4,x'], 'expected --parallel to be whole numbers'],
    [2, ['8b.gguf', '--priorities', 'speed'], 'unknown value "speed" of --priorities'],
    [2, ['8b.gguf', '--contxt', '1'], 'unknown option "--contxt"'],
    [3, ['none.gguf'], 'none.gguf'],
  ])('ends with %i for %j', (status, args, message) => {
    const ended = plimsoll('fit', ...args)
    expect({ status: ended.status, stdout: ended.stdout }).toEqual({ status, stdout: '' })
    expect(ended.stderr).toContain(message)
  })
})
