/** What estimates are asked with. */

const kvTypes = ['f16', 'f16', 'q8_0', 'q4_0', 'f32']
const levels = ['F16', 'Q8_0', 'q4_k_m', 'IQ1_S']

/** The recipes of estimates, by the means that `recipes.mjs` makes its own of. */
export function estimateRecipes({ options, oneOf, within, of, flag, bytes, always }) {
  const count = oneOf(1, 2, 100, 512, 4096, 131_072, 2 ** 31 - 1)
  const budget = (world) => (world.random.chance(0.5) ? of('MemoryBudget')(world) : bytes(world))
  const files = (world) => [of('GgufFile')(world), of('GgufFile')(world)].filter((file) => file !== undefined)
  const fixed = {
    flashAttention: flag,
    batch: count,
    outputs: count,
    swaFull: flag,
    unifiedKv: flag,
    embeddings: flag,
    runtime: oneOf('llama.cpp', 'llama-server', 'rkllm', 'generic'),
    llamaCppVersion: oneOf('0.5', '0.6'),
    gpuLayers: oneOf(0, 1, 3, 99),
    cpuMoeLayers: oneOf(0, 2, 99),
    mmap: flag,
    repack: flag,
    processor: oneOf('x64', 'arm64'),
    promptCacheBytes: bytes,
    checkpoints: oneOf(0, 1, 32, 2 ** 31 - 1),
    widened: flag,
  }
  const run = {
    ...fixed,
    contextLength: count,
    parallel: oneOf(1, 2, 4, 256),
    kvTypeK: oneOf(...kvTypes),
    kvTypeV: oneOf(...kvTypes),
    ubatch: count,
  }
  const beside = { mmproj: of('GgufFile'), draft: of('GgufFile'), loras: files }
  const dimensions = options({
    layers: always(oneOf(1, 2, 32, 512)),
    embedding: always(oneOf(64, 4096, 2 ** 32 - 1)),
    heads: always(oneOf(1, 8, 32)),
    feedForward: always(oneOf(1, 11_008)),
    vocabulary: always(oneOf(1, 32_000)),
    kvHeads: oneOf(1, 8, 2 ** 31),
    headWidth: oneOf(64, 128),
    experts: oneOf(0, 8),
    expertsUsed: oneOf(0, 2),
    window: oneOf(1, 4096),
    tied: flag,
  })
  const config = options({
    model_type: always(oneOf('llama', 'mistral', 'qwen3_moe', 'deepseek_v3')),
    hidden_size: always(oneOf(64, 4096)),
    num_hidden_layers: always(oneOf(1, 32)),
    num_attention_heads: always(oneOf(1, 32)),
    intermediate_size: always(oneOf(1, 11_008)),
    vocab_size: always(oneOf(1, 32_000)),
    num_local_experts: oneOf(8, 0),
    sliding_window: oneOf(4096, null),
    tie_word_embeddings: flag,
  })
  const argv = ({ files, random }) => {
    const words = [
      '-c',
      '8192',
      '-np',
      '4',
      '-ctk',
      'q8_0',
      '--cache-ram',
      '64',
      '--port',
      '80',
      '-ot',
      'x=CPU',
      '-ngl',
      '9',
    ]
    return ['llama-server', '-m', files.path(), ...words.slice(0, random.below(words.length))]
  }
  const level = { quant: oneOf(...levels), shape: oneOf('llama-3.1-8b', 'llama-2-7b', 'none') }
  return {
    estimate: [of('GgufFile'), options({ ...run, ...beside })],
    fit: [
      of('GgufFile'),
      budget,
      options({
        ...fixed,
        ...beside,
        minContext: count,
        maxContext: count,
        parallel: oneOf(1, 4, [4, 2, 1]),
        kvTypes: oneOf(['q8_0'], ['f16', 'q4_0']),
        ubatches: oneOf([512], [64, 32]),
        priorities: oneOf(['context'], ['ubatch', 'context']),
        largestAllocationBytes: bytes,
        devices: options({ cpuBytes: bytes, gpuBytes: bytes }),
      }),
    ],
    'ModelMemoryEstimate.fromParams': [oneOf(1, 7e9, 2 ** 53 - 1), options({ ...run, ...level })],
    'ModelMemoryEstimate.fromConfig': [config, options({ ...run, quant: level.quant })],
    'ModelMemoryEstimate.fromShape': [dimensions, options({ ...run, quant: level.quant, weightsBytes: bytes })],
    'ModelMemoryEstimate#fitsIn': [budget, count],
    quantizedSizeBytes: [within(1, 2 ** 40), oneOf(...levels)],
    ruleOfThumbBytes: [bytes],
    llamaArguments: [argv],
    openLlamaRun: [argv],
    contextOfSlot: [count, oneOf(1, 4)],
  }
}
