import { isAnyArrayBuffer, isDataView } from 'node:util/types'

/**
 * What memory has to hold, followed beside the package: a staging buffer that is held keeps what was written into it, a chunk
 * and a loaded tensor are the bytes of the file, and a device buffer reads as it was filled, wherever it was moved.
 */
export class Shadow {
  #world
  /** Patterns of held memory, by its array buffer. */
  #patterns = new Map()
  /** Work under way on memory, by its array buffer: how much, and a count of all that ever began. */
  #work = new WeakMap()
  /** The byte that all of a device buffer holds, and how much work is under way on it. */
  #devices = new WeakMap()
  /** Chunks that came, as long as their data are there: these never change. */
  #chunks = []
  /** The file that a stream reads, by its iterator. */
  #streams = new WeakMap()
  #nextByte = 1

  constructor(world) {
    this.#world = world
  }

  /** An object was handed out. */
  appeared(name, object) {
    if (name === 'StagingBuffer') this.#hold(object.data)
  }

  #hold(data) {
    if (data.byteLength === 0 || data.byteLength > 2 ** 24) return
    // It may come back from a callback, while it is in use.
    if (this.#patterns.has(data.buffer) || this.#isInWork(data.buffer)) return
    const byte = (this.#nextByte++ % 251) + 1
    data.fill(byte)
    this.#patterns.set(data.buffer, { data, byte })
    if (this.#patterns.size > 64) this.#patterns.delete(this.#patterns.keys().next().value)
  }

  /** Looks whether held memory is as it was left. */
  check() {
    for (const [buffer, { data, byte }] of this.#patterns) {
      if (data.byteLength === 0) this.#patterns.delete(buffer)
      else if (!this.#isInWork(buffer) && !allAre(data, byte)) {
        this.#world.judge.fault(
          'changed',
          `${data.byteLength} bytes that nobody wrote to have changed: ${around(data, byte)}`,
        )
        this.#patterns.delete(buffer)
      }
    }
    // Until somebody has them written to.
    this.#chunks = this.#chunks.filter(({ data }) => data.byteLength > 0 && !this.#work.has(data.buffer))
    for (const chunk of this.#chunks) this.#compare(chunk)
  }

  #isInWork(buffer) {
    return (this.#work.get(buffer)?.count ?? 0) > 0
  }

  /** Notes that a call may write to these arguments until what is returned was called. */
  begin(args) {
    const buffers = new Set()
    const devices = new Set()
    this.#find(args, buffers, devices, 0)
    const works = [...buffers].map((buffer) => this.#entry(this.#work, buffer))
    const states = [...devices].map((device) => this.#entry(this.#devices, device))
    for (const entry of [...works, ...states]) {
      entry.count += 1
      entry.began += 1
      entry.byte = undefined
    }
    return () => {
      for (const entry of [...works, ...states]) entry.count -= 1
      for (const buffer of buffers) this.#restore(buffer)
    }
  }

  /** Memory was moved to where it can be written to without being noted here. */
  moved(buffer) {
    this.#entry(this.#work, buffer).began += 1
  }

  /** Tells, when it is asked, whether any work on this memory began since. */
  follow(array) {
    const work = this.#entry(this.#work, bufferOf(array))
    const { began } = work
    return () => work.began === began
  }

  #entry(map, key) {
    const entry = map.get(key) ?? { count: 0, began: 0, byte: undefined }
    map.set(key, entry)
    return entry
  }

  /** What a call wrote to held memory is no longer what it has to hold. */
  #restore(buffer) {
    const pattern = this.#patterns.get(buffer)
    if (pattern && pattern.data.byteLength > 0 && !this.#isInWork(buffer)) pattern.data.fill(pattern.byte)
  }

  /** The memory that is among these arguments. */
  buffersOf(args) {
    const buffers = new Set()
    this.#find(args, buffers, new Set(), 0)
    return buffers
  }

  #find(value, buffers, devices, depth) {
    if (typeof value !== 'object' || value === null || depth > 2) return
    const buffer = bufferOf(value)
    if (buffer) buffers.add(buffer)
    else if (this.#world.className(value) !== undefined) devices.add(value)
    else {
      for (const key of ownKeys(value)) {
        const property = Object.getOwnPropertyDescriptor(value, key)
        if (property && 'value' in property) this.#find(property.value, buffers, devices, depth + 1)
      }
    }
  }

  /** A stream of that file was begun. */
  streaming(iterator, model, as) {
    this.#streams.set(iterator, { model, as })
  }

  /** A chunk of a stream came: it has to be what the file holds. */
  chunk(iterator, chunk) {
    const of = this.#streams.get(iterator)
    if (!of || !chunk?.data?.byteLength) return
    const whole = this.#world.files.expected(of.model, chunk.tensor, of.as)
    if (!whole) return
    const { data } = chunk
    const from = of.as === 'raw' ? chunk.byteStart : chunk.elementStart * data.BYTES_PER_ELEMENT
    const expected = whole.subarray(from, from + data.byteLength)
    const known = { what: `a chunk of ${chunk.tensor} as ${of.as}`, data, expected }
    this.#compare(known)
    this.#chunks.push(known)
    if (this.#chunks.length > 32) this.#chunks.shift()
  }

  /** A tensor was loaded. */
  loaded(model, tensor, as, data) {
    if (!ArrayBuffer.isView(data) || data.byteLength === 0) return
    const whole = this.#world.files.expected(model, tensor, as)
    if (whole) this.#compare({ what: `${tensor} as ${as}`, data, expected: whole })
  }

  #compare({ what, data, expected }) {
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
    if (!bytes.equals(expected)) this.#world.judge.fault('wrong-bytes', `${what} is not what the file holds`)
  }

  /** What a write takes its bytes from, where it is known what these are. */
  #source([data, options]) {
    const buffer = ArrayBuffer.isView(data) ? bufferOf(data) : undefined
    const pattern = this.#patterns.get(buffer)
    const work = this.#entry(this.#work, buffer ?? {})
    const offset = offsetOf(options)
    if (!pattern || work.count !== 0 || !Number.isInteger(offset)) return undefined
    const { began } = work
    // Work that is noted after this one began.
    return { byte: pattern.byte, offset, length: data.byteLength, isSame: () => work.began === began + 1 }
  }

  /** Looks whether a write wrote what its source held, released or not. */
  #expectWritten(buffer, state, { byte, offset, length }) {
    const { began } = state
    if (length === 0 || length > 8 * MiB || buffer.released) return
    buffer.read({ offsetBytes: offset, lengthBytes: length }).then(
      (bytes) => {
        if (state.began !== began || state.wasMapped || allAre(bytes, byte)) return
        this.#world.judge.fault('wrong-bytes', `what was written as ${byte} reads ${around(bytes, byte)}`)
      },
      () => {},
    )
  }

  /** A call on a device buffer begins; what is returned is told how it ended. */
  beginOnDevice(buffer, method, args) {
    const state = this.#entry(this.#devices, buffer)
    const reads = method === 'read' && args.length === 0
    const fills = method === 'fill' && args.length === 1
    const wasByte = state.byte
    const writes = ['fill', 'write', 'withMapping'].includes(method)
    // A view of it may have been moved away, and whoever has it may write to it for as long.
    state.wasMapped ||= method === 'withMapping'
    if (writes) {
      state.byte = undefined
      state.began += 1
      state.count += 1
    }
    const { began } = state
    const written = method === 'write' && state.count === 1 ? this.#source(args) : undefined
    return (succeeded, value) => {
      if (writes) state.count -= 1
      // Of work that went on at once with other work nobody can tell whose bytes came last.
      if (!succeeded || state.wasMapped || state.count > 0 || state.began !== began) return
      if (written?.isSame()) this.#expectWritten(buffer, state, written)
      if (fills) state.byte = args[0]
      if (reads && wasByte !== undefined && state.byte === wasByte && !allAre(value, wasByte)) {
        this.#world.judge.fault('wrong-bytes', `a device buffer filled with ${wasByte} reads ${around(value, wasByte)}`)
      }
    }
  }
}

const MiB = 2 ** 20

const bufferGetter = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), 'buffer').get
const viewGetter = Object.getOwnPropertyDescriptor(DataView.prototype, 'buffer').get

function ownKeys(value) {
  try {
    return Object.keys(value)
  } catch {
    return [] // A proxy that fails.
  }
}

/** Where a write with these options begins, if that is plainly there; nothing is run to learn of it. */
function offsetOf(options) {
  try {
    const property = options && Object.getOwnPropertyDescriptor(options, 'offsetBytes')
    return property ? property.value : 0
  } catch {
    return undefined
  }
}

/** The memory of an array, whatever it says itself. */
function bufferOf(value) {
  if (ArrayBuffer.isView(value)) return Reflect.apply(isDataView(value) ? viewGetter : bufferGetter, value, [])
  return isAnyArrayBuffer(value) ? value : undefined
}

const allAre = (data, byte) => {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  return bytes.length === 0 || (bytes[0] === byte && bytes.subarray(1).equals(bytes.subarray(0, -1)))
}

function around(data, byte) {
  const at = data.findIndex((found) => found !== byte)
  return `at ${at} ${[...data.subarray(at, at + 8)].join(' ')} where ${byte} was expected`
}
