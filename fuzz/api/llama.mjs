/** The adapter for node-llama-cpp, on one that loads nothing: models and contexts that come late, fail, or are disposed of. */

const later = () => new Promise((resolve) => setImmediate(resolve))

/** What is disposed of once, and tells who listens. */
function disposable(world, parts) {
  const listeners = []
  const made = {
    ...parts,
    disposed: false,
    onDispose: { createListener: (listener) => listeners.push(listener) },
    async dispose() {
      if (made.disposed) return
      made.disposed = true
      for (const listener of listeners) listener()
    },
  }
  // Whoever forgets one holds its memory, so that the run ends each.
  world.keptAlive.push({ release: () => void made.dispose() })
  return made
}

/** What `getLlama()` gives, as far as the adapter asks. */
function fakeLlama(world) {
  const { random, judge } = world
  const comes = async () => {
    await later()
    if (random.chance(0.2)) throw judge.userError(random)
  }
  const createContext = async ({ contextSize }) => {
    await comes()
    return disposable(world, { contextSize })
  }
  return {
    gpu: random.pick([false, 'cuda']),
    supportsMmap: random.chance(0.5),
    llamaCppRelease: { repo: 'ggml-org/llama.cpp', release: random.pick(['v0.5.0', 'v0.6.0', 'b1']) },
    async loadModel() {
      await comes()
      const contexts = []
      const model = disposable(world, {
        gpuLayers: 0,
        useMmap: random.chance(0.5),
        createContext: async (options) => {
          const context = await createContext(options)
          contexts.push(context)
          return context
        },
      })
      model.onDispose.createListener(() => {
        for (const context of contexts) void context.dispose()
      })
      return model
    },
  }
}

/** The recipes; what they are made with is that of `recipes.mjs`. */
export function llamaRecipes({ options, oneOf, within, of, flag, always, path }) {
  const model = options({
    modelPath: always(path),
    useMmap: flag,
    gpuLayers: oneOf(0, 1, 'auto', 'max'),
  })
  const context = options({
    contextSize: oneOf('auto', 256, 512, { min: 256, max: 1024 }),
    sequences: within(1, 4),
    batchSize: oneOf(64, 512),
    flashAttention: flag,
    swaFullCache: flag,
  })
  return {
    guardLlama: [fakeLlama, of('MemoryManager')],
    'GuardedLlama#load': [model, context, options({ timeoutMs: within(0, 20) })],
    'GuardedLlama#loadModel': [model, options({ timeoutMs: within(0, 20) })],
  }
}
