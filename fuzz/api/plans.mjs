/** What plans are made of. */

const texts = [
  'mode: matrix\ntotalBytes: 32GiB\n',
  'instances:\n  a: &a { limitBytes: 1GiB, command: "true", listen: ":80" }\n  b: *a\n',
  '{"totalBytes": 8589934592, "instances": {"a": {"limitBytes": "6G", "priority": 3}, "b": {"limitBytes": "4G"}}}',
  'instances: [\n',
  '- '.repeat(100),
  '\u0000',
]

/** The recipes of plans, by the means that `recipes.mjs` makes its own of. */
export function planRecipes({ options, oneOf, of, flag, bytes, always }) {
  const path = ({ files }) => files.path()
  const size = oneOf(1, 2 ** 20, 2 ** 33, '6 GiB', '512MiB', '-1', 'much')
  const run = {
    limitBytes: size,
    formula: oneOf('estimate', 'rule-of-thumb'),
    device: oneOf('cpu', 'gpu', 'npu'),
    contextLength: oneOf(1, 512, 131_072),
    parallel: oneOf(1, 4, 256),
    kvType: oneOf('f16', 'q8_0'),
    flashAttention: flag,
    gpuLayers: oneOf(0, 99),
    promptCacheBytes: size,
    draft: path,
    loras: oneOf([], ['x.gguf']),
  }
  const instance = options({
    ...run,
    model: path,
    command: oneOf('true', ['true', '-x'], 'no such program', []),
    environment: options({ A: oneOf('b', 7) }),
    listen: oneOf('127.0.0.1:8080', ':80', 'here'),
    priority: oneOf(-1, 0, 7),
    idleTimeoutMs: oneOf(0, '5min', '5 parsecs'),
    restart: oneOf('no', 'always', 'never'),
  })
  const plan = options({
    mode: oneOf('single', 'matrix', 'duo'),
    board: oneOf('rk3588-8gb', 'none'),
    totalBytes: size,
    safetyMarginPercent: oneOf(0, 15, 99.9, 100),
    headroomBytes: size,
    model: path,
    instances: always(options({ subject: always(instance), god: instance, a: instance })),
  })
  const parse = [oneOf(...texts), options({ path: oneOf('plan.yaml') })]
  return {
    validatePlan: [plan],
    fixPlan: [plan],
    parsePlan: parse,
    readPlan: [path],
    recommendLimits: [
      oneOf('single', 'matrix'),
      bytes,
      options({ safetyMarginPercent: oneOf(0, 50), headroomBytes: bytes }),
    ],
    checkBeforeLoad: [path, options({ ...run, headroomBytes: bytes, allocation: of('Allocation') })],
    'MemoryManager#allocateInstance': [oneOf('a', 'b', ''), options({ ...run, model: path })],
    'MemoryManager#deallocateInstance': [oneOf('a', 'b')],
    'MemoryManager#checkBeforeLoad': [path, options({ ...run, headroomBytes: bytes, allocation: of('Allocation') })],
    'Instances#allocate': [oneOf('a', 'b', ''), options({ ...run, model: path })],
    'Instances#deallocate': [oneOf('a', 'b')],
  }
}
