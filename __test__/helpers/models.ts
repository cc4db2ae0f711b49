import { execFileSync } from 'node:child_process'
import {
  closeSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { GgufFile, StagingPool, TensorChunk, TensorInfo } from 'plimsoll'
import { root } from './child'
import { toolNode } from './emulation'
import { type BlockType, type File, gguf, layout } from './gguf-writer'

/** The model that comes with the package. */
export const samplePath = resolve(root, 'examples/models/plimsoll-sample-llama.gguf')

/** Its bytes, read without the package. */
export const sampleBytes = (): Buffer => readFileSync(samplePath)

/** A folder for the files of one test file; gone when its tests are done. */
export function scratch(): (name: string) => string {
  const folder = mkdtempSync(join(tmpdir(), 'plimsoll-'))
  afterAll(() => rmSync(folder, { recursive: true }))
  return (name) => join(folder, name)
}

/** Writes a crafted file and returns its path. */
export function written(path: string, file: File): string {
  writeFileSync(path, gguf(file))
  return path
}

/** Writes a file of tensors `t0`, `t1` and so on whose data is a hole: it takes no room on the disk and reads zero. */
export function writeSparseTensors(path: string, type: BlockType, elements: number, count: number): string {
  const sizeBytes = (elements / type.elements) * type.bytes
  const tensors = Array.from({ length: count }, (_, i) => {
    return { name: `t${i}`, type, dims: [elements], data: new Uint8Array(0), sizeBytes }
  })
  const { header, dataStart, placed } = layout({ tensors })
  const descriptor = openSync(path, 'w')
  writeSync(descriptor, header)
  ftruncateSync(descriptor, dataStart + (placed.at(-1)?.offset ?? 0) + sizeBytes)
  closeSync(descriptor)
  return path
}

/** Writes a file of one tensor, `t`, whose data is a hole: it takes no room on the disk and reads zero. */
export function writeSparse(path: string, type: BlockType, elements: number): string {
  const bytes = (elements / type.elements) * type.bytes
  const file = gguf({ tensors: [{ name: 't', type, dims: [elements], data: new Uint8Array(0) }] })
  const descriptor = openSync(path, 'w')
  writeSync(descriptor, file)
  ftruncateSync(descriptor, file.length + bytes)
  closeSync(descriptor)
  return path
}

/** Writes a well-formed Q4_K_M model of about that size. */
export function writeLargeModel(path: string, sizeMib: number): string {
  execFileSync(toolNode, [resolve(root, 'scripts/make-large-model.mjs'), path, '--size-mib', String(sizeMib)])
  return path
}

/** The bytes of a tensor in its file. */
export const stored = (file: Buffer, { offsetBytes, sizeBytes }: TensorInfo): Buffer =>
  file.subarray(offsetBytes, offsetBytes + sizeBytes)

/** The tensor of that name, which has to be there. */
export function tensorOf(model: GgufFile, name: string): TensorInfo {
  const info = model.tensor(name)
  if (!info) throw new Error(`expected a tensor "${name}"`)
  return info
}

/** Copies of what was streamed, tensor by tensor in the order they came, each run joined to the one before. */
export async function joined(chunks: AsyncIterable<TensorChunk>): Promise<Map<string, Buffer>> {
  const parts = new Map<string, Buffer[]>()
  for await (const { tensor, data } of chunks) {
    const list = parts.get(tensor) ?? []
    parts.set(tensor, list)
    list.push(Buffer.from(Buffer.from(data.buffer, data.byteOffset, data.byteLength)))
  }
  return new Map([...parts].map(([name, list]) => [name, Buffer.concat(list)]))
}

/** Waits until the pool has its buffers back: memory returns on a later turn, without garbage collection. */
export async function settled(pool: StagingPool): Promise<void> {
  for (let round = 0; round < 500 && pool.stats().inUseCount > 0; round++) {
    await new Promise((done) => setTimeout(done, 1))
  }
  expect(pool.stats()).toMatchObject({ inUseCount: 0, inUseBytes: 0 })
}

/** Lets time pass in which others may get ahead. */
export const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms))

/** Collects garbage now. */
export function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
}

/** Bytes that this process has read so far, by any system call. */
export function bytesRead(): number {
  return Number(/^rchar: (\d+)$/m.exec(readFileSync('/proc/self/io', 'utf8'))?.[1])
}
