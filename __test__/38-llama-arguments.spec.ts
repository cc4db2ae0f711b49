import { contextOfSlot, InvalidArgumentError, type LlamaOptions, llamaArguments } from 'plimsoll'
import { thrownBy } from './helpers/errors'

const MiB = 2 ** 20

const server = (...args: string[]) => llamaArguments(['llama-server', ...args])
const options = (...args: string[]) => server(...args).options
const reasons = (...args: string[]) =>
  Object.fromEntries(server(...args).notUnderstood.map(({ argument, reason }) => [argument, reason]))

/** What an error says of an argument. */
const refusal = (...args: string[]) => thrownBy(InvalidArgumentError, () => server(...args))

test('a command line becomes the options of an estimate', () => {
  const line =
    '-m x.gguf -c 8192 -np 2 -b 1024 -ub 256 -ctk q8_0 -ctv q4_0 -fa on -ngl 20 --mmproj p.gguf -md d.gguf --lora a.gguf ' +
    '--cache-ram 512 --no-mmap --swa-full --kv-unified --no-repack --ctx-checkpoints 4 --port 80 --temp 0.7'
  expect(server(...line.split(' '))).toEqual({
    program: 'llama-server',
    modelPath: 'x.gguf',
    contextFromModel: false,
    options: {
      contextLength: 4096,
      parallel: 2,
      kvTypeK: 'q8_0',
      kvTypeV: 'q4_0',
      flashAttention: true,
      batch: 1024,
      ubatch: 256,
      outputs: 8,
      swaFull: true,
      unifiedKv: true,
      gpuLayers: 20,
      mmap: false,
      repack: false,
      mmprojPath: 'p.gguf',
      draftPath: 'd.gguf',
      loraPaths: ['a.gguf'],
      promptCacheBytes: 512 * MiB,
      checkpoints: 4,
      runtime: 'llama-server',
    },
    notUnderstood: [],
    ignored: ['--port', '--temp'],
  })
})

test('what is not said has the defaults of the program', () => {
  const ofServer: LlamaOptions = {
    parallel: 4,
    unifiedKv: true,
    outputs: 4,
    promptCacheBytes: 8192 * MiB,
    checkpoints: 32,
    runtime: 'llama-server',
  }
  expect(server('-m', 'x')).toMatchObject({ modelPath: 'x', contextFromModel: true })
  expect(options('-m', 'x')).toEqual(ofServer)
  const ofChat = { ...ofServer, parallel: 1, unifiedKv: false, outputs: 1, runtime: 'llama-cli' }
  expect(llamaArguments(['llama-cli']).options).toEqual(ofChat)
  const ofOthers = { parallel: 1, unifiedKv: false, promptCacheBytes: 0, checkpoints: 0, runtime: 'llama.cpp' }
  expect(llamaArguments(['llama-completion']).options).toEqual(ofOthers)
})

describe('the program', () => {
  const program = (...argv: string[]) => {
    const { program: name, options: read, notUnderstood } = llamaArguments(argv)
    return [name, read.runtime, notUnderstood.map(({ argument }) => argument)]
  }

  test('is known by its name, wherever it lies', () => {
    expect(program('/opt/llama.cpp/bin/llama-server')).toEqual(['llama-server', 'llama-server', []])
    expect(program('./llama-cli')).toEqual(['llama-cli', 'llama-cli', []])
    expect(program('llama', 'serve', '-m', 'x')).toEqual(['llama-server', 'llama-server', []])
    expect(program('llama', 'cli')).toEqual(['llama-cli', 'llama-cli', []])
  })

  test('is named when it settles things by itself, or is not known: then it is read as the server', () => {
    expect(program('llama-perplexity')).toEqual(['llama-perplexity', 'llama.cpp', ['llama-perplexity']])
    expect(program('./my-server', '-m', 'x')).toEqual(['my-server', 'llama-server', ['my-server']])
    expect(program('./my-server', '-hf', 'x/y')).toEqual(['my-server', 'llama-server', ['my-server', '-hf x/y']])
    expect(llamaArguments(['llama-embedding']).options.embeddings).toBe(true)
  })

  test.each([[['ls', '-l']], [['ls']], [['python3', '-c', 'import llama_cpp']], [['./my-server', '-c', '8k', '-np']]])(
    'is refused when it is not known and names no model: %j',
    (argv) => {
      const error = thrownBy(InvalidArgumentError, () => llamaArguments(argv))
      const name = (argv[0] as string).replace('./', '')
      expect(error).toMatchObject({ argument: 'the program', received: JSON.stringify(name) })
      const environment = { LLAMA_ARG_MODEL: 'x.gguf' }
      expect(llamaArguments(['./my-server'], environment).modelPath).toBe('x.gguf')
    },
  )

  test.each(['llama-bench', 'llama-quantize', 'rpc-server'])(
    '%s is refused: its arguments mean something else',
    (name) => {
      const error = thrownBy(InvalidArgumentError, () => llamaArguments([name, '-m', 'x']))
      expect(error).toMatchObject({ argument: 'the program', received: JSON.stringify(name) })
    },
  )
})

describe('the context', () => {
  test.each([
    [['-c', '8192'], 2048, 4, true],
    [['-c', '8192', '-np', '1'], 8192, 1, false],
    [['-c', '8192', '-np', '4'], 2048, 4, false],
    [['-c', '8192', '-np', '4', '-kvu'], 2048, 4, true],
    [['-c', '8192', '-np', '3'], 2730, 3, false],
    // Rounded up to 256 cells, as llama.cpp does.
    [['-c', '1000', '-np', '1'], 1024, 1, false],
    [['-c', '100', '-np', '8'], 32, 8, false],
    // -1 is the server's own choice, which goes before what is said of the cache.
    [['-c', '8192', '-np', '-1', '--no-kv-unified'], 2048, 4, true],
  ])('%j is the whole of it: %i tokens a slot', (args, contextLength, parallel, unifiedKv) => {
    expect(options(...args)).toMatchObject({ contextLength, parallel, unifiedKv })
  })

  test('of the model is divided just so', () => {
    for (const args of [[], ['-c', '0'], ['-c', '0', '-np', '2']]) {
      const { contextFromModel, options: read } = server(...args)
      expect([contextFromModel, read.contextLength]).toEqual([true, undefined])
    }
    expect(contextOfSlot(131072, 4)).toBe(32768)
  })

  test.each([1, 3, 5, 7, 100, 255, 256])('divided by %i slots has as many cells in all as llama.cpp makes', (slots) => {
    for (const tokens of [1, 255, 256, 257, 8191, 8192, 8193, 131072]) {
      const whole = contextOfSlot(tokens, slots) * slots
      expect(Math.ceil(whole / 256)).toBe(Math.ceil(tokens / 256))
    }
  })

  test('may be said for each slot, unless -c says the whole', () => {
    const perSlot = ['--kv-unified-per-slot', '4096']
    expect(options(...perSlot)).toMatchObject({ contextLength: 4096, parallel: 4 })
    expect(options(...perSlot, '-np', '2')).toMatchObject({ contextLength: 4096, parallel: 2 })
    expect(server(...perSlot, '-c', '8192')).toMatchObject({ options: { contextLength: 2048 }, ignored: [perSlot[0]] })
    // The whole context of the model, as it was asked for.
    expect(server(...perSlot, '-c', '0').contextFromModel).toBe(true)
  })
})

describe('batches and outputs', () => {
  test('a slot has one output, and one for each drafted token', () => {
    expect(options('-np', '2').outputs).toBe(2)
    expect(options('-np', '2', '-md', 'd').outputs).toBe(8)
    expect(options('-np', '2', '-md', 'd', '--draft-max', '15').outputs).toBe(32)
    expect(options('-np', '1', '--spec-type', 'ngram-mod').outputs).toBe(65)
    expect(options('-np', '1', '--spec-type', 'ngram-simple', '--spec-ngram-simple-size-m', '7').outputs).toBe(8)
    expect(options('-np', '1', '--spec-type', 'ngram-map-k').outputs).toBe(49)
    expect(options('-np', '1', '--spec-type', 'none').outputs).toBe(1)
    expect(options('-np', '64', '-md', 'd', '-b', '100').outputs).toBe(100)
  })

  test('embeddings want all outputs, of a batch that is computed in one step', () => {
    for (const flag of ['--embedding', '--embeddings', '--rerank', '--reranking']) {
      expect(options(flag)).toMatchObject({ embeddings: true, batch: 512 })
      expect(options(flag).outputs).toBeUndefined()
    }
    expect(options('--embedding', '-ub', '4096')).toMatchObject({ batch: 2048, ubatch: 4096 })
    expect(options('--pooling', 'mean').outputs).toBeUndefined()
    expect(options('--pooling', 'none', '-np', '1').outputs).toBe(1)
  })

  test('a step of 0 tokens is one of a whole batch', () => {
    expect(options('-ub', '0')).toMatchObject({ ubatch: 2048 })
    expect(options('-ub', '0', '-b', '64')).toMatchObject({ batch: 64, ubatch: 64 })
  })
})

test.each([
  [['-fa', 'on'], true],
  [['-fa', '1'], true],
  [['-fa', 'off'], false],
  [['-fa', 'disabled'], false],
  [['-fa', 'auto'], undefined],
  [['-fa', '-1'], undefined],
  // As it was before it had a value.
  [['-fa'], true],
  [['-fa', '-m', 'x'], true],
  [['--flash-attn', 'off', '-fa', 'on'], true],
])('%j says whether attention is flash attention: %p', (args, expected) => {
  expect(options(...args).flashAttention).toBe(expected)
})

test.each([
  [['-ngl', '0'], 0],
  [['-ngl', '99'], 99],
  [['-ngl', 'auto'], 2 ** 31 - 1],
  [['-ngl', '-1'], 2 ** 31 - 1],
  [['-ngl', 'all'], 2 ** 31 - 1],
  [['--n-gpu-layers', '-2'], 2 ** 31 - 1],
  [['-ngl', '99', '-dev', 'none'], 0],
])('%j says how many layers are on the GPU: %p', (args, expected) => {
  expect(options(...args).gpuLayers).toBe(expected)
  expect(reasons(...args)).toEqual({})
})

test('how the draft model is kept is read', () => {
  const args = ['-md', 'd', '-ctkd', 'q8_0', '-ctvd', 'q4_0', '-ngld', '10', '-cd', '4000', '-np', '4']
  const kept = { draftKvTypeK: 'q8_0', draftKvTypeV: 'q4_0', draftGpuLayers: 10, draftContextLength: 4096 }
  expect(options(...args)).toMatchObject(kept)
  expect(reasons(...args)).toEqual({})
  expect(options(...args).draftPath).toBe('d')
  expect(options('-ngld', 'all').draftGpuLayers).toBe(2 ** 31 - 1)
  // As long as the model's.
  expect(options('-cd', '0')).not.toHaveProperty('draftContextLength')
})

test('tensors may stay with the CPU one by one', () => {
  const args = ['-ot', '\\.ffn_(up|down)_exps=CPU,^output=CPU', '--override-tensor', 'blk\\.[0-3]\\.=CPU']
  expect(options(...args).cpuTensors).toEqual(['\\.ffn_(up|down)_exps', '^output', 'blk\\.[0-3]\\.'])
  expect(reasons(...args)).toEqual({})
  // The rest of it is followed.
  expect(options('-ot', 'a=CPU,b=CUDA1').cpuTensors).toEqual(['a'])
  expect(refusal('-ot', 'exps')).toMatchObject({ argument: '-ot', expected: expect.stringContaining('PATTERN=BUFFER') })
})

test('a model may draft for itself', () => {
  const drafts = { mtp: true, draftTokens: 3, outputs: 16 }
  for (const args of [['--spec-type', 'draft-mtp'], ['--mtp']]) {
    expect(options(...args)).toMatchObject(drafts)
    expect(server(...args)).toMatchObject({ notUnderstood: [], ignored: [] })
  }
  const more = ['--spec-type', 'draft-mtp', '--spec-draft-n-max', '7', '-ctkd', 'q8_0']
  expect(options(...more)).toMatchObject({ mtp: true, draftTokens: 7, draftKvTypeK: 'q8_0', outputs: 32 })
  expect(options('--spec-type', 'draft-simple')).not.toHaveProperty('mtp')
  // Then the file has those blocks alone.
  expect(options('--mtp', '-md', 'd')).not.toHaveProperty('mtp')
  expect(reasons('--mtp', '-md', 'd')).toEqual({ '--mtp': expect.stringContaining('-md') })
})

test.each([
  [['--n-cpu-moe', '8'], 8],
  [['-ncmoe', '0'], 0],
  [['--cpu-moe', '-ncmoe', '2'], 2 ** 31 - 1],
  [[], undefined],
])('%j says of how many layers the experts stay with the CPU: %p', (args, expected) => {
  expect(options(...args).cpuMoeLayers).toBe(expected)
  expect(reasons(...args)).toEqual({})
})

test.each([
  [['--mmap'], true],
  [['--no-mmap'], false],
  [['--direct-io'], false],
  [['-lm', 'none'], false],
  [['-lm', 'mlock'], false],
  [['-lm', 'mmap+mlock'], true],
  [['-lm', 'dio'], false],
  [['-lm', 'auto'], undefined],
  [['--no-mmap', '-lm', 'mmap'], true],
  [['-lm', 'mmap', '--no-mmap'], false],
  [['--mlock'], undefined],
])('%j says whether the file is mapped: %p', (args, expected) => {
  expect(options(...args).mmap).toBe(expected)
})

test('adapters add up, however they are written', () => {
  const args = '--lora a,b --lora "c,d","e""f" --lora-scaled g:0.5,h:2 --lora-scaled i 0.25 --lora-scaled j:1 -c 512'
  expect(options(...args.split(' '))).toMatchObject({
    loraPaths: ['a', 'b', 'c,d', 'e"f', 'g', 'h', 'i', 'j'],
    contextLength: 128,
  })
})

test('a cache of prompts without a limit is named, and estimated at its default', () => {
  expect(options('-cram', '0').promptCacheBytes).toBe(0)
  expect(options('-cram', '-1').promptCacheBytes).toBe(8192 * MiB)
  expect(reasons('-cram', '-1')).toEqual({ '-cram -1': expect.stringContaining('no limit') })
  expect(options('--swa-checkpoints', '0').checkpoints).toBe(0)
})

describe('what an estimate does not follow', () => {
  test.each([
    ['-ot', 'exps=CUDA0'],
    ['-ot', 'a=CPU,exps=CUDA_Host'],
    ['--n-cpu-ffn', '8'],
    ['-ts', '3,1'],
    ['-sm', 'row'],
    ['-mg', '1'],
    ['-dev', 'CUDA0,CUDA1'],
    ['--rpc', 'host:50052'],
    ['--no-kv-offload'],
    ['--no-op-offload'],
    ['--no-host'],
    ['--fit', 'on'],
    ['--fit-ctx', '8192'],
    ['--override-kv', 'llama.context_length=int:1'],
    ['--control-vector', 'v.gguf'],
    ['--image-max-tokens', '4096'],
    ['--no-mmproj-offload'],
    ['-lcs', 'f'],
    ['--spec-type', 'draft-mtp,ngram-mod'],
    ['--nextn'],
    ['-devd', 'CUDA1'],
    ['-otd', 'x=CPU'],
    ['--models-dir', 'models'],
    ['--model-vocoder', 'v.gguf'],
  ])('is named with its reason: %s %s', (...args) => {
    expect(reasons(...args)).toEqual({ [args.join(' ')]: expect.stringMatching(/^\S.{15,}/) })
    expect(server(...args).ignored).toEqual([])
  })

  test.each([
    ['-sm', 'layer'],
    ['-mg', '0'],
    ['--kv-offload'],
    ['--op-offload'],
    ['--fit', 'off'],
    ['--spec-type', 'draft-simple'],
    ['--lazy-mode', 'auto'],
  ])('is not named where it changes nothing: %s %s', (...args) => {
    expect(reasons(...args)).toEqual({})
    expect(server(...args).ignored).toEqual([args[0]])
  })

  test('is each override, but only the last of what counts once', () => {
    const args = ['-ts', '1,2', '-ts', '3,4', '-ot', 'a=GPU', '-ot', 'b=GPU']
    expect(Object.keys(reasons(...args)).sort()).toEqual(['-ot a=GPU', '-ot b=GPU', '-ts 3,4'])
  })
})

describe('a model that is downloaded', () => {
  test('is none that can be read: the one of -m is not loaded then', () => {
    expect(server('-m', 'x.gguf', '-hf', 'ggml-org/y')).not.toHaveProperty('modelPath')
    expect(reasons('-hf', 'ggml-org/y')).toEqual({ '-hf ggml-org/y': expect.stringContaining('-m') })
    expect(reasons('-dr', 'gemma3')).toEqual({ '-dr gemma3': expect.stringContaining('-m') })
    // Here -m is where it goes to.
    expect(server('-m', 'x.gguf', '-mu', 'https://host/x.gguf')).toMatchObject({ modelPath: 'x.gguf' })
  })

  test('may come with settings, which count as if they were written there', () => {
    const name = '--gpt-oss-20b-default'
    expect(options(name)).toMatchObject({ contextLength: 131072, parallel: 2, batch: 32768, ubatch: 2048 })
    expect(options(name, '-np', '4', '-c', '4096')).toMatchObject({ contextLength: 1024, parallel: 4 })
    expect(options('-np', '4', name)).toMatchObject({ parallel: 2 })
    expect(Object.keys(reasons(name))).toEqual([name])
    expect(server('--fim-qwen-7b-spec').notUnderstood.map(({ argument }) => argument)).toEqual([
      '--fim-qwen-7b-spec',
      '--fim-qwen-7b-spec',
    ])
  })
})

describe('a value that llama.cpp refuses is refused, and its argument named', () => {
  test.each([
    [['-c', 'many'], '-c', /whole number/],
    [['-c', '-5'], '-c', /from 0/],
    [['--ctx-size', '99999999999'], '--ctx-size', /whole number/],
    [['-np', '0'], '-np', /-1, or from 1 to 256/],
    [['-np', '257'], '-np', /-1, or from 1 to 256/],
    [['-b', '0'], '-b', /from 1/],
    [['-ub', '-1'], '-ub', /from 0/],
    [['-ctk', 'q6_K'], '-ctk', /"q8_0"/],
    [['-ctv', 'Q8_0'], '-ctv', /"q8_0"/],
    [['-fa', 'maybe'], '-fa', /on, off or auto/],
    [['-ngl', 'some'], '-ngl', /whole number/],
    [['-lm', 'fast'], '-lm', /"mmap"/],
    [['--pooling', 'max'], '--pooling', /"mean"/],
    [['--lora-scaled', 'a'], '--lora-scaled', /FILE:SCALE/],
    [['--lora-scaled', 'a:b'], '--lora-scaled', /FILE:SCALE/],
    [['-m', ''], '-m', /a path/],
    [['--kv-unified-per-slot', '1000000000'], '--kv-unified-per-slot', /from 1/],
    // llama.cpp takes what follows for the value.
    [['-c', '-np', '4'], '-c', /whole number/],
  ])('%j', (args, argument, expected) => {
    expect(refusal(...args)).toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
      argument,
      expected: expect.stringMatching(expected),
    })
  })

  test.each([['-c'], ['-m'], ['--lora'], ['-ot'], ['--port'], ['--control-vector-layer-range', '1']])(
    'a value that is not there: %j',
    (...args) => {
      expect(refusal(...args)).toMatchObject({ argument: args[0], received: 'the end of the command line' })
    },
  )
})
