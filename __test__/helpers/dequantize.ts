/**
 * The block formats as plain arithmetic, one element after the other: what the addon's output must be equal to, bit
 * for bit. Layouts: https://github.com/ggml-org/ggml/blob/master/src/ggml-common.h.
 *
 * Products of a scale and a few small integers are exact in 32 bits, so rounding once after each sum is rounding as
 * 32-bit arithmetic does.
 */

// By name: in jest's sandbox, looking up a global takes ten times as long as what is done here with one number.
const { abs, floor, log2, max } = Math
const { isNaN: isNotANumber } = Number
const { is } = Object

type Block = (bytes: Buffer) => number[]

const count = (length: number): number[] => Array.from({ length }, (_, i) => i)
const low = (byte: number): number => byte & 15
const high = (byte: number): number => byte >> 4

/** The number that a half-float's bits stand for. */
export function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 31
  const fraction = bits & 0x3ff
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25))
}

/** The half-float nearest to a number, ties to the even one; beyond the largest, infinity. */
export function numberToHalf(value: number): number {
  if (isNotANumber(value)) return 0x7e00
  const sign = value < 0 || is(value, -0) ? 0x8000 : 0
  const magnitude = abs(value)
  if (magnitude >= 65520) return sign | 0x7c00
  const exponent = max(-14, floor(log2(magnitude || 2 ** -30)))
  const scaled = magnitude / 2 ** (exponent - 10)
  const whole = floor(scaled)
  const rest = scaled - whole
  const rounded = rest > 0.5 || (rest === 0.5 && whole % 2 === 1) ? whole + 1 : whole
  // A fraction that rounds up to the next power of two carries into the exponent by itself.
  return sign | (((exponent + 14) << 10) + rounded)
}

const half = (bytes: Buffer, offset: number): number => halfToNumber(bytes.readUInt16LE(offset))

function q4_0(bytes: Buffer): number[] {
  const d = half(bytes, 0)
  const codes = [...bytes.subarray(2, 18)]
  return [...codes.map(low), ...codes.map(high)].map((code) => d * (code - 8))
}

function q8_0(bytes: Buffer): number[] {
  const d = half(bytes, 0)
  return count(32).map((i) => d * bytes.readInt8(2 + i))
}

/** The scale and the minimum of each of eight sub-blocks, six bits each, packed into twelve bytes. */
function scaleMin(packed: Buffer, j: number): [scale: number, minimum: number] {
  const b = (i: number): number => packed.readUInt8(i)
  if (j < 4) return [b(j) & 63, b(j + 4) & 63]
  return [low(b(j + 4)) | ((b(j - 4) >> 6) << 4), high(b(j + 4)) | ((b(j) >> 6) << 4)]
}

function q4_k(bytes: Buffer): number[] {
  const [d, dmin] = [half(bytes, 0), half(bytes, 2)]
  return count(8).flatMap((j) => {
    const [scale, minimum] = scaleMin(bytes.subarray(4, 16), j)
    const codes = [...bytes.subarray(16 + 32 * (j >> 1), 48 + 32 * (j >> 1))]
    return codes.map((byte) => d * scale * (j % 2 ? high(byte) : low(byte)) - dmin * minimum)
  })
}

function q6_k(bytes: Buffer): number[] {
  const d = half(bytes, 208)
  return count(256).map((i) => {
    const [h, g, l] = [i >> 7, (i >> 5) & 3, i & 31]
    const byte = bytes.readUInt8(64 * h + 32 * (g & 1) + l)
    const top = (bytes.readUInt8(128 + 32 * h + l) >> (2 * g)) & 3
    const code = (g < 2 ? low(byte) : high(byte)) | (top << 4)
    return d * bytes.readInt8(192 + 8 * h + 2 * g + (l >> 4)) * (code - 32)
  })
}

function bf16(bytes: Buffer): number[] {
  return [Buffer.from([0, 0, bytes.readUInt8(0), bytes.readUInt8(1)]).readFloatLE(0)]
}

const formats: Record<string, [blockBytes: number, block: Block]> = {
  F32: [4, (bytes) => [bytes.readFloatLE(0)]],
  F16: [2, (bytes) => [half(bytes, 0)]],
  BF16: [2, bf16],
  Q4_0: [18, q4_0],
  Q8_0: [34, q8_0],
  Q4_K: [144, q4_k],
  Q6_K: [210, q6_k],
}

/** What blocks of that type come out as in 32-bit floats. */
export function toF32(type: string, stored: Buffer): Float32Array {
  const [blockBytes, block] = formats[type] as [number, Block]
  const blocks = stored.length / blockBytes
  const elements = block(stored.subarray(0, blockBytes)).length
  const out = new Float32Array(blocks * elements)
  for (let i = 0; i < blocks; i++) out.set(block(stored.subarray(i * blockBytes, (i + 1) * blockBytes)), i * elements)
  return out
}

/** The same in bits of 16-bit floats. */
export const toF16 = (type: string, stored: Buffer): Uint16Array => toHalves(toF32(type, stored))

/** Each number rounded to a half-float. */
export function toHalves(values: Float32Array): Uint16Array {
  const out = new Uint16Array(values.length)
  for (let i = 0; i < values.length; i++) out[i] = numberToHalf(values[i] as number)
  return out
}

/** The bits of each number rounded to a bf16, the upper half of its own; ties to the even one. */
export function toBfloats(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.slice().buffer)
  return Uint16Array.from(bits, (single, i) => {
    if (isNotANumber(values[i] as number)) return 0x7fc0
    return floor((single + 0x7fff + ((single >>> 16) & 1)) / 0x1_0000)
  })
}

/** The numbers that bits of bf16 stand for. */
export const widened = (bfloats: Uint16Array): Float32Array =>
  new Float32Array(Uint32Array.from(bfloats, (upper) => upper << 16).buffer)

/** The first place where two arrays of floats differ in their bits, two not-a-numbers apart; -1 if there is none. */
export function firstDifference(actual: Float32Array | Uint16Array, expected: Float32Array | Uint16Array): number {
  if (actual.length !== expected.length) return Math.min(actual.length, expected.length)
  const isHalf = actual instanceof Uint16Array
  const isNan = (value: number): boolean => (isHalf ? (value & 0x7fff) > 0x7c00 : isNotANumber(value))
  for (let i = 0; i < expected.length; i++) {
    const [a, b] = [actual[i] as number, expected[i] as number]
    if (!is(a, b) && !(isNan(a) && isNan(b))) return i
  }
  return -1
}
