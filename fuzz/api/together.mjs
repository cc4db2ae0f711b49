/**
 * Work on memory that is taken away meanwhile: what single random calls seldom come to, as it takes several objects of one
 * size at the same moment.
 */

const MiB = 2 ** 20

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** Memory of that many bytes, by who has it: the array, what releases it, and whether work keeps its bytes to the end. */
const sources = [
  async (world, size) => {
    const { StagingPool } = world.plimsoll
    const pool = new StagingPool({ maxHeldBytes: world.random.pick([0, 4 * MiB, 64 * MiB]) })
    world.absorb('together', pool)
    const buffer = pool.get(size)
    world.absorb('together', buffer)
    return { array: buffer.data, give: () => buffer.release(), close: () => pool.close(), keeps: true }
  },
  async (world, size) => {
    // One of those that have tensors.
    const model = world.plimsoll.GgufFile.open(world.random.pick(world.files.models))
    const tensor = model.tensors.find(({ sizeBytes }) => sizeBytes >= size) ?? model.tensors[0]
    const stream = model.stream({ tensors: [tensor.name], chunkBytes: Math.min(size, tensor.sizeBytes) })
    const { value: chunk } = await stream.next()
    const rest = () => void stream.return().catch(() => {})
    if (!chunk) return { array: new Uint8Array(size), give: rest, close: rest }
    const more = () => void stream.next().catch(() => {})
    return { array: chunk.data, give: world.random.pick([() => chunk.release(), more, rest]), close: rest, keeps: true }
  },
  async (_, size) => {
    const array = new Uint8Array(size)
    const give = () => void structuredClone(array.buffer, { transfer: [array.buffer] })
    return { array, give, close: give }
  },
  async (_, size) => {
    const array = new Uint8Array(new ArrayBuffer(size, { maxByteLength: 2 * size }))
    return { array, give: () => array.buffer.resize(0), close: () => array.buffer.resize(2 * size) }
  },
  async (_, size) => {
    const memory = new WebAssembly.Memory({ initial: Math.ceil(size / 65_536) + 1, maximum: 1000 })
    return { array: new Uint8Array(memory.buffer, 0, size), give: () => memory.grow(1), close: () => {} }
  },
]

/** Work on the array, and on a buffer of its size. */
const works = [
  ({ buffer, array }) => buffer.write(array),
  ({ buffer, array }) => buffer.write(array.subarray(1), { offsetBytes: 1 }),
  ({ buffer, array }) => buffer.read({ into: array }),
  ({ model, tensor, array }) => model.load(tensor.name, { into: array }),
  ({ model, tensor, array }) => model.load(tensor.name, { into: array.buffer }),
  ({ model, tensor, buffer }) => model.load(tensor.name, { into: buffer }),
  ({ buffer, array, other }) => buffer.withMapping((view) => other.write(view).then(() => array.byteLength)),
  ({ buffer, array }) =>
    buffer.withMapping((view) => Promise.all([buffer.write(array), Promise.reject(view.length)])).catch(() => {}),
  ({ buffer, other }) => buffer.copyTo(other),
]

/** Begins work on some memory, and takes everything away that it is done with. */
export async function workTogether(world) {
  const { random, judge, plimsoll } = world
  const size = random.pick([65_536, MiB, 8 * MiB, 24 * MiB])
  const device = random.pick(['host', 'host', { kind: 'host', memoryFile: true }, 'cuda'])
  const pool = await plimsoll.MemoryPool.create({
    device,
    slabBytes: 32 * MiB,
    maxCachedBytes: random.pick([0, 64 * MiB]),
  })
  try {
    const [buffer, other] = [await pool.allocateAsync(size), await pool.allocateAsync(size)]
    const { array, give, close, keeps } = await random.pick(sources)(world, size)
    const model = plimsoll.GgufFile.open(random.pick(world.files.models))
    const fits = model.tensors.filter(({ sizeBytes }) => sizeBytes <= array.byteLength)
    const tensor = fits.reduce(
      (largest, next) => (next.sizeBytes > largest.sizeBytes ? next : largest),
      model.tensors[0],
    )
    const context = { buffer, other, array, model, tensor }
    const end = world.shadow.begin([array])
    const begun =
      keeps && random.chance(0.4)
        ? [settled(judge, writeAlone(world, context))]
        : Array.from({ length: random.between(1, 3) }, () => settled(judge, random.pick(works)(context)))
    const takes = [give, close, () => buffer.release(), () => other.release(), () => model.close(), () => pool.close()]
    for (let count = random.between(1, 4); count > 0; count--) {
      await attempt(judge, random.pick(random.chance(0.5) ? [give] : takes))
      if (random.chance(0.3)) globalThis.gc?.()
      if (random.chance(0.4)) await pause(random.below(4))
    }
    await Promise.all(begun)
    end()
  } finally {
    await pool.close()
  }
}

/** A write that is the only work on the two: whatever is released meanwhile, it writes what was there as it began. */
async function writeAlone({ judge, shadow }, { buffer, array }) {
  const expected = Buffer.from(array)
  const isAlone = shadow.follow(array)
  await buffer.write(array)
  if (buffer.released || !isAlone()) return
  const written = await buffer.read({ lengthBytes: expected.length })
  if (!expected.equals(written)) judge.fault('wrong-bytes', 'a buffer does not read as it was written')
}

/** A promise that has settled, however: its error is judged. */
const settled = async (judge, work) => {
  try {
    await work
  } catch (error) {
    judge.threw('work on memory that was taken away', error)
  }
}

/** Takes something away, where the engine lets it be taken. */
async function attempt(judge, take) {
  try {
    await take()
  } catch (error) {
    // The engine refuses to move or to resize some memory.
    if (!(error instanceof DOMException || error instanceof TypeError || error instanceof RangeError)) {
      judge.threw('taking memory away', error)
    }
  }
}
