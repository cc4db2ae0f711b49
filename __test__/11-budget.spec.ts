import { type Allocation, InsufficientMemoryError, InvalidArgumentError, MemoryBudget, MiB } from 'plimsoll'
import { thrownBy } from './helpers/errors'

const MAX = Number.MAX_SAFE_INTEGER

/** What is no size, by the reason. */
const unfitSizes: [string, unknown][] = [
  ['negative', -1],
  ['a fraction', 0.5],
  ['not a number', Number.NaN],
  ['infinite', Number.POSITIVE_INFINITY],
  ['minus infinity', Number.NEGATIVE_INFINITY],
  ['past 2^53 - 1', MAX + 1],
  ['2^64', 2 ** 64],
  ['1e308', 1e308],
  ['a numeric string', '5'],
  ['a bigint', 5n],
  ['null', null],
  ['undefined', undefined],
  ['true', true],
  ['an array', [5]],
  ['an object with a value', { valueOf: () => 5 }],
  ['a Number object', Object(5)],
]

describe('a budget of an Orin Nano with 8 GB', () => {
  test('answers every query in bytes', () => {
    const budget = MemoryBudget.forBoard('orin-nano-8gb')
    using _weights = budget.allocate(3000 * MiB, 'weights')
    using _cache = budget.allocate(1000 * MiB, 'kv_cache')
    using _activations = budget.allocate(500 * MiB, 'activations')
    expect(budget).toMatchObject({
      totalBytes: 8192 * MiB,
      reservedBytes: 2048 * MiB,
      usableBytes: 6144 * MiB,
      allocatedBytes: 4500 * MiB,
      availableBytes: 1644 * MiB,
      peakBytes: 4500 * MiB,
    })
    expect(budget.utilizationPercent).toBeCloseTo((4500 / 6144) * 100, 10)
  })

  test('refuses 2000 MiB after 5000 MiB, says why, and takes nothing', () => {
    const budget = MemoryBudget.forBoard('orin-nano-8gb')
    using _model = budget.allocate(5000 * MiB, 'large_model')
    const error = thrownBy(InsufficientMemoryError, () => budget.allocate(2000 * MiB, 'kv_cache'))
    expect(error).toMatchObject({
      label: 'kv_cache',
      requestedBytes: 2000 * MiB,
      availableBytes: 1144 * MiB,
      largestFreeBytes: 1144 * MiB,
    })
    expect(error.bindingConstraint).toContain('orin-nano-8gb')
    expect(error.suggestion).toContain('"large_model" with 4.88 GiB')
    expect(budget).toMatchObject({ allocatedBytes: 5000 * MiB, peakBytes: 5000 * MiB })
    expect(budget.allocations()).toHaveLength(1)
  })
})

describe('canAllocate', () => {
  test('says what allocate does, to the byte', () => {
    const budget = new MemoryBudget({ totalBytes: 100 })
    using _held = budget.allocate(60, 'held')
    expect([0, 1, 40, 41, 100, MAX].map((bytes) => budget.canAllocate(bytes))).toEqual([
      true,
      true,
      true,
      false,
      false,
      false,
    ])
    thrownBy(InsufficientMemoryError, () => budget.allocate(41, 'one too many'))
    budget.allocate(40, 'all the rest').release()
  })

  test('takes nothing', () => {
    const budget = new MemoryBudget({ totalBytes: 100 })
    for (let asked = 0; asked < 1000; asked++) budget.canAllocate(100)
    expect(budget).toMatchObject({ allocatedBytes: 0, peakBytes: 0 })
  })
})

describe('unfit sizes are refused, and nothing is taken', () => {
  const budget = new MemoryBudget({ totalBytes: MAX })

  test.each(unfitSizes)('%s', (_, value) => {
    const bytes = value as number
    const error = thrownBy(InvalidArgumentError, () => budget.allocate(bytes, 'unfit'))
    expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', argument: 'bytes' })
    thrownBy(InvalidArgumentError, () => budget.canAllocate(bytes))
    thrownBy(InvalidArgumentError, () => new MemoryBudget({ totalBytes: bytes }))
    if (bytes !== undefined)
      thrownBy(InvalidArgumentError, () => new MemoryBudget({ totalBytes: 1, reservedBytes: bytes }))
    expect(budget).toMatchObject({ allocatedBytes: 0, peakBytes: 0 })
    expect(budget.allocations()).toEqual([])
  })

  test.each([undefined, null, 5, {}, Symbol('label')])('a label that is %p', (label) => {
    expect(thrownBy(InvalidArgumentError, () => budget.allocate(1, label as string)).argument).toBe('label')
    expect(budget.allocatedBytes).toBe(0)
  })
})

describe('the count', () => {
  test('does not overflow at the largest size there is', () => {
    const budget = new MemoryBudget({ totalBytes: MAX })
    using all = budget.allocate(MAX, 'all')
    expect(all.sizeBytes).toBe(MAX)
    expect(budget).toMatchObject({ allocatedBytes: MAX, availableBytes: 0, utilizationPercent: 100 })
    for (const bytes of [1, MAX - 1, MAX]) thrownBy(InsufficientMemoryError, () => budget.allocate(bytes, 'more'))
    expect(budget.allocatedBytes).toBe(MAX)
  })

  test('grants zero bytes and lists them, even when nothing is left', () => {
    const budget = new MemoryBudget({ totalBytes: 0 })
    using _nothing = budget.allocate(0, 'nothing')
    expect(budget).toMatchObject({ allocatedBytes: 0, availableBytes: 0, utilizationPercent: 0 })
    expect(budget.allocations()).toMatchObject([{ label: 'nothing', sizeBytes: 0 }])
    thrownBy(InsufficientMemoryError, () => budget.allocate(1, 'something'))
  })

  test('knows no negative zero', () => {
    const budget = new MemoryBudget({ totalBytes: 10 })
    using guard = budget.allocate(-0, 'zero')
    expect(Object.is(guard.sizeBytes, 0)).toBe(true)
  })

  test('keeps the peak when bytes are released', () => {
    const budget = new MemoryBudget({ totalBytes: 100 })
    budget.allocate(70, 'once').release()
    budget.allocate(30, 'later').release()
    expect(budget).toMatchObject({ peakBytes: 70, allocatedBytes: 0 })
    budget.allocate(71, 'more').release()
    expect(budget.peakBytes).toBe(71)
  })

  test('is the plain sum of what is live, in whatever order guards come and go', () => {
    const budget = new MemoryBudget({ totalBytes: 1500, reservedBytes: 500 })
    const live: Allocation[] = []
    let [seed, peak] = [12345, 0]
    const random = (below: number) => {
      seed = (seed * 1103515245 + 12345) % 2147483648
      return seed % below
    }
    for (let step = 0; step < 5000; step++) {
      const sum = live.reduce((total, guard) => total + guard.sizeBytes, 0)
      const bytes = random(400)
      if (random(3) === 0 && live.length > 0) live.splice(random(live.length), 1)[0]?.release()
      else if (sum + bytes <= 1000) live.push(budget.allocate(bytes, `step ${step}`))
      else thrownBy(InsufficientMemoryError, () => budget.allocate(bytes, 'too much'))
      const now = live.reduce((total, guard) => total + guard.sizeBytes, 0)
      peak = Math.max(peak, now)
      expect([budget.allocatedBytes, budget.peakBytes]).toEqual([now, peak])
    }
    expect(budget.allocations().map(({ label }) => label)).toEqual(live.map(({ label }) => label))
    for (const guard of live) guard.release()
    expect([budget.allocatedBytes, budget.allocations().length]).toEqual([0, 0])
  })

  test('holds with fifty thousand guards at once', () => {
    const budget = new MemoryBudget({ totalBytes: 50_000 })
    const guards = Array.from({ length: 50_000 }, (_, index) => budget.allocate(1, `guard ${index}`))
    expect(budget.availableBytes).toBe(0)
    expect(budget.allocations()[49_999]).toMatchObject({ label: 'guard 49999' })
    thrownBy(InsufficientMemoryError, () => budget.allocate(1, 'one more'))
    for (const guard of guards.reverse()) guard.release()
    expect([budget.allocatedBytes, budget.peakBytes]).toEqual([0, 50_000])
  })
})

describe('the list of allocations', () => {
  test('tells label, size and age, oldest first', async () => {
    const budget = new MemoryBudget({ totalBytes: 100 })
    using first = budget.allocate(1, 'first')
    await new Promise((resolve) => setTimeout(resolve, 20))
    using second = budget.allocate(2, 'second')
    const list = budget.allocations()
    expect(list).toMatchObject([
      { label: 'first', sizeBytes: 1 },
      { label: 'second', sizeBytes: 2 },
    ])
    // A timer may fire a millisecond early by the clock that measures ages.
    expect((list[0]?.ageMs ?? 0) - (list[1]?.ageMs ?? 0)).toBeGreaterThan(15)
    expect(first.ageMs).toBeGreaterThan(second.ageMs)
    expect(second.ageMs).toBeGreaterThanOrEqual(list[1]?.ageMs ?? Number.NaN)
  })

  test('stays in order when places are used again', () => {
    const budget = new MemoryBudget({ totalBytes: 100 })
    const early = budget.allocate(1, 'early')
    using _middle = budget.allocate(1, 'middle')
    early.release()
    using _late = budget.allocate(1, 'late')
    expect(budget.allocations().map(({ label }) => label)).toEqual(['middle', 'late'])
  })

  test.each(['', 'kv cache #1', '権重み 🧊', 'a\u0000b', '"quoted"\n', 'x'.repeat(100_000)])(
    'keeps a label as it is',
    (label) => {
      const budget = new MemoryBudget({ totalBytes: 10 })
      using guard = budget.allocate(1, label)
      expect([guard.label, budget.allocations()[0]?.label]).toEqual([label, label])
      expect(thrownBy(InsufficientMemoryError, () => budget.allocate(11, label)).label).toBe(label)
    },
  )

  test('is a copy', () => {
    const budget = new MemoryBudget({ totalBytes: 10 })
    using _guard = budget.allocate(1, 'guard')
    budget.allocations().length = 0
    Object.assign(budget.terms[0] as object, { bytes: 0 })
    expect([budget.allocations().length, budget.terms[0]?.bytes, budget.lineBytes]).toEqual([1, 10, 10])
  })
})

describe('a custom budget', () => {
  test('is total less reserve, under one term', () => {
    const budget = new MemoryBudget({ totalBytes: 8192 * MiB, reservedBytes: 2048 * MiB })
    expect(budget).toMatchObject({ usableBytes: 6144 * MiB, lineBytes: 6144 * MiB, reservedBytes: 2048 * MiB })
    expect(budget.terms).toEqual([budget.bindingTerm])
    expect(budget.bindingTerm).toMatchObject({ kind: 'reserve', bytes: 6144 * MiB })
  })

  test('reserves nothing unless told to', () => {
    expect(new MemoryBudget({ totalBytes: 10 })).toMatchObject({ reservedBytes: 0, usableBytes: 10 })
  })

  test('may reserve everything, but no byte more', () => {
    expect(new MemoryBudget({ totalBytes: 10, reservedBytes: 10 }).usableBytes).toBe(0)
    const error = thrownBy(InvalidArgumentError, () => new MemoryBudget({ totalBytes: 10, reservedBytes: 11 }))
    expect(error).toMatchObject({ argument: 'reservedBytes', received: '11' })
  })

  test('needs a total', () => {
    for (const numbers of [undefined, {}, { reservedBytes: 1 }]) {
      const error = thrownBy(InvalidArgumentError, () => new MemoryBudget(numbers as never))
      expect(error.argument).toBe('totalBytes')
    }
  })
})
