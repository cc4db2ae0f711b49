import { formatBytes, GiB, InvalidArgumentError, KiB, MiB, parseBytes } from 'plimsoll'
import { thrownBy } from './helpers/errors'

test('the constants are the binary units', () => {
  expect([KiB, MiB, GiB]).toEqual([2 ** 10, 2 ** 20, 2 ** 30])
})

describe('parseBytes', () => {
  test.each([
    ['0', 0],
    ['4096', 4096],
    ['6 GiB', 6 * GiB],
    ['512MiB', 512 * MiB],
    ['1.5 GiB', 1.5 * GiB],
    ['.5 GiB', GiB / 2],
    ['3KiB', 3 * KiB],
    ['2 TiB', 2048 * GiB],
    ['8G', 8 * GiB],
    ['8g', 8 * GiB],
    ['512M', 512 * MiB],
    ['64k', 64 * KiB],
    ['1T', 1024 * GiB],
    ['8GB', 8e9],
    ['8 gb', 8e9],
    ['512MB', 512e6],
    ['1kB', 1000],
    ['1.001KB', 1001],
    ['4.35 GB', 4_350_000_000],
    ['1.0009 KB', 1000],
    ['1TB', 1e12],
    ['  6 GiB\t', 6 * GiB],
    ['9007199254740991', Number.MAX_SAFE_INTEGER],
  ])('reads %j as %d bytes', (text, bytes) => {
    expect(parseBytes(text)).toBe(bytes)
  })

  const nonsense = ['', ' ', 'GiB', 'K', '-1', '-0', '-1 GiB', '1,5 GiB', '1e3', '0x10', 'NaN', 'Infinity', '1_000']
  const tooLarge = ['9007199254740992', '18446744073709551616', '8192TiB', '9e999']
  const strangers = [
    '12 parsecs',
    '6 GiB x',
    '6 G iB',
    '5 bytes',
    '\u0661 GiB',
    '1\u0000',
    '6 GiB\n6 GiB',
    '7'.repeat(1e5),
  ]
  test.each([...nonsense, ...tooLarge, ...strangers])('refuses %j', (text) => {
    const error = thrownBy(InvalidArgumentError, () => parseBytes(text))
    expect(error.code).toBe('ERR_INVALID_ARGUMENT')
    expect(error.message).toContain(`got ${JSON.stringify(text).slice(0, 3)}`)
  })

  test.each([undefined, null, 5, 5n, {}, [], Symbol('6 GiB')])('refuses %p, which is no text', (value) => {
    expect(thrownBy(InvalidArgumentError, () => parseBytes(value as string)).argument).toBe('text')
  })

  test('names its argument alike whatever is wrong with it', () => {
    expect(thrownBy(InvalidArgumentError, () => parseBytes('12 parsecs')).argument).toBe('text')
  })
})

describe('formatBytes', () => {
  test.each([
    [0, '0 bytes'],
    [1, '1 byte'],
    [1023, '1023 bytes'],
    [KiB, '1.00 KiB'],
    [1.5 * KiB, '1.50 KiB'],
    [6 * GiB, '6.00 GiB'],
    [1536 * GiB, '1.50 TiB'],
    [Number.MAX_SAFE_INTEGER, '8192.00 TiB'],
  ])('writes %d as %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text)
  })

  test.each([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, '1', 1n, null, undefined])(
    'refuses %p',
    (value) => {
      expect(thrownBy(InvalidArgumentError, () => formatBytes(value as number)).argument).toBe('bytes')
    },
  )

  test('what it writes is read back within half a unit of its last digit', () => {
    for (const bytes of [1, 999, 1000, 123_456, 7 * MiB + 1, 267_000_000, 5 * GiB - 1, 3 * 1024 * GiB]) {
      const text = formatBytes(bytes).replace(/ bytes?$/, '')
      expect(Math.abs(parseBytes(text) - bytes)).toBeLessThanOrEqual(bytes * 0.005 + 1)
    }
  })
})
