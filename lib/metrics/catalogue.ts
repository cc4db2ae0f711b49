/** What a metric counts like: one value, one that adds up over its attributes, or one that only grows. */
export type MetricKind = 'gauge' | 'upDownCounter' | 'counter'

/** One metric of the catalogue. */
export interface MetricDefinition {
  /** Its name in OpenTelemetry. */
  readonly name: string
  /** Its name in Prometheus, by the rules with which OpenTelemetry's names are translated. */
  readonly prometheusName: string
  /** Its unit, in UCUM: `By` for bytes, `s` for seconds, `{request}` for things that are counted; `''` where there is none. */
  readonly unit: string
  /** What it counts like. */
  readonly kind: MetricKind
  /** What it says, in a sentence. */
  readonly help: string
  /** The attributes that its values may have. */
  readonly attributes: readonly string[]
}

type Row = readonly [kind: MetricKind, unit: string, help: string, ...attributes: string[]]

const POOL = ['plimsoll.pool', 'plimsoll.device'] as const
const HOLDER = ['plimsoll.holder', 'process.pid'] as const
const GPU = ['hw.id', 'hw.name'] as const

const rows = {
  // By OpenTelemetry's conventions.
  'system.memory.limit': ['upDownCounter', 'By', 'RAM that the kernel manages.'],
  'system.memory.usage': ['upDownCounter', 'By', 'RAM by state: used and available.', 'system.memory.state'],
  'system.memory.linux.available': ['upDownCounter', 'By', 'RAM that programs could take without swapping.'],
  'system.paging.usage': ['upDownCounter', 'By', 'Swap by state: used and free.', 'system.paging.state'],
  'process.memory.usage': [
    'upDownCounter',
    'By',
    'What a process has resident.',
    'process.pid',
    'process.executable.name',
  ],
  'hw.gpu.memory.limit': ['upDownCounter', 'By', 'All the memory of a GPU.', ...GPU],
  'hw.gpu.memory.usage': ['upDownCounter', 'By', 'Memory of a GPU that is in use, whoever uses it.', ...GPU],
  // The machine, as a budget sees it.
  'plimsoll.gpu.process.memory': [
    'upDownCounter',
    'By',
    'Memory of a GPU that a process holds.',
    'hw.id',
    'process.pid',
    'process.executable.name',
  ],
  'plimsoll.memory.dark': ['upDownCounter', 'By', 'RAM that no counter of the kernel owns.'],
  'plimsoll.memory.mapped': ['upDownCounter', 'By', 'Pages of files that live processes have mapped.'],
  'plimsoll.memory.zram': ['upDownCounter', 'By', 'RAM that compressed swap takes.'],
  'plimsoll.memory.stalled': ['counter', 's', 'Time that tasks stood still for want of memory.', 'plimsoll.stall'],
  'plimsoll.oom.kills': ['counter', '{kill}', 'Kills by the OOM killer since the start.'],
  'plimsoll.headroom': ['gauge', 'By', 'What the system can give now, less what is granted and not yet taken.'],
  'plimsoll.headroom.room': ['gauge', 'By', 'Room of each bound of headroom.', 'plimsoll.bound', 'plimsoll.path'],
  'plimsoll.headroom.pending': ['upDownCounter', 'By', 'What was granted and not yet taken.'],
  // A budget.
  'plimsoll.budget.line': ['gauge', 'By', 'The line: what may be used at most.'],
  'plimsoll.budget.term': ['gauge', 'By', 'Every bound that was weighed to draw the line.', 'plimsoll.bound'],
  'plimsoll.budget.allocated': ['upDownCounter', 'By', 'What is granted under the line.'],
  'plimsoll.budget.available': ['gauge', 'By', 'What could be granted now.'],
  'plimsoll.budget.peak': ['gauge', 'By', 'The most that was ever granted at once.'],
  'plimsoll.budget.label': ['upDownCounter', 'By', 'What is granted under each label.', 'plimsoll.label'],
  'plimsoll.refusals': [
    'counter',
    '{request}',
    'Requests that were refused since the metrics were set up.',
    'error.type',
  ],
  'plimsoll.level': ['gauge', '', 'The level of the monitor: 0 normal, 1 warning, 2 critical.'],
  // The queue.
  'plimsoll.queue.waiting': ['upDownCounter', '{request}', 'Requests that wait for their turn.'],
  'plimsoll.queue.wanted': ['upDownCounter', 'By', 'What those ask for together.'],
  'plimsoll.queue.oldest': ['gauge', 's', 'How long the oldest of them has waited.'],
  // Pools and families of buffers.
  'plimsoll.pool.held': ['upDownCounter', 'By', 'Slabs that a pool has taken from its device.', ...POOL],
  'plimsoll.pool.used': ['upDownCounter', 'By', 'Blocks of a pool that buffers have.', ...POOL],
  'plimsoll.pool.requested': ['upDownCounter', 'By', 'What those buffers asked for.', ...POOL],
  'plimsoll.pool.hole': ['gauge', 'By', 'The largest buffer that a pool has room for.', ...POOL],
  'plimsoll.pool.slabs': ['upDownCounter', '{slab}', 'Slabs of a pool.', ...POOL],
  'plimsoll.pool.buffers': ['upDownCounter', '{buffer}', 'Buffers of a pool that are handed out.', ...POOL],
  'plimsoll.pool.allocations': ['counter', '{buffer}', 'Buffers of a pool ever handed out.', ...POOL],
  'plimsoll.pool.failures': ['counter', '{request}', 'Requests that found no place in the slabs of a pool.', ...POOL],
  'plimsoll.pool.moved': ['counter', 'By', 'What defragmentation has moved in a pool.', ...POOL],
  'plimsoll.buffers.used': ['upDownCounter', 'By', 'What buffers of a family asked for.', 'plimsoll.family'],
  'plimsoll.buffers.count': ['upDownCounter', '{buffer}', 'Live buffers of a family.', 'plimsoll.family'],
  'plimsoll.staging.held': ['upDownCounter', 'By', 'What the staging pool keeps idle.'],
  'plimsoll.staging.used': ['upDownCounter', 'By', 'What of the staging pool is in use.'],
  // The ledger.
  'plimsoll.ledger.held': ['upDownCounter', 'By', 'What a process that shares the board was granted.', ...HOLDER],
  'plimsoll.ledger.pending': ['upDownCounter', 'By', 'What of that it has not yet taken.', ...HOLDER],
  'plimsoll.ledger.draining': ['upDownCounter', 'By', 'What processes that died hold until it is back.'],
  'plimsoll.ledger.waiting': ['upDownCounter', '{request}', 'Requests of a process that wait.', ...HOLDER],
  'plimsoll.ledger.wanted': ['upDownCounter', 'By', 'What the first of them asks for.', ...HOLDER],
} as const satisfies Record<string, Row>

/** The name of a metric of the catalogue. */
export type MetricName = keyof typeof rows

/** Those of which the greatest counts where several things go by the same attributes; all others add up. */
export const greatest: ReadonlySet<MetricName> = new Set(['plimsoll.pool.hole', 'plimsoll.headroom.room'])

/** A name as Prometheus takes it: no dots. */
export const prometheusLabel = (name: string): string => name.replaceAll(/[^a-zA-Z0-9_]/g, '_')

const suffixes: Readonly<Record<string, string>> = { By: '_bytes', s: '_seconds' }

const prometheusName = (name: string, unit: string, kind: MetricKind): string =>
  `${prometheusLabel(name)}${suffixes[unit] ?? ''}${kind === 'counter' ? '_total' : ''}`

/** Every metric there is, in the order in which they are given: what this machine or program does not have, has no values. */
export const metricCatalogue: readonly MetricDefinition[] = Object.freeze(
  Object.entries<Row>(rows).map(([name, [kind, unit, help, ...attributes]]) =>
    Object.freeze({
      name,
      prometheusName: prometheusName(name, unit, kind),
      unit,
      kind,
      help,
      attributes: Object.freeze(attributes),
    }),
  ),
)
