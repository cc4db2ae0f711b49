import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type CudaInfo,
  Device,
  DeviceError,
  type DeviceKind,
  DeviceUnavailableError,
  GiB,
  InsufficientMemoryError,
  InvalidArgumentError,
  MemoryPool,
  MiB,
  planNpuDomains,
} from 'plimsoll'
import { runChild } from './helpers/child'
import { thrownBy } from './helpers/errors'
import { fakeCuda, withFakeCuda } from './helpers/fake-cuda'
import { rejectedBy } from './helpers/rejected-by'

const kinds: DeviceKind[] = ['host', 'dma-heap', 'udmabuf', 'cuda', 'rknpu']

/** What Device.open() makes of a choice, whatever a type checker would say of it. */
const open = (choice: unknown) => Device.open(choice as never)

describe('open', () => {
  test.each(kinds)('%s: a device of that kind, or why there is none', async (kind) => {
    const outcome = await Device.open(kind).catch((error: unknown) => error)
    if (outcome instanceof Device) {
      expect(outcome).toMatchObject({ kind, passedOver: [] })
      expect(outcome.name).toMatch(new RegExp(`^${kind}\\b`))
      return
    }
    expect(outcome).toBeInstanceOf(DeviceUnavailableError)
    const { code, device, reason, message } = outcome as DeviceUnavailableError
    expect(code).toBe('ERR_DEVICE_UNAVAILABLE')
    expect(device).toMatch(new RegExp(`^${kind}\\b`))
    expect(reason.length).toBeGreaterThan(10)
    expect(message).toContain(reason)
  })

  test('host is always there, and says what it can do', async () => {
    const device = await Device.open('host')
    expect(device).toMatchObject({ name: 'host', kind: 'host' })
    expect(device.limits).toMatchObject({ mappable: true, exportable: false, needsSync: false, zeroed: true })
    expect(device.limits.granuleBytes).toBeGreaterThanOrEqual(4096)
    expect(Object.isFrozen(device.limits)).toBe(true)
    expect(device.remarks()).toEqual([])
  })

  test.each([
    [{ memoryFile: true }, 'host:memfd', true],
    [{ hugePages: 'transparent' }, 'host', false],
    [{ hugePages: 'none', memoryFile: undefined }, 'host', false],
  ] as const)('host with %p is %s', async (options, name, exportable) => {
    const device = await open({ kind: 'host', ...options })
    expect([device.name.startsWith(name), device.limits.exportable]).toEqual([true, exportable])
  })

  test('auto takes one of the kinds and gives a reason against each other', async () => {
    const device = await Device.open()
    expect(kinds).toContain(device.kind)
    expect(device.kind).not.toBe('rknpu')
    expect(device.passedOver).toContainEqual({ kind: 'rknpu', reason: expect.stringContaining('by name only') })
    for (const { kind, reason } of device.passedOver) {
      expect(kind).not.toBe(device.kind)
      expect(reason.length).toBeGreaterThan(10)
    }
    expect([device.kind, ...device.passedOver.map(({ kind }) => kind)].sort()).toEqual([...kinds].sort())
  })

  test('an open device is a choice, too: the same object', async () => {
    const device = await Device.open('host')
    expect(await Device.open(device)).toBe(device)
  })

  test('a device opened twice is one device: each sees what the other gave out', async () => {
    const [one, other] = await Promise.all([
      Device.open({ kind: 'host', memoryFile: true }),
      Device.open({ memoryFile: true, kind: 'host' }),
    ])
    const before = other.usage().usedBytes
    await using _pool = await MemoryPool.create({ device: one, initialBytes: 2 * MiB, slabBytes: 2 * MiB })
    expect(other.usage().usedBytes - before).toBe(2 * MiB)
  })

  test.each([
    ['Host', 'device', '"host"'],
    ['dmaheap', 'device', '"dma-heap"'],
    ['', 'device', 'one of "host"'],
    [null, 'device', 'null'],
    [7, 'device', '7'],
    [[], 'device', 'a Device, its kind, its options'],
    [{}, 'device', 'a Device, its kind, its options'],
    [{ kind: 'cud' }, 'device.kind', 'did you mean "cuda"'],
    [{ kind: 'auto' }, 'device.kind', 'one of "host"'],
    [{ kind: 'cuda', ordnial: 1 }, 'options', 'did you mean "ordinal"'],
    [{ kind: 'host', ordinal: 1 }, 'options', 'no keys but kind, memoryFile'],
    [{ kind: 'udmabuf', heap: 'system' }, 'options', 'no keys but kind'],
    [{ kind: 'host', memoryFile: 1 }, 'memoryFile', 'true or false'],
    [{ kind: 'host', hugePages: 'explicitly' }, 'hugePages', 'did you mean "explicit"'],
    [{ kind: 'cuda', memory: 'host' }, 'memory', 'one of "device", "pinned", "managed"'],
    [{ kind: 'cuda', ordinal: -1 }, 'ordinal', 'from 0 to 65535'],
    [{ kind: 'cuda', library: 7 }, 'library', 'a string'],
    [{ kind: 'cuda', library: '' }, 'library', 'a string that is not empty'],
    [{ kind: 'rknpu', domain: 16 }, 'domain', 'from 0 to 15'],
    [{ kind: 'dma-heap', heap: ['system'] }, 'heap', 'a string'],
    [Object.create(Device.prototype), 'device', 'a Device'],
  ])('%p is refused by name', async (choice, argument, part) => {
    const error = await rejectedBy(InvalidArgumentError, open(choice))
    expect(error.argument).toBe(argument)
    expect(error.message).toContain(part)
  })

  test.each([{ heap: 'no-such-heap' }, { heap: '../zero' }, { heap: '' }, { heap: 'a\0b' }])(
    'a dma-heap that is not there, %j, is unavailable',
    async (options) => {
      await rejectedBy(DeviceUnavailableError, open({ kind: 'dma-heap', ...options }))
    },
  )

  test('is the only way to a device', () => {
    const make = Device as unknown as new () => Device
    expect(() => new make()).toThrow(InvalidArgumentError)
  })
})

describe("the domains of Rockchip's NPU", () => {
  const sizes = [1500 * MiB, 1500 * MiB, 1000 * MiB]

  test('are planned without one: the largest first, each where there is a place', () => {
    expect(planNpuDomains(sizes)).toEqual([0, 1, 0])
    expect(planNpuDomains([])).toEqual([])
    expect(new Set(planNpuDomains(Array(240).fill(256 * MiB)))).toEqual(new Set(Array(16).keys()))
  })

  test('have an end: the first buffer without a place is refused with the largest hole', () => {
    const tooLarge = thrownBy(InsufficientMemoryError, () => planNpuDomains([MiB, 3_085_697_024]))
    expect(tooLarge).toMatchObject({ requestedBytes: 3_085_697_024, largestFreeBytes: 2 * GiB })
    thrownBy(InsufficientMemoryError, () => planNpuDomains(Array(241).fill(256 * MiB)))
  })

  test.each([
    ['1 GiB', 'sizes'],
    [undefined, 'sizes'],
    [[0], 'sizes[0]'],
    [[MiB, -1], 'sizes[1]'],
    [[0.5], 'sizes[0]'],
    // biome-ignore lint/suspicious/noSparseArray: it is what is refused
    [[MiB, , MiB], 'sizes[1]'],
    [[MiB, 'MiB'], 'sizes[1]'],
  ])('%p is refused by name', async (unfit, argument) => {
    const host = await Device.open('host')
    for (const plan of [planNpuDomains, (sizes: never) => host.planDomains(sizes)]) {
      expect(thrownBy(InvalidArgumentError, () => plan(unfit as never)).argument).toBe(argument)
    }
  })

  test('are those of its own driver: another device has none', async () => {
    const host = await Device.open('host')
    const refusal = thrownBy(DeviceError, () => host.planDomains(sizes))
    expect(refusal).toMatchObject({ device: 'host', call: 'planDomains' })
    expect(refusal.meaning).toContain("open the device 'rknpu'")
  })
})

describe('CUDA, by a driver without a GPU', () => {
  interface Seen {
    name: string
    limits: { mappable: boolean; exportable: boolean }
    usage: { usedBytes: number; totalBytes?: number; freeBytes?: number }
    after: { usedBytes: number; freeBytes?: number }
    text: string
    view: string
  }

  /** Writes and reads a buffer of that memory, and looks at it if it can be looked at. */
  const use = (memory: string, device?: Record<string, number>) =>
    runChild<Seen>(
      `const device = await Device.open({ kind: 'cuda', memory: ${JSON.stringify(memory)} })
       const usage = device.usage()
       const pool = await MemoryPool.create({ device, slabBytes: 2 * MiB, initialBytes: 2 * MiB })
       const buffer = pool.allocate(1000)
       await buffer.write(Buffer.from('by the driver'), { offsetBytes: 10 })
       const text = Buffer.from(await buffer.read({ offsetBytes: 10, lengthBytes: 13 })).toString()
       const view = await buffer.withMapping((view) => Buffer.from(view.subarray(10, 23)).toString()).catch(({ code }) => code)
       const after = device.usage()
       await pool.close()
       return { name: device.name, limits: device.limits, usage, after, text, view }`,
      { env: withFakeCuda(device) },
    ).value

  test('memory of the device is read and written by copies, and not mapped', () => {
    const seen = use('device')
    expect(seen).toMatchObject({ name: 'cuda:0', text: 'by the driver', view: 'ERR_DEVICE' })
    expect(seen.limits.mappable).toBe(false)
    expect(seen.usage).toMatchObject({ usedBytes: 0, totalBytes: 8 * 2 ** 30, freeBytes: 8 * 2 ** 30 })
    expect(seen.after).toMatchObject({ usedBytes: 2 * MiB, freeBytes: 8 * 2 ** 30 - 2 * MiB })
  })

  test.each(['pinned', 'managed'])('%s memory is seen by the processor, too', (memory) => {
    const seen = use(memory)
    expect(seen).toMatchObject({ name: `cuda:0:${memory}`, text: 'by the driver', view: 'by the driver' })
    expect(seen.after.usedBytes).toBe(2 * MiB)
  })

  test('on an Orin no view is given of managed memory, which must not be touched while a kernel runs', () => {
    expect(use('managed', { orin: 1 })).toMatchObject({ text: 'by the driver', view: 'ERR_DEVICE' })
    expect(use('pinned', { orin: 1 })).toMatchObject({ text: 'by the driver', view: 'by the driver' })
  })

  interface Told {
    cuda: CudaInfo
    frozen: boolean
    others: (CudaInfo | null)[]
  }

  /** What a device says of itself, and what one that is none of CUDA's does. */
  const told = (memory: string, device?: Record<string, number>) =>
    runChild<Told>(
      `const [{ cuda }, host] = [await Device.open({ kind: 'cuda', memory: '${memory}' }), await Device.open('host')]
       return { cuda, frozen: Object.isFrozen(cuda), others: [host.cuda ?? null] }`,
      { env: withFakeCuda(device) },
    ).value

  test('says what it is, and which kind of its memory suits which use', () => {
    const { cuda, frozen, others } = told('device')
    expect({ frozen, others }).toEqual({ frozen: true, others: [null] })
    expect(cuda).toMatchObject({ integrated: false, totalBytes: 8 * 2 ** 30, concurrentManagedAccess: true })
    const advised = ({ advice: { device, shared, sharedOften } }: CudaInfo) => [device, shared, sharedOften]
    expect(advised(cuda).map(({ memory }) => memory)).toEqual(['device', 'pinned', 'device'])
    const { cuda: orin } = told('pinned', { orin: 1 })
    expect(orin).toMatchObject({ integrated: true, computeCapability: [8, 7], concurrentManagedAccess: false })
    expect(advised(orin).map(({ memory }) => memory)).toEqual(['device', 'pinned', 'managed'])
    expect(orin.advice.sharedOften.reason).toContain('only while no kernel runs')
  })

  test('auto takes it, and says why it takes no other', () => {
    const script =
      'const { name, passedOver } = await Device.open(); return { name, kinds: passedOver.map(({ kind }) => kind) }'
    const others = ['rknpu', 'udmabuf', 'dma-heap', 'host']
    expect(runChild(script, { env: withFakeCuda() }).value).toEqual({ name: 'cuda:0', kinds: others })
  })

  /** Why Device.open() refuses CUDA there. */
  const refusal = (env: Record<string, string>, options = '') =>
    runChild<{ code: string; device: string; reason: string; auto: string; passed: string }>(
      `const { code, device, reason } = await Device.open({ kind: 'cuda', ${options} }).catch((error) => error)
       const auto = await Device.open('auto')
       const passed = auto.passedOver.find(({ kind }) => kind === 'cuda')?.reason ?? ''
       return { code, device, reason, auto: auto.kind, passed }`,
      { env },
    ).value

  test.each([
    ['the stub of the toolkit', { init_code: 34 }, 'stub'],
    ['a machine without a GPU', { init_code: 100 }, 'no GPU is there'],
    ['a driver that does not fit the kernel', { init_code: 803 }, 'different versions'],
    ['a code that nobody knows', { init_code: 12345 }, 'error 12345'],
    ['a driver with no device', { devices: 0 }, ''],
  ])('%s: unavailable, with the reason; and auto goes on to something else', (_, device, part) => {
    const seen = refusal(withFakeCuda(device))
    expect(seen).toMatchObject({ code: 'ERR_DEVICE_UNAVAILABLE' })
    expect(seen.reason).toContain(part)
    expect(seen.auto).not.toBe('cuda')
    expect(seen.passed).toBe(seen.reason)
  })

  test('a device of a number that is not there is unavailable', () => {
    expect(refusal(withFakeCuda(), 'ordinal: 3')).toMatchObject({ code: 'ERR_DEVICE_UNAVAILABLE', auto: 'cuda' })
  })

  describe('a library that is none', () => {
    const folder = mkdtempSync(join(tmpdir(), 'plimsoll-'))
    const text = join(folder, 'libcuda.so.1')
    const [pipe, short] = [join(folder, 'pipe'), join(folder, 'short.so')]
    beforeAll(() => {
      writeFileSync(text, 'this is no library\n')
      execFileSync('mkfifo', [pipe])
      // Its program headers are there, and most of what they have mapped is not.
      writeFileSync(short, readFileSync(fakeCuda).subarray(0, 5000))
    })
    afterAll(() => rmSync(folder, { recursive: true }))

    test.each([
      ['a text file', text],
      ['a folder', folder],
      ['a pipe', pipe],
      ['a device', '/dev/zero'],
      ['a library that was cut short', short],
      ['nothing at all', join(folder, 'nothing.so')],
    ])('%s: unavailable, and the process goes on', async (_, library) => {
      const error = await rejectedBy(DeviceUnavailableError, Device.open({ kind: 'cuda', library }))
      expect(error.reason).toMatch(/could be loaded|is no driver/)
      expect(refusal({ PLIMSOLL_CUDA_LIBRARY: library })).toMatchObject({ code: 'ERR_DEVICE_UNAVAILABLE' })
    })

    test.each(['pipe', 'short.so', 'libcuda.so.1'])(
      '%s, by its bare name, is looked at where the linker finds it',
      (name) => {
        const found = { LD_LIBRARY_PATH: folder }
        expect(refusal(found, `library: '${name}'`)).toMatchObject({ code: 'ERR_DEVICE_UNAVAILABLE' })
        expect(refusal({ ...found, PLIMSOLL_CUDA_LIBRARY: name })).toMatchObject({ code: 'ERR_DEVICE_UNAVAILABLE' })
      },
    )
  })
})
