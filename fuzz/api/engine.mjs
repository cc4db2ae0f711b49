import { isArrayBuffer, isPromise, isProxy } from 'node:util/types'
import { MessageChannel } from 'node:worker_threads'
import { groups } from './groups.mjs'
import * as hostile from './hostile.mjs'
import { argumentsOf, makers } from './recipes.mjs'
import { workTogether } from './together.mjs'
import { waitedMs } from './waited.mjs'
import { World } from './world.mjs'

/** A call that holds up the event loop for longer is a finding. */
const LONGEST_CALL_MS = Number(process.env.FUZZ_API_LONGEST_CALL_MS ?? 5000)

/** The largest array that is copied, or posted to another thread. */
const MOST_COPIED_BYTES = 64 * 2 ** 20

/** Chooses what is done next, and does it. */
export class Engine extends World {
  /** How often each member was called, and how often that succeeded. */
  calls = new Map()
  /** Called with a line for all that is done. */
  log = () => {}
  /** What to end in the end that is no object of the package. */
  workers = new Set()
  /** How much work on memory that is taken away is under way: it takes much memory. */
  together = 0
  #byId = new Map()
  #members
  #spawn
  #optionNames
  #mustCall
  #reads = new Set()
  /** Whether what is read from a prototype matters now. */
  #minds = true

  constructor({ only, spawn, optionNames, mustCall, ...parts }) {
    super(parts)
    const { members } = parts.surface
    for (const member of members) this.#byId.set(member.id, member)
    const wanted = only && groups[only]
    this.#members = new Map()
    for (const member of members) {
      if (wanted && !wanted.includes(member.owner ?? member.makes)) continue
      const owner = member.owner ?? member.makes ?? 'functions'
      this.#members.set(owner, [...(this.#members.get(owner) ?? []), member])
    }
    this.#spawn = spawn
    this.#optionNames = optionNames
    this.#mustCall = mustCall
  }

  /** A live object of that class; one that is made for it where there is none, or `undefined` while that takes its time. */
  make(name) {
    const found = this.one(name)
    if (found && this.random.chance(0.9)) return found
    const maker = this.#byId.get(this.random.pick(makers[name] ?? [`new ${name}`]))
    if (maker && this.depth < 6) {
      this.depth += 1
      try {
        this.call(maker)
      } finally {
        this.depth -= 1
      }
    }
    return this.one(name)
  }

  /** Does one thing; within a callback of the package's nothing that would nest further. */
  act(nested = false) {
    const { random } = this
    const action = random.below(100)
    if (action < 62) this.#anyCall()
    else if (action < 76) this.#iterate()
    else if (action < 82) this.#useMemory()
    else if (action < 85) this.#logged('settle', () => this.held.splice(random.below(this.held.length), 1)[0]?.())
    else if (action < 88)
      this.#logged('abort', () => random.pick(this.controllers)?.abort(this.judge.userError(random)))
    else if (action < 90) this.#logged('dispose', () => this.#disposeOne())
    else if (action < 93) this.#logged('check', () => this.shadow.check())
    else if (action < 95) this.#logged('forget', () => this.#forget())
    else if (action < 96) this.#logged('change a file', () => this.files.change())
    else if (action < 97 && !nested && random.chance(0.7)) this.#workTogether()
    else if (action < 97 && !nested) this.#logged('spawn', () => this.#spawn?.(this))
    else if (action < 98)
      this.#logged('collect', () => globalThis.gc?.({ type: random.chance(0.8) ? 'minor' : 'major' }))
    else this.#wrongReceiver()
  }

  /** Says what is done before it is: what hangs is the last that was said. */
  #logged(what, act) {
    this.log(what)
    act()
  }

  #isFresh({ id }) {
    return !this.calls.has(id) && (this.#mustCall?.includes(id) ?? true)
  }

  #anyCall() {
    const { random } = this
    const all = [...this.#members.values()]
    // Now and then one that was not called yet, so that a short run comes to each.
    const fresh = random.chance(0.1) ? random.pick(all.flat().filter((member) => this.#isFresh(member))) : undefined
    const member = fresh ?? random.pick(random.pick(all))
    const ends = /release|close|destroy|dispose|deallocate|free$/.test(member.id)
    if (ends && !fresh && random.chance(0.6)) return
    this.call(member)
  }

  /** Calls a member with the arguments of its recipe, and looks at what comes of it. */
  call(member, spoil = () => {}) {
    const { random } = this
    const receiver = member.className ? this.make(member.className) : undefined
    if (member.className && !receiver) return
    this.receiver = receiver
    const args = argumentsOf(member.id, this)
    spoil(args)
    if (random.chance(0.03)) this.#inPollution(() => this.#invoke(member, receiver, args))
    else this.#invoke(member, receiver, args)
  }

  /** Budgets are looked at in the end, so what is attached to one would live until then. */
  #livesToTheEnd(id, [owner]) {
    return /^(Allocation|Grant)#attach$/.test(id) && /Budget|Device$/.test(this.className(owner))
  }

  #invoke(member, receiver, args) {
    const { id } = member
    this.log(id)
    const { random } = this
    if (this.#livesToTheEnd(id, args)) return
    const count = this.calls.get(id) ?? [0, 0]
    this.calls.set(id, [count[0] + 1, count[1]])
    const succeeded = () => {
      this.calls.get(id)[1] += 1
    }
    const method = /#(\w+)$/.exec(id)?.[1]
    const end = this.#follow(id, receiver, args)
    const [started, waited] = [performance.now(), waitedMs()]
    let value
    try {
      value = member.call(receiver, args)
    } catch (error) {
      end(false)
      this.judge.threw(id, error)
      return
    } finally {
      const tookMs = performance.now() - started - (waitedMs() - waited)
      if (tookMs > LONGEST_CALL_MS) this.judge.fault('slow', `${id} held up the event loop for ${tookMs.toFixed(0)} ms`)
    }
    if (!isPromise(value)) {
      end(true, value)
      succeeded()
      // What is held stays until it is released, whoever refers to it.
      if (method === 'hold') this.keptAlive.push(value)
      this.#noteStream(id, receiver, args, value)
      this.absorb(id, value)
      return
    }
    if (random.chance(0.3)) this.#pullAway(args)
    const as = formOf(args[1])
    const path = id === 'GgufFile#load' ? { path: receiver.path } : undefined
    const tensor = args[0]
    this.track(id, value, (fulfilled, result) => {
      end(fulfilled, result)
      if (!fulfilled) return
      succeeded()
      if (path && as && !hasOption(args[1], 'into')) this.shadow.loaded(path, tensor, as, result)
    })
  }

  /** Has the shadow know of a call that begins; what is returned is told how it ended. */
  #follow(id, receiver, args) {
    const [, method] = /^(?:DeviceBuffer|PoolBuffer)#(\w+)$/.exec(id) ?? []
    const isBuffer = method && this.className(receiver) !== undefined
    const endOnDevice = isBuffer ? this.shadow.beginOnDevice(receiver, method, args) : () => {}
    const end = this.shadow.begin(args)
    return (succeeded, value) => {
      end()
      endOnDevice(succeeded, value)
    }
  }

  /** Takes the memory that work was just begun on, in one of the ways there are. */
  #pullAway(args) {
    const { random } = this
    for (const buffer of this.shadow.buffersOf(args)) {
      const kind = random.below(5)
      this.log(`pull away ${kind}`)
      try {
        if (kind < 2) this.owners.get(buffer)?.release()
        else if (kind === 2) structuredClone(buffer, { transfer: [buffer] })
        else if (kind === 3) buffer.resize?.(0)
        else this.iterators[0]?.return()?.catch?.(() => {})
      } catch {
        // Not all memory can be moved.
      }
    }
    const drop = () => {
      globalThis.gc?.()
      for (const pool of this.live.get('StagingPool') ?? []) pool.trim()
    }
    // Memory that was released goes back to the system once its array buffer was collected, some turns later.
    if (random.chance(0.2)) for (let turns = 0; turns < 3; turns++) setTimeout(drop, turns)
  }

  #noteStream(id, receiver, args, value) {
    if (id === 'GgufFile#stream') this.shadow.streaming(value, { path: receiver.path }, formOf(args[0]) ?? 'unknown')
  }

  #workTogether() {
    if (this.together > 0) return
    this.together += 1
    this.log('together')
    const work = workTogether(this)
    const end = () => {
      this.together -= 1
    }
    work.then(end, end)
    this.track('work on memory that is taken away', work)
  }

  /** Goes on with an iterator, or several times at once. */
  #iterate() {
    const { random } = this
    if (this.iterators.length === 0) return
    const at = random.below(this.iterators.length)
    const iterator = this.iterators[at]
    const kind = random.below(12)
    try {
      if (kind === 0) return this.#step(iterator, 'return', [])
      // A generator that passes on what a typed array gives has nothing to be thrown into.
      if (kind === 1 && Symbol.asyncIterator in iterator)
        return this.#step(iterator, 'throw', [this.judge.userError(random)])
      for (let times = random.pick([1, 1, 1, 1, 3]); times > 0; times--) this.#step(iterator, 'next', [])
    } finally {
      if (kind < 2) this.iterators.splice(at, 1)
    }
  }

  #step(iterator, method, args) {
    this.log(`iterator.${method}`)
    try {
      const result = iterator[method](...args)
      if (!isPromise(result)) return this.absorb(`iterator.${method}`, result)
      this.track(`iterator.${method}`, result, (fulfilled, step) => {
        if (!fulfilled) return
        if (step.done) this.iterators = this.iterators.filter((other) => other !== iterator)
        else this.#take(iterator, step.value)
      })
    } catch (error) {
      this.judge.threw(`iterator.${method}`, error)
    }
  }

  /** Looks at what an iterator gave, and calls one of its methods while it is new: a chunk may not be there for long. */
  #take(iterator, value) {
    this.shadow.chunk(iterator, value)
    const name = this.className(value)
    if (name === undefined || this.ending || this.random.chance(0.6)) return
    const members = [...this.#byId.values()].filter(({ className }) => className === name)
    this.#invoke(this.random.pick(members), value, [])
  }

  /** Moves memory away, to another thread or in this one, or changes its size. */
  #useMemory() {
    const { random } = this
    const array = this.random.pick(this.arrays)
    if (!array) return
    const buffer = ArrayBuffer.isView(array) ? array.buffer : array
    const kind = random.below(6)
    // To copy gigabytes takes so long that it looks as if something hung.
    if (buffer.byteLength > MOST_COPIED_BYTES && kind !== 3) return
    this.log(`memory ${kind}`)
    if (kind < 2) this.shadow.moved(buffer)
    try {
      if (kind === 0) this.addArray(structuredClone(array, isArrayBuffer(buffer) ? { transfer: [buffer] } : {}))
      else if (kind === 1) this.port().postMessage(array, [buffer])
      else if (kind === 2) this.port().postMessage(array)
      else if (kind === 3) buffer.resize?.(random.below(buffer.maxByteLength + 1))
      else if (kind === 4) buffer.transfer?.(random.below(64))
      else
        new Response(array).arrayBuffer().then(
          (copy) => this.addArray(copy),
          () => {},
        )
    } catch {
      // The engine refuses what cannot be moved.
    }
  }

  /** A port whose other end keeps what it gets for a while. */
  port() {
    if (this.ports.length > 0 && this.random.chance(0.8)) return this.random.pick(this.ports)
    const { port1, port2 } = new MessageChannel()
    port2.on('message', (message) => this.addArray(message))
    port1.unref()
    port2.unref()
    this.ports.push(port1)
    if (this.ports.length > 4) this.ports.shift().close()
    return port1
  }

  #disposeOne() {
    const disposable = this.disposables.splice(this.random.below(this.disposables.length), 1)[0]
    try {
      disposable?.[Symbol.dispose]()
    } catch (error) {
      this.judge.threw('[Symbol.dispose]', error)
    }
  }

  /** Leaves an object to the collector, released or not. */
  #forget() {
    const objects = this.random.pick([...this.live.values()])
    const gone = objects?.splice(this.random.below(objects.length), 1)[0]
    if (gone && this.random.chance(0.5)) this.end(gone)
  }

  /** Calls a method on what is no object of its class; as of any JavaScript class, that is a TypeError. */
  #wrongReceiver() {
    const { random } = this
    const member = random.pick([...this.#byId.values()].filter(({ className }) => className))
    const receiver = random.chance(0.5) ? this.anything() : hostile.value(this)
    // One over an object of the package passes for it until a private member is touched, in the middle of a method.
    if (isProxy(receiver)) return
    this.log(`${member.id} on another object`)
    const isOwn = (error) =>
      error instanceof TypeError || error instanceof this.plimsoll.PlimsollError || this.judge.isOwn(error)
    // What a method reads of an object that is none of its class is not there.
    this.#minds = false
    let end
    try {
      const args = argumentsOf(member.id, this)
      // It may be one of the class after all.
      if (this.#livesToTheEnd(member.id, args)) return
      end = this.#follow(member.id, receiver, args)
      const value = member.call(receiver, args)
      // One that inherits the method is held by it.
      if (member.key === 'hold') this.keptAlive.push(value)
      if (!isPromise(value)) return
      const settle = end
      end = undefined
      value.then(
        (result) => settle(true, result),
        (error) => {
          settle(false)
          if (!isOwn(error)) this.judge.threw(member.id, error)
        },
      )
    } catch (error) {
      if (!isOwn(error)) this.judge.threw(`${member.id} on another object`, error)
    } finally {
      end?.(false)
      this.#minds = true
    }
  }

  /** Runs a call while the prototype of all objects has options. */
  #inPollution(run) {
    const clean = this.pollute()
    try {
      run()
    } finally {
      clean()
    }
  }

  /** Gives the prototype of all objects options, and notes when the package reads one there, until what is returned is called. */
  pollute() {
    const names = this.#optionNames.filter(() => this.random.chance(0.5)).filter((name) => !(name in Object.prototype))
    for (const name of names) {
      Object.defineProperty(Object.prototype, name, {
        configurable: true,
        get: () => this.#inherited(name),
        set(value) {
          Object.defineProperty(this, name, { value, configurable: true, writable: true, enumerable: true })
        },
      })
    }
    return () => {
      for (const name of names) delete Object.prototype[name]
    }
  }

  #inherited(name) {
    const frames = (new Error().stack ?? '')
      .split('\n')
      .slice(1)
      .filter((line) => !line.includes('engine.mjs'))
    const place = frames[0] ?? ''
    if (!/[/\\]dist[/\\]\w+\.js:/.test(place) || this.#reads.has(name) || !this.#minds) return undefined
    this.#reads.add(name)
    this.judge.fault('inherited', `"${name}" is read from Object.prototype${place.replace(/\(.*[/\\]/, '(')}`)
    return undefined
  }
}

/** What a call's data come out as; `undefined` where only running something could tell. */
function formOf(options) {
  if (options === undefined) return 'raw'
  try {
    const property = Object.getOwnPropertyDescriptor(options, 'as')
    return property ? property.value : 'raw'
  } catch {
    return undefined
  }
}

function hasOption(options, name) {
  try {
    return options !== undefined && name in options
  } catch {
    return true
  }
}
