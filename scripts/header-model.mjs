// The headers of GGUF files: of any keys and tensors, and of models without data out of hyperparameters and the shapes of tensors, as the
// vectors of crates/plimsoll/tests/cases have them.

/** Readers fetch headers in pieces, and refuse a file that ends within one. */
const FILE_STEP = 4096
const ALIGNMENT = 32

/** How tensors without data are stored. */
const F32 = { id: 0, elements: 1, bytes: 4 }
const TYPE = { u32: 4, f32: 6, bool: 7, text: 8, array: 9 }

/** Some families scale by a figure that happens to be whole, and llama.cpp insists on the type. */
const REAL = /_scale$|epsilon$|factor$|clamp_kqv$|softcapping$|alibi_bias$/

/** Lists that llama.cpp insists on having in another type than other whole numbers: its id, and how one is written. */
const LISTS = [
  { keys: /token_ids/, type: 5, bytes: (value) => Buffer.from(Int32Array.of(value).buffer) },
  { keys: /\.ple\.(head|layer_mult)/, type: 10, bytes: (value) => u64(value) },
]

const u32 = (value) => Buffer.from(Uint32Array.of(value).buffer)
const f32 = (value) => Buffer.from(Float32Array.of(value).buffer)
const u64 = (value) => Buffer.from(BigUint64Array.of(BigInt(value)).buffer)
const text = (value) => Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)])
const padded = (bytes, step) => Math.ceil(bytes / step) * step

/**
 * The bytes of a header. All tensors are of `F32`; where their data would begin the file ends, at a multiple of 4096.
 *
 * @param {{ architecture: string, keys: Record<string, unknown>, tensors: Record<string, string> }} model keys without the
 *   name of the architecture; dimensions by name, as `4096x1024`, where `blk.*.` stands for all blocks and `blk.0,2-4.`
 *   for these
 */
export function headerOf(model) {
  const { header } = modelOf(model)
  return Buffer.concat([header, Buffer.alloc(padded(header.length, FILE_STEP) - header.length)])
}

/** The same without that, and the bytes that the file has with its data. */
export function modelOf({ architecture, keys, tensors }) {
  const own = Object.entries(keys).map(([key, value]) => entry(`${architecture}.${key}`, value, REAL.test(key)))
  const entries = [entry('general.architecture', architecture), ...own, entry('tokenizer.ggml.model', 'no_vocab')]
  return layoutOf(
    entries,
    Object.entries(tensors).flatMap(([name, shape]) =>
      namesOf(name, keys.block_count).map((each) => ({ name: each, type: F32, dims: dimsOf(shape) })),
    ),
  )
}

/**
 * The bytes of any header, and those that the file has with its data.
 *
 * @param {Buffer[]} entries keys with their values, each as {@link entry} writes it
 * @param {{ name: string, type: { id: number, elements: number, bytes: number }, dims: number[] }[]} tensors each with its type's
 *   number, and the elements and bytes of a block of it; the row length first
 */
export function layoutOf(entries, tensors) {
  let end = 0
  const infos = tensors.map(({ name, type: { id, elements, bytes }, dims }) => {
    const offset = end
    end = padded(end + (dims.reduce((product, dim) => product * dim, 1) / elements) * bytes, ALIGNMENT)
    return Buffer.concat([text(name), u32(dims.length), ...dims.map(u64), u32(id), u64(offset)])
  })
  const counts = [u32(3), u64(infos.length), u64(entries.length)]
  const header = Buffer.concat([Buffer.from('GGUF'), ...counts, ...entries, ...infos])
  return { header, fileBytes: padded(header.length, ALIGNMENT) + end }
}

/** Dimensions by a text: `4096x1024`. */
export const dimsOf = (shape) => shape.split('x').map(Number)

/** A name for each block that it stands for. */
export function namesOf(name, blocks) {
  const [, layers, part] = /^blk\.([^.]+)\.(.+)$/.exec(name) ?? []
  if (layers === undefined) return [name]
  const ranges = (layers === '*' ? `0-${blocks - 1}` : layers).split(',')
  return ranges.flatMap((range) => {
    const [first, last = first] = range.split('-').map(Number)
    return Array.from({ length: last - first + 1 }, (_, index) => `blk.${first + index}.${part}`)
  })
}

/** A key with its value: numbers are whole where they can be, and `isReal` says that this one is not. */
export function entry(key, value, isReal = false) {
  const { type, bytes } = isReal ? { type: TYPE.f32, bytes: f32(value) } : (list(key, value) ?? typed(value))
  return Buffer.concat([text(key), u32(type), bytes])
}

function list(key, value) {
  const known = Array.isArray(value) ? LISTS.find(({ keys }) => keys.test(key)) : undefined
  if (known === undefined) return undefined
  const bytes = Buffer.concat([u32(known.type), u64(value.length), ...value.map(known.bytes)])
  return { type: TYPE.array, bytes }
}

/** A value's type and bytes: numbers are whole where they can be. */
function typed(value) {
  if (typeof value === 'boolean') return { type: TYPE.bool, bytes: Buffer.of(value ? 1 : 0) }
  if (typeof value === 'string') return { type: TYPE.text, bytes: text(value) }
  if (Number.isInteger(value)) return { type: TYPE.u32, bytes: u32(value) }
  if (typeof value === 'number') return { type: TYPE.f32, bytes: f32(value) }
  const elements = value.map(typed)
  const kind = [u32(elements[0].type), u64(elements.length)]
  return { type: TYPE.array, bytes: Buffer.concat([...kind, ...elements.map(({ bytes }) => bytes)]) }
}
