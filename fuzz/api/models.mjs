/** Small GGUF files, well-formed and not, and what their tensors hold. */

const typeIds = {
  u8: 0,
  i8: 1,
  u16: 2,
  i16: 3,
  u32: 4,
  i32: 5,
  f32: 6,
  bool: 7,
  string: 8,
  array: 9,
  u64: 10,
  i64: 11,
  f64: 12,
}

const u32 = (value) => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

const u64 = (value) => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt(value))
  return bytes
}

const text = (value) => Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)])

const f64 = (value) => {
  const bytes = Buffer.alloc(8)
  bytes.writeDoubleLE(value)
  return bytes
}

const array = (type, elements) => Buffer.concat([u32(typeIds[type]), u64(elements.length), ...elements])

const metadata = (random) => [
  ['general.architecture', 'string', text('llama')],
  ['general.alignment', 'u32', u32(32)],
  ['general.file_type', 'u32', u32(15)],
  [
    'fuzz.words',
    'array',
    array(
      'string',
      Array.from({ length: random.between(0, 300) }, (_, i) => text(`word ${i}`)),
    ),
  ],
  [
    'fuzz.bytes',
    'array',
    array(
      'u8',
      Array.from({ length: random.between(0, 64) }, (_, i) => Buffer.from([i])),
    ),
  ],
  ['fuzz.doubles', 'array', array('f64', Array.from({ length: random.between(0, 64) }, f64))],
  ['fuzz.flags', 'array', array('bool', [Buffer.from([1]), Buffer.from([0])])],
  ['fuzz.large', 'u64', u64(2n ** 64n - 1n)],
  [
    'fuzz.nested',
    'array',
    array(
      'array',
      Array.from({ length: 20 }, (_, i) =>
        array(
          'u32',
          Array.from({ length: i }, (_, j) => u32(j)),
        ),
      ),
    ),
  ],
]

/** Types that tensors of these files have: id, and the elements and bytes of a block. */
const tensorTypes = [
  { id: 0, elements: 1, bytes: 4 },
  { id: 1, elements: 1, bytes: 2 },
  { id: 2, elements: 32, bytes: 18 },
  { id: 8, elements: 32, bytes: 34 },
  { id: 12, elements: 256, bytes: 144 },
  { id: 24, elements: 1, bytes: 1 },
]

/** A well-formed file of that many tensors, of a few bytes to some tens of kilobytes each. */
export function smallModel(random, tensorCount) {
  return model(random, tensorsOf(random, tensorCount))
}

/** A file of two tensors of 12 MiB, whose loads take long enough to be disturbed. */
export function largeModel(random) {
  const data = Buffer.alloc(12 << 20, Buffer.from([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]))
  const type = tensorTypes[0]
  return model(
    random,
    ['large.0', 'large.1'].map((name) => ({ name, type, elements: data.length / type.bytes, data })),
  )
}

function tensorsOf(random, tensorCount) {
  return Array.from({ length: tensorCount }, (_, i) => {
    const type = random.pick(tensorTypes)
    const blocks = random.chance(0.1) ? random.between(1000, 4000) : random.between(1, 60)
    const data = Buffer.alloc(blocks * type.bytes)
    // No NaN among halves and floats: the top bits of each stay small.
    for (let at = 0; at < data.length; at++) data[at] = random.below(0x40)
    return { name: `tensor.${i}`, type, elements: blocks * type.elements, data }
  })
}

function model(random, tensors) {
  const entries = metadata(random)
  let next = 0
  for (const tensor of tensors) {
    tensor.offset = next
    next = Math.ceil((next + tensor.data.length) / 32) * 32
  }
  const header = Buffer.concat([
    Buffer.from('GGUF'),
    u32(3),
    u64(tensors.length),
    u64(entries.length),
    ...entries.flatMap(([key, type, bytes]) => [text(key), u32(typeIds[type]), bytes]),
    ...tensors.flatMap(({ name, type, elements, offset }) => [
      text(name),
      u32(1),
      u64(elements),
      u32(type.id),
      u64(offset),
    ]),
  ])
  const start = Math.ceil(header.length / 32) * 32
  const file = Buffer.alloc(start + next)
  header.copy(file)
  for (const { offset, data } of tensors) data.copy(file, start + offset)
  return file
}

/** The file with some bytes of its first kilobytes changed, or cut short. */
export function mutated(random, file) {
  const bytes = Buffer.from(file.subarray(0, random.chance(0.2) ? random.below(file.length) : file.length))
  for (let change = random.below(6); change > 0 && bytes.length > 0; change--) {
    bytes[random.below(Math.min(bytes.length, 4096))] = random.pick([0, 1, 0x7f, 0xff, random.below(256)])
  }
  return bytes
}
