/** Writes small GGUF files, broken ones too, byte by byte: independent of the reader under test. */

/** Ids of the metadata types, https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. */
export const valueTypeIds = {
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
} as const

export type ValueType = keyof typeof valueTypeIds

/** A tensor type: its id, and the elements and bytes of a block. */
export interface BlockType {
  id: number
  elements: number
  bytes: number
}

export const tensorTypes = {
  F32: { id: 0, elements: 1, bytes: 4 },
  F16: { id: 1, elements: 1, bytes: 2 },
  Q4_0: { id: 2, elements: 32, bytes: 18 },
  Q4_1: { id: 3, elements: 32, bytes: 20 },
  Q5_0: { id: 6, elements: 32, bytes: 22 },
  Q5_1: { id: 7, elements: 32, bytes: 24 },
  Q8_0: { id: 8, elements: 32, bytes: 34 },
  Q8_1: { id: 9, elements: 32, bytes: 36 },
  Q2_K: { id: 10, elements: 256, bytes: 84 },
  Q3_K: { id: 11, elements: 256, bytes: 110 },
  Q4_K: { id: 12, elements: 256, bytes: 144 },
  Q5_K: { id: 13, elements: 256, bytes: 176 },
  Q6_K: { id: 14, elements: 256, bytes: 210 },
  Q8_K: { id: 15, elements: 256, bytes: 292 },
  IQ2_XXS: { id: 16, elements: 256, bytes: 66 },
  IQ2_XS: { id: 17, elements: 256, bytes: 74 },
  IQ3_XXS: { id: 18, elements: 256, bytes: 98 },
  IQ1_S: { id: 19, elements: 256, bytes: 50 },
  IQ4_NL: { id: 20, elements: 32, bytes: 18 },
  IQ3_S: { id: 21, elements: 256, bytes: 110 },
  IQ2_S: { id: 22, elements: 256, bytes: 82 },
  IQ4_XS: { id: 23, elements: 256, bytes: 136 },
  I8: { id: 24, elements: 1, bytes: 1 },
  I16: { id: 25, elements: 1, bytes: 2 },
  I32: { id: 26, elements: 1, bytes: 4 },
  I64: { id: 27, elements: 1, bytes: 8 },
  F64: { id: 28, elements: 1, bytes: 8 },
  IQ1_M: { id: 29, elements: 256, bytes: 56 },
  BF16: { id: 30, elements: 1, bytes: 2 },
  TQ1_0: { id: 34, elements: 256, bytes: 54 },
  TQ2_0: { id: 35, elements: 256, bytes: 66 },
  MXFP4: { id: 39, elements: 32, bytes: 17 },
  NVFP4: { id: 40, elements: 64, bytes: 36 },
  Q1_0: { id: 41, elements: 128, bytes: 18 },
  Q2_0: { id: 42, elements: 64, bytes: 18 },
} as const satisfies Record<string, BlockType>

/** A metadata value: its type and its bytes. */
export interface Value {
  type: ValueType
  bytes: Buffer
}

export interface Tensor {
  name: string
  type: BlockType
  dims: number[]
  /** The stored bytes; their length is taken as it is. */
  data: Uint8Array
  /** Relative to the data section; the first aligned byte after the tensor before it by default. */
  offset?: number
  /** What the tensor takes where that is more than its data: a hole, in a file that is written sparse. */
  sizeBytes?: number
}

export interface File {
  metadata?: Record<string, Value>
  tensors?: Tensor[]
  version?: number
  alignment?: number
}

const numberBytes: Record<Exclude<ValueType, 'string' | 'array'>, [bytes: number, write: keyof Buffer]> = {
  u8: [1, 'writeUInt8'],
  i8: [1, 'writeInt8'],
  u16: [2, 'writeUInt16LE'],
  i16: [2, 'writeInt16LE'],
  u32: [4, 'writeUInt32LE'],
  i32: [4, 'writeInt32LE'],
  f32: [4, 'writeFloatLE'],
  bool: [1, 'writeUInt8'],
  u64: [8, 'writeBigUInt64LE'],
  i64: [8, 'writeBigInt64LE'],
  f64: [8, 'writeDoubleLE'],
}

/** A value of fixed size; 64-bit integers as bigints. */
export function scalar(type: Exclude<ValueType, 'string' | 'array'>, value: number | bigint): Value {
  const [size, write] = numberBytes[type]
  const bytes = Buffer.alloc(size)
  ;(bytes[write] as (value: number | bigint) => number).call(bytes, value)
  return { type, bytes }
}

export const u32 = (value: number): Buffer => scalar('u32', value).bytes
export const u64 = (value: number | bigint): Buffer => scalar('u64', BigInt(value)).bytes

const withLength = (bytes: Uint8Array): Buffer => Buffer.concat([u64(bytes.length), bytes])

/** A string, of text or of bytes that need not be text. */
export const text = (value: string | Uint8Array): Value => ({
  type: 'string',
  bytes: withLength(typeof value === 'string' ? Buffer.from(value) : value),
})

/** An array; of arrays too. */
export const array = (type: ValueType, elements: Value[]): Value => ({
  type: 'array',
  bytes: Buffer.concat([u32(valueTypeIds[type]), u64(elements.length), ...elements.map(({ bytes }) => bytes)]),
})

/** The bytes of a file. */
export function gguf(content: File): Buffer {
  const { header, dataStart, placed } = layout(content)
  const end = placed.reduce((most, { tensor, offset }) => Math.max(most, offset + tensor.data.length), 0)
  const file = Buffer.alloc(dataStart + end)
  header.copy(file)
  for (const { tensor, offset } of placed) file.set(tensor.data, dataStart + offset)
  return file
}

/** The header of a file, and where its data lies. */
export function layout({ metadata = {}, tensors = [], version = 3, alignment }: File) {
  const entries = Object.entries(metadata)
  if (alignment !== undefined) entries.push(['general.alignment', scalar('u32', alignment)])
  const placed = place(tensors, alignment ?? 32)
  const header = Buffer.concat([
    Buffer.from('GGUF'),
    u32(version),
    u64(tensors.length),
    u64(entries.length),
    ...entries.map(([key, { type, bytes }]) =>
      Buffer.concat([withLength(Buffer.from(key)), u32(valueTypeIds[type]), bytes]),
    ),
    ...placed.map(({ tensor: { name, dims, type }, offset }) =>
      Buffer.concat([withLength(Buffer.from(name)), u32(dims.length), ...dims.map(u64), u32(type.id), u64(offset)]),
    ),
  ])
  const dataStart = tensors.length === 0 ? header.length : alignUp(header.length, alignment ?? 32)
  return { header, dataStart, placed }
}

function place(tensors: Tensor[], alignment: number): { tensor: Tensor; offset: number }[] {
  let next = 0
  return tensors.map((tensor) => {
    const offset = tensor.offset ?? next
    next = alignUp(offset + (tensor.sizeBytes ?? tensor.data.length), alignment)
    return { tensor, offset }
  })
}

const alignUp = (bytes: number, alignment: number): number => Math.ceil(bytes / alignment) * alignment

/** Bytes that look random and are the same each time (Marsaglia's xorshift generator of 32-bit numbers). */
export function randomBytes(length: number, seed = 1): Buffer {
  let state = seed
  const bytes = Buffer.alloc(length)
  for (let i = 0; i < length; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    bytes[i] = state >>> 24
  }
  return bytes
}

/** A tensor of random blocks, as a row. */
export function randomTensor(name: string, type: BlockType, blocks: number, seed = 1): Tensor {
  return { name, type, dims: [blocks * type.elements], data: randomBytes(blocks * type.bytes, seed) }
}
