/**
 * Arguments that nobody should pass: every one must be refused with a typed error, or be taken for what it is. Nothing here
 * makes a call take much memory: sizes are below 64 MiB or beyond what any machine has.
 */

const MiB = 2 ** 20

const numbers = [
  ...[0, -0, 1, -1, 0.5, 7, 64, 4095, 4096, 4097, 65_536, MiB, 3 * MiB, 2 ** 31 - 1, -(2 ** 31)],
  ...[2 ** 45, 2 ** 53 - 1, 2 ** 53, -(2 ** 53), 2 ** 63, 2 ** 64, 1e308, 5e-324],
  ...[Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
]

const texts = [
  '',
  ' ',
  '1 KiB',
  'auto',
  'host',
  'cuda',
  'raw',
  'f32',
  '__proto__',
  'constructor',
  'toString',
  'a\0b',
  '\ud800',
  '💾',
]

const primitives = [undefined, null, true, false, 0n, 2n ** 64n, Symbol('hostile'), Symbol.iterator]

const arrayTypes = [
  ...[Uint8Array, Int8Array, Uint8ClampedArray, Uint16Array, Int16Array, Uint32Array, Int32Array],
  ...[Float32Array, Float64Array, BigUint64Array, BigInt64Array, DataView],
]

/** A subclass whose properties say other than the engine knows. */
class Liar extends Uint8Array {
  static get [Symbol.species]() {
    return Array
  }
  get byteLength() {
    return 2 ** 40
  }
  get length() {
    return 2 ** 31
  }
  get byteOffset() {
    return 2 ** 20
  }
}

/** Its buffer is another one each time it is asked for. */
class Shifting extends Uint8Array {
  get buffer() {
    return new ArrayBuffer(16)
  }
}

const define = (object, properties) => {
  for (const [key, value] of Object.entries(properties))
    Object.defineProperty(object, key, { value, configurable: true })
  return object
}

const memories = [
  (size) => new ArrayBuffer(size),
  (size) => new SharedArrayBuffer(size),
  (size) => new ArrayBuffer(size, { maxByteLength: 2 * size + 64 }),
  (size) => define(new ArrayBuffer(size, { maxByteLength: 2 * size + 64 }), { resizable: false }),
  (size) => define(new ArrayBuffer(size), { byteLength: 2 ** 40 }),
  (size) => define(new SharedArrayBuffer(size, { maxByteLength: 2 * size + 64 }), { growable: false }),
  () => new WebAssembly.Memory({ initial: 1, maximum: 2 }).buffer,
]

/** Takes the memory away, where the engine lets it be taken. */
function move(buffer) {
  try {
    structuredClone(buffer, { transfer: [buffer] })
  } catch {
    // That of WebAssembly stays.
  }
}

/** Memory of any kind, or a view of it. */
export function array(random) {
  const size = random.pick([0, 8, 64, 4096, 65_536, 300_000])
  const memory = random.chance(0.6) ? new ArrayBuffer(size) : random.pick(memories)(size)
  if (random.chance(0.15)) return memory
  if (random.chance(0.08))
    return random.pick([() => new Liar(64), () => new Shifting(64), () => Buffer.from('pooled by Node.js')])()
  const length = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(memory), 'byteLength').get.call(memory)
  if (length < 64) return new Uint8Array(memory)
  const view = random.chance(0.5)
    ? new Uint8Array(memory)
    : new (random.pick(arrayTypes))(memory, random.chance(0.8) ? 0 : 8, 3)
  if (random.chance(0.05) && memory instanceof ArrayBuffer) move(memory)
  if (random.chance(0.05)) define(view, { byteLength: 2 ** 40, length: 2 ** 30, buffer: new ArrayBuffer(8) })
  return view
}

/** A proxy that fails at every touch. */
export function revoked() {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

/** An object that does what no plain object does. */
function odd(world) {
  const { random, judge } = world
  const fail = () => {
    throw judge.userError(random)
  }
  const traps = Object.fromEntries(Object.getOwnPropertyNames(Reflect).map((trap) => [trap, fail]))
  const live = () => world.anything()
  /** One that inherits from an object of the package, and is none. */
  const heir = (prototype) => {
    const made = Object.create(prototype)
    world.heirs.add(made)
    return made
  }
  return random.pick([
    () => ({}),
    () => [],
    () => Object.create(null),
    () => () => {},
    () => class {},
    () => new Date(Number.NaN),
    () => new Map([[1, 2]]),
    () => Promise.resolve(1),
    // biome-ignore lint/suspicious/noThenProperty: that is what is hostile about it
    () => ({ then: fail }),
    () => new Proxy({}, traps),
    () => new Proxy(() => {}, traps),
    () => new Proxy([], {}),
    revoked,
    () => new Proxy(live() ?? {}, {}),
    () => heir(live() ?? null),
    () => heir(Object.getPrototypeOf(live() ?? {})),
    live,
    () => new Number(5),
    () => new String('host'),
    () => ({ valueOf: fail, toString: fail, [Symbol.toPrimitive]: fail }),
    () => ({ constructor: { name: Symbol('no text') } }),
    () => ({
      get constructor() {
        return fail()
      },
    }),
    () => ({
      get [Symbol.toStringTag]() {
        return fail()
      },
    }),
    () => ({ [Symbol.toStringTag]: 'ArrayBuffer', byteLength: 64 }),
    () => ({ length: 2 ** 40, byteLength: 64, buffer: new ArrayBuffer(64) }),
    () => Object.assign([], { length: 2 ** 32 - 1 }),
    () => Object.assign([1], { length: 3 }),
    () => ['a', Symbol('b')],
    () => new Array(1000).fill(2 ** 52),
    () =>
      Object.freeze({
        kind: 'host',
        get label() {
          return fail()
        },
      }),
    () => ({ [Symbol.iterator]: fail }),
    // A port that `fetch` does not ask, so that nobody is.
    () => new URL('https://127.0.0.1:9/model.gguf'),
    () => Object.create(URL.prototype),
    () => Object.create(AbortSignal.prototype),
    () => Object.create(Uint8Array.prototype),
    () =>
      new (class extends EventTarget {
        aborted = false
      })(),
  ])()
}

/** Anything at all. */
export function value(world) {
  const { random } = world
  const kind = random.below(10)
  if (kind < 3) return random.pick(numbers)
  if (kind < 4) return random.chance(0.1) ? 'long '.repeat(20_000) : random.pick(texts)
  if (kind < 5) return random.pick(primitives)
  if (kind < 6) return array(random)
  if (kind < 7) return world.signal()
  if (kind < 8) return world.callback('hostile')
  return odd(world)
}

/** Signals that abort, or pretend to be one and fail. */
export function falseSignal({ random, judge }) {
  const fail = () => {
    throw judge.userError(random)
  }
  const nothing = () => {}
  const base = { aborted: false, reason: undefined, addEventListener: nothing, removeEventListener: nothing }
  return random.pick([
    () => ({ ...base, addEventListener: fail }),
    () => ({ ...base, removeEventListener: fail }),
    () => ({ ...base, addEventListener: fail, removeEventListener: fail }),
    () => ({ ...base, addEventListener: (_, listener) => listener() }),
    () => ({
      ...base,
      addEventListener: (_, listener) => {
        listener()
        fail()
      },
    }),
    () => ({
      ...base,
      aborted: true,
      get reason() {
        return fail()
      },
    }),
    () => {
      let asked = 0
      return Object.defineProperty({ ...base }, 'aborted', { get: () => (asked++ > 1 ? fail() : false) })
    },
    () => Object.defineProperty({ ...base }, 'aborted', { get: () => random.chance(0.5) }),
  ])()
}
