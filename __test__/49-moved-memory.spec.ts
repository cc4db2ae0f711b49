import { runChild } from './helpers/child'
import { samplePath } from './helpers/models'

// A chunk's memory can be moved out of its array buffer: by a Web stream of bytes, or by transferring it to a thread.

describe('memory that was moved away', () => {
  test('belongs to whoever moved it, and does not hold the stream back', () => {
    const { value } = runChild<{ bytes: number; expected: number }>(`
      const model = plimsoll.GgufFile.open(${JSON.stringify(samplePath)})
      const chunks = model.stream({ as: 'f32', chunkBytes: 4096, reuse: true })
      const body = new ReadableStream({
        type: 'bytes',
        async pull(controller) {
          const { done, value: chunk } = await chunks.next()
          if (done) controller.close()
          else controller.enqueue(new Uint8Array(chunk.data.buffer))
        },
      })
      let bytes = 0
      for await (const part of body) bytes += part.byteLength
      return { bytes, expected: model.tensors.reduce((sum, tensor) => sum + 4 * tensor.elementCount, 0) }`)
    expect(value.bytes).toBe(value.expected)
  })

  test('stays addressable after the worker it came from has ended', () => {
    const { value } = runChild<{ length: number; read: number }>(`
      const { Worker } = require('node:worker_threads')
      const worker = new Worker(\`
        const { GgufFile } = require(\${JSON.stringify(require.resolve('plimsoll'))})
        const chunks = GgufFile.open(${JSON.stringify(samplePath)}).stream({ as: 'f32', reuse: true })
        const body = new ReadableStream({
          type: 'bytes',
          async pull(controller) {
            controller.enqueue(new Uint8Array((await chunks.next()).value.data.buffer))
          },
        })
        body.getReader().read().then(({ value }) => {
          require('node:worker_threads').parentPort.postMessage(value, [value.buffer])
          setTimeout(() => process.exit(), 20)
        })\`, { eval: true })
      let moved
      worker.on('message', (bytes) => { moved = bytes })
      await new Promise((resolve) => worker.on('exit', resolve))
      await new Promise((resolve) => setTimeout(resolve, 50))
      let read = 0
      for (const byte of moved) read += byte >= 0
      return { length: moved.length, read }`)
    expect(value.length).toBeGreaterThan(0)
    expect(value.read).toBe(value.length)
  })
})
