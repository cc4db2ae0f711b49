import {
  AbortError,
  AddonUnavailableError,
  BusyError,
  DeviceError,
  DeviceUnavailableError,
  InsufficientMemoryError,
  InternalError,
  InvalidArgumentError,
  InvalidGgufError,
  InvalidModelError,
  IoError,
  MemoryBudget,
  MemoryManager,
  PlimsollError,
  ReleasedError,
  StagingPool,
  UnsupportedTypeError,
} from 'plimsoll'
import { thrownBy } from './helpers/errors'

const classes = {
  AbortError,
  AddonUnavailableError,
  BusyError,
  DeviceError,
  DeviceUnavailableError,
  InsufficientMemoryError,
  InternalError,
  InvalidArgumentError,
  InvalidGgufError,
  InvalidModelError,
  IoError,
  ReleasedError,
  UnsupportedTypeError,
}

const budget = new MemoryBudget({ totalBytes: 100 })

test.each(Object.entries(classes))('%s extends PlimsollError and Error, and bears its own name', (name, type) => {
  expect(type.prototype).toBeInstanceOf(PlimsollError)
  expect(PlimsollError.prototype).toBeInstanceOf(Error)
  expect(type.prototype.name).toBe(name)
})

test('an error out of the addon is an Error of the caller realm, with its stack in the caller code', () => {
  const error = thrownBy(InsufficientMemoryError, () => budget.allocate(101, 'too much'))
  expect(error).toBeInstanceOf(Error)
  expect(Object.prototype.toString.call(error)).toBe('[object Error]')
  expect(error.name).toBe('InsufficientMemoryError')
  expect(String(error)).toBe(`InsufficientMemoryError: ${error.message}`)
  expect(error.stack).toContain('03-errors.spec.ts')
})

test('a refusal carries its numbers, the binding constraint and advice', () => {
  const error = thrownBy(InsufficientMemoryError, () => budget.allocate(101, 'too much'))
  expect(error).toMatchObject({
    code: 'ERR_INSUFFICIENT_MEMORY',
    label: 'too much',
    requestedBytes: 101,
    availableBytes: 100,
    largestFreeBytes: 100,
    bindingConstraint: expect.stringContaining('100 bytes'),
    suggestion: expect.stringMatching(/never be granted/),
  })
  expect(error.message).toContain(error.bindingConstraint)
  expect(error.message).toContain(error.suggestion)
})

test('an unfit argument is named with what was expected and what came', () => {
  const error = thrownBy(InvalidArgumentError, () => budget.allocate(1.5, 'half a byte'))
  expect(error).toMatchObject({
    code: 'ERR_INVALID_ARGUMENT',
    argument: 'bytes',
    expected: 'a whole number of bytes from 0 to 9007199254740991',
    received: '1.5',
  })
  expect(error.message).toBe(`expected bytes to be ${error.expected}, got 1.5`)
})

test('the code survives JSON, so that it can be logged', () => {
  const error = thrownBy(InsufficientMemoryError, () => budget.allocate(101, 'too much'))
  expect(JSON.parse(JSON.stringify(error))).toMatchObject({ code: 'ERR_INSUFFICIENT_MEMORY', requestedBytes: 101 })
})

describe('options', () => {
  test.each([
    ['a manager', 'safetyMarginPercnt', 'safetyMarginPercent', (options: object) => new MemoryManager(options)],
    ['a manager', 'maxbytes', 'maxBytes', (options: object) => new MemoryManager(options)],
    ['a manager', 'Board', 'board', (options: object) => new MemoryManager(options)],
    ['a budget', 'total', 'totalBytes', (options: object) => new MemoryBudget(options as never)],
    ['a budget', 'reserveBytes', 'reservedBytes', (options: object) => new MemoryBudget(options as never)],
    ['a machine budget', 'isolate', 'isolated', (options: object) => MemoryBudget.forThisMachine(options)],
    ['a pool', 'maxHeldbytes', 'maxHeldBytes', (options: object) => new StagingPool(options)],
    ['a pool', 'zeroes', 'zeroed', (options: object) => new StagingPool(options)],
  ])('of %s: misspelt %s names %s', (_, wrong, right, make) => {
    const error = thrownBy(InvalidArgumentError, () => make({ [wrong]: 1 }))
    expect(error.message).toContain(`"${wrong}"`)
    expect(error.message).toContain(`did you mean "${right}"?`)
  })

  test('a misspelt board names the nearest', () => {
    const forBoard = () => MemoryBudget.forBoard('orin-nano-8g' as never)
    expect(thrownBy(InvalidArgumentError, forBoard).message).toContain('did you mean "orin-nano-8gb"?')
  })

  test('undefined is an absent option', () => {
    const options = { maxHeldBytes: undefined, zeroed: undefined, budget: undefined }
    expect(() => new StagingPool(options as object)).not.toThrow()
    expect(() => new MemoryManager({ board: undefined, maxBytes: undefined } as object)).not.toThrow()
    expect(() => new StagingPool(undefined)).not.toThrow()
  })

  test.each([null, 5, 'auto', true, () => {}, Symbol('options'), 1n])('%p is no options object', (value) => {
    expect(thrownBy(InvalidArgumentError, () => new StagingPool(value as object)).argument).toBe('options')
    expect(thrownBy(InvalidArgumentError, () => new MemoryManager(value as object)).argument).toBe('options')
  })

  test('a name that every object inherits is no option', () => {
    for (const key of ['constructor', 'toString', '__proto__', 'hasOwnProperty']) {
      const options = JSON.parse(`{ "${key}": 1 }`)
      expect(thrownBy(InvalidArgumentError, () => new StagingPool(options)).message).toContain(`"${key}"`)
    }
  })

  const odd = [null, {}, [], new Map(), Object.create(null), () => {}, Symbol('odd'), 1n, Number.NaN, new Date(0), /x/]
  test.each(odd)('whatever an option is given, here %p, the error is typed', (value) => {
    const wrong = value as never
    const calls = [
      () => MemoryBudget.forBoard(wrong),
      () => new MemoryBudget({ totalBytes: wrong }),
      () => new MemoryBudget({ totalBytes: 1, reservedBytes: wrong }),
      () => MemoryBudget.forThisMachine({ board: wrong }),
      () => MemoryBudget.forThisMachine({ safetyMarginPercent: wrong }),
      () => MemoryBudget.forThisMachine({ maxBytes: wrong }),
      () => MemoryBudget.forThisMachine({ isolated: wrong }),
      () => new StagingPool({ maxHeldBytes: wrong }),
      () => new StagingPool({ zeroed: wrong }),
      () => new StagingPool({ budget: wrong }),
      () => new MemoryManager({ maxHeldBytes: wrong }),
      () => budget.allocate(wrong, 'x'),
      () => budget.allocate(1, wrong),
      () => budget.canAllocate(wrong),
    ]
    for (const call of calls) thrownBy(InvalidArgumentError, call)
    expect(budget.allocatedBytes).toBe(0)
  })
})

test('a released object says what was released and what to do', () => {
  const allocation = budget.allocate(1, 'short')
  allocation.release()
  const error = thrownBy(ReleasedError, () => allocation.ageMs)
  expect(error).toMatchObject({ code: 'ERR_RELEASED', what: 'the allocation' })
  expect(error.message).toMatch(/released; take a new one/)
})
