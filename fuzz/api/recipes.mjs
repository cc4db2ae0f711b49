/**
 * Arguments that a call could really get, by the call's id, so that more than its checks is reached. A call without a recipe
 * gets hostile ones alone; some of these are spoilt, too.
 */

import { isTypedArray } from 'node:util/types'
import { profilePage } from 'plimsoll/report'
import { estimateRecipes } from './estimates.mjs'
import * as hostile from './hostile.mjs'
import { llamaRecipes } from './llama.mjs'
import { metricsRecipes } from './metrics.mjs'
import { planRecipes } from './plans.mjs'
import { serverRecipes } from './servers.mjs'
import { tokenRecipes } from './tokens.mjs'

const MiB = 2 ** 20
const sizes = [1, 64, 255, 256, 4096, 65_536, 300_000, MiB, 2 * MiB + 1, 6 * MiB]
const outputs = ['raw', 'raw', 'f32', 'f16', 'bf16']

/** Large enough, now and then, for work on it to take its time. */
const size = ({ random }) => (random.chance(0.04) ? 48 * MiB : random.pick(sizes))
const bytes = ({ random }) => random.pick([0, 1, 4096, MiB, 64 * MiB, 2 ** 40])
const label = ({ random }) =>
  random.pick(['weights', 'kv cache', '', '<script>alert(1)</script>', 'x'.repeat(2000), '\ud800'])
const flag = ({ random }) => random.chance(0.5)
const within = (least, most) => (world) => world.random.between(least, most)
const oneOf =
  (...items) =>
  ({ random }) =>
    random.pick(items)
const of = (name) => (world) => world.make(name)
const callback = (name) => (world) => world.callback(name)
const signal = (world) => world.signal()
const array = (world) => world.array()
/** An array that the buffer has room for, mostly, and rather a large one, or one whose bytes the shadow knows. */
const fitting = (world) => {
  const { random, receiver } = world
  const most = receiver?.sizeBytes ?? 0
  const arrays = random.chance(0.4) ? (world.live.get('StagingBuffer') ?? []).map(({ data }) => data) : world.arrays
  const fits = arrays.filter((item) => isTypedArray(item) && item.byteLength > 0 && item.byteLength <= most)
  const large = fits.filter((item) => item.byteLength > MiB)
  return random.chance(0.8) ? (random.pick(random.chance(0.5) ? large : fits) ?? world.array()) : world.array()
}
const always = (make) => Object.assign((world) => make(world), { always: true })

/** An options object with some of these, now and then spoilt. */
const options = (spec) => (world) => {
  const { random } = world
  if (random.chance(0.15)) return undefined
  const made = random.chance(0.05) ? Object.create(null) : {}
  for (const [key, value] of Object.entries(spec)) {
    if (value.always || random.chance(0.35)) put(world, made, random.chance(0.02) ? `${key}s` : key, value)
  }
  return random.chance(0.02) ? new Proxy(made, {}) : made
}

function put(world, made, key, value) {
  const { random } = world
  const item = random.chance(0.04) ? hostile.value(world) : value(world)
  // A getter may run anything as it is read, and say another thing the next time.
  const get = () => {
    if (random.chance(0.3)) world.called(`the getter of ${key}`, [])
    return random.chance(0.9) ? item : value(world)
  }
  // Where the memory is that is written to, the shadow has to know.
  if (key !== 'into' && random.chance(0.04))
    Object.defineProperty(made, key, { get, enumerable: true, configurable: true })
  else made[key] = item
}

const range = { offsetBytes: within(0, 5000), lengthBytes: within(0, 5000) }

const board = oneOf('auto', 'orin-nano-8gb', 'rk3588-16gb', 'agx-orin-64gb')
const machine = { board, safetyMarginPercent: within(0, 50), maxBytes: bytes, isolated: flag }

const hostDevice = options({
  kind: always(() => 'host'),
  memoryFile: flag,
  hugePages: oneOf('none', 'transparent', 'explicit', 'explicit-only'),
})
const cudaDevice = options({
  kind: always(() => 'cuda'),
  ordinal: oneOf(0, 0, 1),
  memory: oneOf('device', 'pinned', 'managed'),
  library: ({ files }) => files.library(),
})
const device = (world) =>
  world.random.pick([
    () => 'host',
    hostDevice,
    hostDevice,
    cudaDevice,
    of('Device'),
    () => 'auto',
    () => 'cuda',
    () => 'dma-heap',
  ])(world)

const poolOptions = options({
  device: always(device),
  label,
  slabBytes: always(oneOf(65_536, MiB, 2 * MiB)),
  initialBytes: oneOf(0, MiB, 4 * MiB),
  maxBytes: oneOf(MiB, 8 * MiB, 32 * MiB),
  maxCachedBytes: oneOf(0, MiB),
  pageBytes: oneOf(256, 4096, 65_536),
  dedicated: ({ random }) => random.chance(0.2),
  zeroOnFree: flag,
  autoDefragment: (world) =>
    world.random.pick([() => true, () => false, options({ abovePercent: within(0, 100), maxMs: within(0, 20) })])(
      world,
    ),
  budget: of('MemoryBudget'),
})

const bufferOptions = { label, alignBytes: oneOf(1, 256, 4096, 65_536), placement: oneOf('long', 'transient') }
const limits = {
  warnPercent: oneOf(0.001, 50, 80),
  criticalPercent: oneOf(0.002, 90, 95),
  hysteresisPercent: within(0, 5),
}
const familyOptions = (...kinds) => options({ label, kind: oneOf(...kinds), signal })
const npuOptions = familyOptions('dma-heap', 'udmabuf', 'rknpu')
const gpuOptions = familyOptions('device', 'pinned', 'managed')
const systemOptions = familyOptions('anonymous', 'memory-file')
const anyFamily = familyOptions('anonymous', 'memory-file', 'device', 'pinned', 'managed')
const load = {
  as: oneOf(...outputs),
  threads: oneOf(1, 1, 2, 4),
  io: oneOf('read', 'read', 'mmap', 'direct'),
  dropBehind: flag,
  checkTensors: ({ random }) => random.chance(0.1),
  signal,
  onProgress: callback('onProgress'),
  onDigest: callback('onDigest'),
}
const openOptions = options({
  headerOnly: ({ random }) => random.chance(0.1),
  strict: ({ random }) => random.chance(0.1),
})
const path = ({ files }) => files.path()
/** Of files alone: nobody on the network is asked. */
const url = (world) => `file://${path(world)}`
const urlOptions = options({
  headerOnly: ({ random }) => random.chance(0.1),
  headers: () => ({ authorization: 'Bearer x' }),
  maxHeaderBytes: oneOf(4096, MiB),
  timeoutMs: oneOf(1, 1000),
  signal,
})
const tensor = (world) => world.files.tensorName()
const key = oneOf(
  'general.architecture',
  'fuzz.words',
  'fuzz.nested',
  'fuzz.large',
  'fuzz.doubles',
  'tokenizer.ggml.tokens',
  'none',
)
const process_ = options({ root: oneOf('/', '/nowhere'), pid: ({ random }) => random.pick([process.pid, 1, 2 ** 22]) })
const system = options({ root: oneOf('/', '/nowhere', '') })
const event = oneOf(
  'normal',
  'warning',
  'critical',
  'pressure',
  'kill',
  'sample',
  'reclaim',
  'unavailable',
  'removeListener',
  'newListener',
)
/** What a profile gives its writers. */
const rows = (world) => {
  let given
  world.make('MemoryProfile')?.export((all) => {
    given = all
    return []
  })
  return given
}
const file = ({ files, random }) => files.output(random.pick(['.json', '.html', '.trace.json', '.txt']))
const allocate = (family) => [size, family]

/** Whoever waits has an end to it. */
const acquireOptions = options({
  timeoutMs: always(within(0, 50)),
  priority: within(-2, 2),
  key: oneOf('llama', 'qwen'),
  ageMs: oneOf(0, 5, 2000),
  idleMs: oneOf(0, 1000),
  evictMs: oneOf(0, 10, 5000),
  pinned: flag,
  evictable: flag,
  onEvict: callback('onEvict'),
  onRevoke: callback('onRevoke'),
  signal,
})
const request = options({ bytes: always(bytes), label: always(label), device: oneOf('npu', 'gpu') })
const acquire = [
  (world) => (world.random.chance(0.5) ? request(world) : [request(world), request(world)]),
  (world) => acquireOptions(world) ?? { timeoutMs: 20 },
]

/** What makes a live object of each class, where there is none. */
export const makers = {
  MemoryBudget: ['MemoryBudget.forThisMachine', 'new MemoryBudget', 'MemoryBudget.forBoard'],
  Allocation: ['MemoryBudget#allocate'],
  Admission: ['new Admission', 'new MemoryManager'],
  Grant: ['Admission#acquire', 'MemoryManager#acquire'],
  StagingPool: ['new StagingPool'],
  StagingBuffer: ['StagingPool#get'],
  GgufFile: ['GgufFile.open', 'MemoryManager#open'],
  GgufMetadata: ['GgufFile.open'],
  GgufArray: ['GgufMetadata#get'],
  TensorChunk: ['GgufFile#stream'],
  Device: ['Device.open'],
  MemoryPool: ['MemoryPool.create', 'MemoryPools#create'],
  PoolBuffer: ['MemoryPool#allocateAsync', 'MemoryPool#allocate'],
  DeviceBuffer: ['DeviceFamily#allocate', 'MemoryPool#allocateAsync'],
  DeviceFamily: ['new MemoryManager'],
  MemoryPools: ['new MemoryManager'],
  MemoryManager: ['new MemoryManager'],
  MemoryMonitor: ['new MemoryMonitor'],
  MemoryProfile: ['new MemoryProfile'],
  ModelMemoryEstimate: ['estimate', 'ModelMemoryEstimate.fromParams'],
  PlanReport: ['validatePlan'],
  TokenBudget: ['new TokenBudget'],
  TokenSequence: ['TokenBudget#open'],
  PageStore: ['PageStore.create'],
  Instances: ['new MemoryManager'],
  Dashboard: ['serveDashboard'],
  GuardedLlama: ['guardLlama'],
}

/** The arguments of each call. */
export const recipes = {
  'new MemoryBudget': [options({ totalBytes: always(oneOf(2 ** 33, 2 ** 30, 0)), reservedBytes: bytes })],
  'MemoryBudget.forBoard': [board],
  'MemoryBudget.forThisMachine': [options({ ...machine, pid: () => process.pid })],
  'MemoryBudget#allocate': [bytes, label],
  'MemoryBudget#hold': [bytes, label],
  'MemoryBudget#withAllocation': [bytes, label, callback('use')],
  'MemoryBudget#canAllocate': [bytes],
  'MemoryBudget#headroom': [options({ floorBytes: bytes })],
  'set MemoryBudget#maxBytes': [bytes],
  'Allocation#commit': [bytes],
  'Allocation#attach': [(world) => world.anything() ?? {}],

  'new Admission': [of('MemoryBudget')],
  'Admission#acquire': acquire,
  'Admission#onChange': [callback('onChange')],
  'set Admission#maxWaiting': [oneOf(0, 1, 512)],
  'set Admission#onEvict': [callback('onEvict')],
  'Grant#stretch': [bytes],
  'Grant#shrink': [bytes],
  'Grant#commit': [bytes],
  'Grant#attach': [(world) => world.anything() ?? {}],

  'new StagingPool': [options({ maxHeldBytes: bytes, zeroed: flag, budget: of('MemoryBudget') })],
  'StagingPool#get': [size],
  'StagingPool#trim': [bytes],

  'GgufFile.open': [path, openOptions],
  'GgufFile.openUrl': [url, urlOptions],
  'GgufFile.fromBytes': [({ files }) => files.bytes(), openOptions],
  'GgufFile#tensor': [tensor],
  'GgufFile#stream': [
    options({
      ...load,
      tensors: (world) => Array.from({ length: world.random.between(0, 3) }, () => tensor(world)),
      chunkBytes: oneOf(1024, 4096, 65_536, MiB),
      staging: of('StagingPool'),
      reuse: flag,
    }),
  ],
  'GgufFile#createReadStream': [
    tensor,
    options({ ...load, chunkBytes: oneOf(1024, 65_536), highWaterMark: oneOf(0, 1024, MiB) }),
  ],
  'GgufFile#load': [
    tensor,
    (world) => {
      const into = world.random.pick([
        array,
        array,
        of('DeviceBuffer'),
        of('PoolBuffer'),
        ({ files }) => new ArrayBuffer(files.largestBytes),
      ])
      return options({ ...load, into, offsetBytes: oneOf(0, 4, 4096) })(world)
    },
  ],
  'GgufFile#loadAll': [
    (world) => {
      const into = world.random.pick([of('MemoryPool'), () => undefined])
      const filter = ({ sizeBytes }) => sizeBytes < MiB
      return options({ ...load, into, filter: () => filter })(world)
    },
  ],
  pageCache: [path],
  dropPageCache: [path],
  'GgufMetadata#forEach': [callback('callback')],
  'GgufMetadata#get': [key],
  'GgufMetadata#getArray': [key],
  'GgufMetadata#getBigInt': [key],
  'GgufMetadata#getBoolean': [key],
  'GgufMetadata#getNumber': [key],
  'GgufMetadata#getString': [key],
  'GgufMetadata#has': [key],
  'GgufMetadata#type': [key],
  'GgufArray#slice': [within(-5, 500), within(-5, 500)],
  'GgufArray#at': [within(-5, 100)],

  'Device.open': [device],
  'Device#planDomains': [() => [MiB, 2 * MiB]],
  'DeviceBuffer#read': [options({ offsetBytes: within(0, 5000), into: always(fitting) })],
  'DeviceBuffer#write': [
    fitting,
    options({ offsetBytes: ({ random }) => (random.chance(0.5) ? 0 : random.below(5000)) }),
  ],
  'DeviceBuffer#fill': [within(0, 255), options(range)],
  'DeviceBuffer#copyTo': [
    of('DeviceBuffer'),
    options({ ...range, lengthBytes: always(within(0, 200)), targetOffsetBytes: oneOf(0, 64) }),
  ],
  'DeviceBuffer#withMapping': [callback('use'), options({ ...range, access: oneOf('read', 'write', 'readwrite') })],
  'DeviceFamily#allocate': allocate(anyFamily),

  'MemoryPool.create': [poolOptions],
  'MemoryPools#create': [poolOptions],
  'MemoryPool#allocate': [size, options(bufferOptions)],
  'MemoryPool#allocateAsync': [size, options({ ...bufferOptions, signal })],
  'MemoryPool#onReclaim': [callback('reclaim')],
  'MemoryPool#reserve': [size],
  'MemoryPool#trim': [bytes],
  'MemoryPool#startTrace': [oneOf(1, 100, 10_000)],
  'MemoryPool#defragment': [
    options({
      maxBytes: bytes,
      maxMoves: within(0, 10),
      maxMs: within(0, 50),
      dryRun: ({ random }) => random.chance(0.2),
      veto: callback('veto'),
      onMoved: callback('onMoved'),
      signal,
    }),
  ],

  'new MemoryManager': [options({ ...machine, maxHeldBytes: oneOf(0, MiB, 8 * MiB), device: always(device) })],
  'MemoryManager#acquire': acquire,
  'MemoryManager#open': [path, openOptions],
  'MemoryManager#openUrl': [url, urlOptions],
  'MemoryManager#allocateNPUMemory': allocate(npuOptions),
  'MemoryManager#allocateGPUMemory': allocate(gpuOptions),
  'MemoryManager#allocateSystemMemory': allocate(systemOptions),
  'MemoryManager#deallocateNPUMemory': [of('DeviceBuffer')],
  'MemoryManager#deallocateGPUMemory': [of('DeviceBuffer')],
  'MemoryManager#deallocateSystemMemory': [of('DeviceBuffer')],
  'MemoryManager#createMemoryPool': [poolOptions],
  'MemoryManager#allocateFromPool': [of('MemoryPool'), size, options(bufferOptions)],
  'MemoryManager#destroyMemoryPool': [of('MemoryPool')],
  'MemoryManager#enableMemoryProfiling': [
    options({ capacity: oneOf(1, 100, 5000), stacks: flag, stackDepth: within(1, 20) }),
  ],
  'MemoryManager#setMemoryLimits': [options({ ...limits, maxBytes: bytes })],
  'set MemoryManager#limits': [options({ ...limits, maxBytes: bytes })],

  'new MemoryMonitor': [of('MemoryBudget'), options(limits)],
  'MemoryMonitor#start': [
    options({
      ...limits,
      floorBytes: bytes,
      refuseAtCritical: flag,
      collectGarbage: ({ random }) => random.chance(0.1),
      intervalMs: oneOf(10, 20, 1000),
      historyCount: within(0, 50),
    }),
  ],
  'set MemoryMonitor#limits': [options(limits)],
  'MemoryMonitor#on': [event, callback('listener')],
  'MemoryMonitor#once': [event, callback('listener')],
  'MemoryMonitor#off': [event, callback('listener')],
  'MemoryMonitor#addListener': [event, callback('listener')],
  'MemoryMonitor#removeListener': [event, callback('listener')],
  'MemoryMonitor#prependListener': [event, callback('listener')],
  'MemoryMonitor#prependOnceListener': [event, callback('listener')],
  'MemoryMonitor#removeAllListeners': [event],
  'MemoryMonitor#emit': [event],
  'MemoryMonitor#listenerCount': [event],
  'MemoryMonitor#onReclaim': [label, callback('reclaim')],
  'MemoryMonitor#mark': [label],

  'new MemoryProfile': [of('MemoryBudget')],
  'MemoryProfile#start': [options({ capacity: oneOf(1, 100, 5000), stacks: flag, stackDepth: within(1, 20) })],
  'MemoryProfile#leaks': [options({ olderThanMs: within(0, 100) })],
  'MemoryProfile#export': [oneOf('json', 'trace', profilePage)],
  'MemoryProfile#save': [file, oneOf('json', 'trace', profilePage)],

  machineMemory: [process_],
  signals: [process_],
  processMemory: [options({ pid: ({ random }) => random.pick([process.pid, 1, 2 ** 22]) })],
  detectBoard: [system],
  backEnds: [system],
  parseBytes: [oneOf('1 KiB', '8GB', '1.5 GiB', '-1', '1e3', '', '9'.repeat(400))],
  formatBytes: [bytes],
  planNpuDomains: [() => [MiB, 1500 * MiB, 3]],
  tensorDataBytes: [({ files }) => files.tensor(), oneOf('raw', 'f32', 'f16', 'bf16')],
  parsePoolSnapshots: [
    (world) => {
      const text = JSON.stringify(world.make('MemoryPool')?.snapshot() ?? [])
      return world.random.chance(0.5) ? text : text.slice(0, world.random.below(text.length + 1))
    },
  ],
  poolsPage: [(world) => [world.make('MemoryPool')?.snapshot()]],
  profilePage: [rows],

  ...metricsRecipes({ options, oneOf, within, of, flag, always }),
  ...llamaRecipes({ options, oneOf, within, of, flag, always, path }),
  ...serverRecipes({ options, oneOf, within, of, flag }),
  ...estimateRecipes({ options, oneOf, within, of, flag, bytes, always }),
  ...planRecipes({ options, oneOf, within, of, flag, bytes, always }),
  ...tokenRecipes({ options, oneOf, of, flag, bytes, always, callback, array }),
}

/** Arguments for a call. */
export function argumentsOf(id, world) {
  const { random } = world
  const recipe = recipes[id]
  if (!recipe || random.chance(0.12)) return Array.from({ length: random.between(0, 3) }, () => hostile.value(world))
  const args = recipe.map((make) => (random.chance(0.03) ? hostile.value(world) : make(world)))
  while (args.length > 0 && args.at(-1) === undefined) args.pop()
  return args
}
