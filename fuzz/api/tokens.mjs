/** What budgets of tokens and stores of pages are asked with. */

/** Their recipes, by the means that `recipes.mjs` makes its own of. */
export function tokenRecipes({ options, oneOf, of, flag, bytes, always, callback, array }) {
  const count = oneOf(0, 1, 7, 300, 4096, 2 ** 31 - 1)
  const layer = options({
    bytesPerToken: always(oneOf(1, 1024, 131_072)),
    windowTokens: oneOf(1, 512),
    bytesPerSequence: oneOf(0, 4096),
    device: oneOf('cpu', 'gpu'),
  })
  const cost = (world) =>
    world.random.pick([oneOf(1, 1024, 131_072), of('ModelMemoryEstimate'), (each) => [layer(each), layer(each)]])(world)
  const key = oneOf('a', 'b', 3)
  return {
    'new TokenBudget': [
      options({
        cost: always(cost),
        maxCacheTokens: always(oneOf(1, 512, 131_072)),
        maxParallelTokens: count,
        devices: options({ cpuBytes: bytes, gpuBytes: bytes }),
        grant: of('Grant'),
        prune: oneOf('idle', 'score', 'longest'),
        onPrune: callback('onPrune'),
      }),
    ],
    'TokenBudget.limitsOf': [
      of('GgufFile'),
      (world) => (world.random.chance(0.5) ? of('MemoryBudget')(world) : bytes(world)),
      options({ maxCacheTokens: count, maxParallelTokens: oneOf(1, 64, 512), parallel: oneOf(1, 4), swaFull: flag }),
    ],
    'TokenBudget#open': [oneOf('', 'chat')],
    'set TokenBudget#maxCacheTokens': [count],
    'set TokenBudget#maxParallelTokens': [count],
    'TokenBudget#trim': [oneOf([], [1, 2, 3], [3, 1, 2, 2]), callback('score')],
    'TokenBudget#releaseSpare': [bytes],
    'TokenBudget#follow': [of('MemoryMonitor'), options({ refuseAtCritical: flag })],
    'TokenBudget#revoke': [options({ bytes: always(bytes) })],
    'TokenSequence#extend': [count],
    'TokenSequence#fork': [oneOf('', 'branch')],
    'TokenSequence#truncate': [count],
    'TokenSequence#touch': [oneOf(0, -1.5, Number.POSITIVE_INFINITY)],
    'PageStore.create': [
      options({
        pool: always(of('MemoryPool')),
        pageBytes: always(oneOf(1, 4096, 65_536)),
        maxResidentPages: oneOf(1, 4),
        maxFileBytes: oneOf(4096, 2 ** 20),
      }),
    ],
    'PageStore#put': [key, array],
    'PageStore#get': [key],
    'PageStore#has': [key],
    'PageStore#delete': [key],
    'PageStore#spill': [bytes],
    parseMemoryArgs: [
      oneOf(
        [],
        ['--max-memory-gb', '4'],
        ['--max-cache-tokens=5', 'x'],
        ['--config'],
        ['--config', '/dev/null'],
        ['--max-memory-gb', 'x'],
      ),
    ],
  }
}
