import { createHash } from 'node:crypto'
import { readFileSync, realpathSync } from 'node:fs'
import { constants } from 'node:os'
import { GgufFile, MiB } from 'plimsoll'
import { runChild } from './helpers/child'
import { unlessEmulated } from './helpers/emulation'
import { failingDisk } from './helpers/failing-disk'
import { randomTensor, tensorTypes } from './helpers/gguf-writer'
import { scratch, tensorOf, written } from './helpers/models'

const file = scratch()
const sha = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
const names = ['first', 'second', 'third']
const tensors = names.map((name, i) => randomTensor(name, tensorTypes.Q8_0, Math.floor((6 * MiB) / 34), i + 1))
const path = realpathSync(written(file('model.gguf'), { tensors }))
const model = GgufFile.open(path)
afterAll(() => model.close())
const second = tensorOf(model, 'second')
/** In the middle of the second tensor, and of a page. */
const badPlace = second.offsetBytes + 3 * MiB + 1234

const describeDisk = unlessEmulated(describe, 'the compiler makes libraries for this machine alone')

describeDisk('a disk that fails in the middle', () => {
  let disk: ReturnType<typeof failingDisk>
  beforeAll(() => {
    disk = failingDisk(file('.'))
  })

  /** What an error says, and what is left of the memory that was used. */
  interface Failure {
    error: { code: string; tensor?: string; offset: number; errno: number; errnoName: string; path: string }
    rest: Record<string, number>
    /** What the work returned, if it did. */
    value?: unknown
    /** Whether memory was left alone, where the work says how to find out. */
    untouched?: boolean
  }

  /** Runs work that fails, in a process in which the file cannot be read from there on. */
  function failing(from: number, work: string): Failure {
    return runChild<Failure>(
      `const manager = new MemoryManager({ maxBytes: 100 * MiB, isolated: true, device: 'host' })
      const path = ${JSON.stringify(path)}
      const open = () => manager.open(path)
      let error, value
      try {
        value = await (async () => { ${work} })()
      } catch ({ code, tensor, offset, errno, errnoName, path }) {
        error = { code, tensor, offset, errno, errnoName, path }
      }
      await settle(() => manager.staging.stats().inUseBytes === 0)
      const { inUseBytes, inUseCount } = manager.staging.stats()
      const untouched = globalThis.untouched?.()
      await manager.close()
      await settle(() => manager.budget.allocatedBytes === 0)
      return { error, value, untouched, rest: { inUseBytes, inUseCount, allocatedBytes: manager.budget.allocatedBytes } }`,
      { env: disk(path, from) },
    ).value
  }

  const cause = { code: 'ERR_IO', errno: constants.errno.EIO, errnoName: 'EIO', path }
  const nothing = { inUseBytes: 0, inUseCount: 0, allocatedBytes: 0 }

  function expectTold({ error, rest }: Failure): void {
    expect(error).toMatchObject({ ...cause, tensor: 'second' })
    // Where the read began that failed.
    expect(error.offset).toBeGreaterThanOrEqual(second.offsetBytes - MiB)
    expect(error.offset).toBeLessThanOrEqual(badPlace)
    expect(rest).toEqual(nothing)
  }

  test.each(['raw', 'f32', 'f16', 'bf16'])(
    'ends a stream of %s with the tensor, the place and the number, and all buffers return',
    (as) => {
      const failure = failing(
        badPlace,
        `for await (const { tensor } of open().stream({ as: '${as}' })) if (tensor === 'third') return 'too far'`,
      )
      expectTold(failure)
    },
  )

  test.each(['raw', 'f32'])('ends a load of %s in the same way, and nothing is written behind the place', (as) => {
    const failure = failing(
      badPlace,
      `const model = open()
      const into = new Uint8Array(plimsoll.tensorDataBytes(model.tensor('second'), '${as}')).fill(0x55)
      globalThis.untouched = () => into.every((byte, at) => at < into.length * 0.6 || byte === 0x55)
      await model.load('second', { as: '${as}', into })`,
    )
    expectTold(failure)
    expect(failure.untouched).toBe(true)
  })

  test('leaves the tensors before it as they are, and they can be read again', () => {
    const failure = failing(
      badPlace,
      `const model = open()
      const kept = []
      const failed = await (async () => {
        for await (const { tensor, data } of model.stream()) if (tensor === 'first') kept.push(data)
      })().catch(({ errno }) => errno)
      return [failed, sha(Buffer.concat(kept)), sha(await model.load('first')), sha(await model.load('first'))]`,
    )
    const { offsetBytes, sizeBytes } = tensorOf(model, 'first')
    const first = sha(readFileSync(path).subarray(offsetBytes, offsetBytes + sizeBytes))
    expect(failure.value).toEqual([constants.errno.EIO, first, first, first])
    expect(failure.rest).toEqual(nothing)
  })

  test('leaves memory of a device that can be filled again and released', () => {
    const failure = failing(
      badPlace,
      `const model = open()
      const buffer = await manager.system.allocate(model.tensor('second').sizeBytes)
      const failed = await model.load('second', { into: buffer }).catch(({ errno }) => errno)
      await model.load('first', { into: buffer })
      const same = sha(await buffer.read()) === sha(await model.load('first'))
      buffer.release()
      return [failed, same]`,
    )
    expect(failure.value).toEqual([constants.errno.EIO, true])
    expect(failure.rest).toEqual(nothing)
  })

  test('in its header does not open, and the error has the place', () => {
    const { error, rest } = failing(0, 'open()')
    expect(error).toMatchObject({ ...cause, offset: 0 })
    expect(error.tensor).toBeUndefined()
    expect(rest).toEqual(nothing)
  })
})
