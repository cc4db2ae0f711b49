import { isArrayBuffer, isPromise, isProxy } from 'node:util/types'
import * as hostile from './hostile.mjs'
import { ask } from './servers.mjs'
import { Shadow } from './shadow.mjs'

/** How many objects of a class are kept; what makes room is released, or left to the collector. */
const MOST_OF_A_CLASS = 16

const MOST_ARRAYS = 48

const MOST_SERVERS = 4

const { getPrototypeOf } = Object

/** The live objects of a run, and what it has still to see the end of. */
export class World {
  /** Live objects by the name of their class. */
  live = new Map()
  /** Array buffers and views: the caller's, and those that the package handed out. */
  arrays = []
  /** Who releases an array buffer, by it. */
  owners = new WeakMap()
  /** Iterators that were begun. */
  iterators = []
  /** Functions that settle what a callback returned. */
  held = []
  /** Streams of Node.js's that have not closed. */
  streams = new Set()
  controllers = []
  disposables = []
  ports = []
  /** Every budget and device there ever was: in the end nothing may be left in any. */
  budgets = new Set()
  devices = new Set()
  /** Monitors there ever were: one that watches is kept by its budget, and keeps its manager and the pools of that. */
  monitors = new Set()
  /** Servers that were not ended: one goes on though nobody refers to it. */
  servers = new Set()
  /** What is held whoever refers to it, to be released in the end. */
  keptAlive = []
  /** Promises that have not settled, with the call each came from. */
  pending = new Map()
  /** Objects of the fuzzer's own that pass for ones of the package. */
  heirs = new WeakSet()
  /** What the call that is prepared is of. */
  receiver
  /** How deep callbacks are nested now. */
  depth = 0
  ending = false
  #classOf = new Map()

  /**
   * @param {object} parts the package, its `surface`, a source of `random`, the `judge`, and where files lie
   */
  constructor({ plimsoll, surface, random, judge, files }) {
    Object.assign(this, { plimsoll, surface, random, judge, files })
    for (const [name, type] of surface.classes) this.#classOf.set(type.prototype, name)
    this.shadow = new Shadow(this)
  }

  /** The name of the exported class that it is of. */
  className(value) {
    try {
      for (let prototype = getPrototypeOf(value); prototype; prototype = getPrototypeOf(prototype)) {
        const name = this.#classOf.get(prototype)
        if (name !== undefined) return name
      }
    } catch {
      // A proxy that fails.
    }
    return undefined
  }

  /** A live object of that class, or of one below it. */
  one(name) {
    const type = this.surface.classes.get(name)
    const all = [...this.live].flatMap(([key, objects]) => {
      const other = this.surface.classes.get(key)
      return key === name || other.prototype instanceof type ? objects : []
    })
    return this.random.pick(all)
  }

  /** Any live object. */
  anything() {
    return this.random.pick(this.random.pick([...this.live.values()]) ?? [])
  }

  /** An array: one that is known, or a new one. */
  array() {
    const { random } = this
    if (this.arrays.length > 0 && random.chance(0.7)) return random.pick(this.arrays)
    const made = hostile.array(random)
    this.addArray(made)
    return made
  }

  addArray(array) {
    if (this.arrays.includes(array)) return
    this.arrays.push(array)
    if (this.arrays.length > MOST_ARRAYS) this.arrays.splice(this.random.below(MOST_ARRAYS), 1)
  }

  /** Takes in what a call returned, or what a callback was given. */
  absorb(id, value) {
    try {
      this.#take(id, value, 0)
    } catch (error) {
      // What a callback of the caller's returned, and the package passes on, may fail at every touch.
      if (error instanceof ReferenceError) throw error
    }
  }

  #take(id, value, depth) {
    if ((typeof value !== 'object' && typeof value !== 'function') || value === null || depth > 2) return
    // One of the caller's that a call handed on: none of the package's objects, whatever it looks like.
    if (isProxy(value) || this.heirs.has(value)) return
    if (ArrayBuffer.isView(value) || isArrayBuffer(value)) {
      this.addArray(value)
    } else if (isPromise(value)) this.track(id, value)
    else if (this.className(value) !== undefined) this.#keep(value, depth)
    else if (typeof value.pipe === 'function') this.#consume(id, value)
    else if (typeof value.port === 'number' && typeof value.close === 'function') this.#serve(value)
    else if (typeof value.next === 'function' && typeof value.return === 'function') {
      if (this.iterators.length < 12) this.iterators.push(value)
      else this.#endIterator(id, value)
    } else if (typeof value[Symbol.dispose] === 'function') this.disposables.push(value)
    else if (Array.isArray(value)) for (const item of value.slice(0, 8)) this.#take(id, item, depth + 1)
    else if (typeof value.fd === 'number') this.files.closeExported(value)
    else if ('value' in value && 'done' in value) this.#take(id, value.value, depth + 1)
  }

  /** Reads a stream of Node.js's, in one of the ways there are, to its end or until it is destroyed. */
  #consume(id, stream) {
    if (this.streams.has(stream)) return
    this.streams.add(stream)
    stream.on('error', (error) => this.judge.threw(id, error)).on('close', () => this.streams.delete(stream))
    const all = async () => {
      for await (const bytes of stream) this.absorb(id, bytes)
    }
    const kind = this.random.below(5)
    if (kind === 0) stream.destroy()
    else if (kind === 1) stream.destroy(this.judge.own(new Error('of the caller')))
    else if (kind === 2) stream.resume()
    else if (kind === 3) stream.on('data', () => this.random.chance(0.1) && stream.destroy())
    else all().catch((error) => error?.code === 'ERR_STREAM_PREMATURE_CLOSE' || this.judge.threw(id, error))
  }

  /** Sends a server some requests, and ends the oldest where there are many. */
  #serve(server) {
    if (this.ending) return this.end(server)
    this.servers.add(server)
    for (let times = this.random.below(3); times > 0; times--) this.track('a request', ask(this, server))
    if (this.servers.size <= MOST_SERVERS) return
    const [oldest] = this.servers
    this.servers.delete(oldest)
    this.end(oldest)
  }

  #endIterator(id, iterator) {
    const returned = iterator.return()
    if (isPromise(returned)) this.track(`${id}, then return`, returned)
  }

  #keep(object, depth) {
    const name = this.className(object)
    if (name === 'StagingBuffer' || name === 'TensorChunk') this.owners.set(object.data.buffer, object)
    const objects = this.live.get(name) ?? []
    this.live.set(name, objects)
    if (objects.includes(object)) return
    objects.push(object)
    if (name === 'MemoryBudget') this.budgets.add(object)
    if (name === 'Device') this.devices.add(object)
    if (name === 'Dashboard') this.#serve(object)
    if (name === 'MemoryMonitor') this.monitors.add(new WeakRef(object))
    // They hold what they took until they are closed, whoever refers to them.
    if (name === 'Instances') this.keptAlive.push({ release: () => object.close() })
    this.shadow.appeared(name, object)
    // What it has in its properties is worth a call, too.
    for (const key of Object.keys(object)) this.#take(`${name}#${key}`, object[key], depth + 1)
    const most = name === 'MemoryPool' || name === 'MemoryManager' ? 4 : MOST_OF_A_CLASS
    if (objects.length <= most) return
    const [gone] = objects.splice(this.random.below(objects.length - 1), 1)
    if (this.random.chance(0.7)) this.end(gone)
  }

  /** Ends an object in the way that its class has. */
  end(object) {
    for (const key of [Symbol.dispose, Symbol.asyncDispose]) {
      if (typeof object?.[key] !== 'function') continue
      try {
        const ended = object[key]()
        if (isPromise(ended)) this.track(`${this.className(object)}#${key.description}`, ended)
      } catch (error) {
        this.judge.threw(`${this.className(object)}#${key.description}`, error)
      }
    }
  }

  /** Follows a promise of the package's until it has settled. */
  track(id, promise, settled = () => {}) {
    const token = {}
    this.pending.set(token, id)
    promise.then(
      (value) => {
        this.pending.delete(token)
        settled(true, value)
        this.absorb(id, value)
      },
      (error) => {
        this.pending.delete(token)
        settled(false)
        this.judge.threw(id, error)
      },
    )
  }

  /** A function to be called back, which does what it should not. */
  callback(name) {
    return (...args) => this.called(name, args)
  }

  /** What a callback of that name does now. */
  called(name, args) {
    const { random } = this
    for (const value of args) this.absorb(`the argument of ${name}`, value)
    if (this.ending || this.depth > 2) return undefined
    const kind = random.below(12)
    if (kind === 0) throw this.judge.userError(random)
    if (kind < 4) this.reenter()
    if (kind === 4) return this.holdPromise()
    if (kind === 5) return this.rejected()
    // biome-ignore lint/suspicious/noThenProperty: a thenable that fails is what is passed
    if (kind === 6) return { then: () => this.fail() }
    if (kind === 7) return true
    if (kind === 8) return new Promise((resolve) => setImmediate(resolve, true))
    return kind === 9 ? hostile.value(this) : undefined
  }

  fail() {
    throw this.judge.userError(this.random)
  }

  /** Calls the package from within a callback of its own. */
  reenter() {
    this.depth += 1
    try {
      for (let count = this.random.between(1, 3); count > 0; count--) this.act(true)
    } finally {
      this.depth -= 1
    }
  }

  rejected() {
    const promise = Promise.reject(this.judge.userError(this.random))
    promise.catch(() => {})
    return promise
  }

  /** A promise that some later step settles. */
  holdPromise() {
    return new Promise((resolve, reject) => {
      this.held.push(() => (this.random.chance(0.2) ? reject(this.judge.userError(this.random)) : resolve(true)))
    })
  }

  /** A signal, of the platform's or a false one. */
  signal() {
    const { random } = this
    const kind = random.below(8)
    if (kind < 4) {
      const controller = new AbortController()
      this.controllers.push(controller)
      if (this.controllers.length > 20) this.controllers.shift()
      return controller.signal
    }
    if (kind === 4) return AbortSignal.abort(this.judge.userError(random))
    if (kind === 5) return AbortSignal.timeout(random.below(5))
    return kind === 6 && this.controllers.length > 0 ? random.pick(this.controllers).signal : hostile.falseSignal(this)
  }
}
