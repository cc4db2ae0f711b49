import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { writeLlama } from '../llama/models.mjs'
import { load, SAMPLE, start } from './tools.mjs'

/** A model whose tokens take milliseconds, as those of real ones do: of the sample's each takes less than what refuses a request. */
function heavier(folder) {
  const path = join(folder, 'load.gguf')
  writeLlama(path, SAMPLE, { layers: Array(4).fill('F32'), embedding: 768, feedForward: 3072, heads: 12, context: 512 })
  return path
}

/** More than it can serve, for so long; `assertsLatency` on a machine that does nothing else. */
export function testLoad(seconds, assertsLatency) {
  test(`four times its capacity for ${seconds} s: nothing but answers and 503, at the pace of before`, async () => {
    const { default: autocannon } = await load('autocannon')
    // Its capacity is that of its slots. Nobody waits for one: that would be in the times of those who are served.
    const slots = 2
    const folder = mkdtempSync(join(tmpdir(), 'plimsoll-load-'))
    const full = await start(
      heavier(folder),
      '--parallel',
      `${slots}`,
      '--waiting',
      '0',
      '--context',
      '256',
      '--threads',
      '1',
    )
    const run = async (connections, duration, overallRate) => {
      const latencies = []
      const statuses = new Map()
      /** What the bodies of refusals say that they are. */
      const codes = new Set()
      const rss = []
      const instance = autocannon({
        url: `${full.url}/v1/completions`,
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'load', max_tokens: 16, prompt: 'Count the bytes' }),
        connections,
        duration,
        ...(overallRate && { overallRate }),
        setupClient: (one) => {
          let code
          one.on('body', (body) => {
            code = /"code":"(\w+)"/.exec(`${body}`)?.[1]
          })
          one.on('response', (status) => status === 503 && codes.add(code))
        },
      })
      instance.on('response', (_client, status, _bytes, ms) => {
        statuses.set(status, (statuses.get(status) ?? 0) + 1)
        if (status === 200) latencies.push(ms)
      })
      const timer = setInterval(() => rss.push(full.rssBytes()), 500)
      const { errors, timeouts } = await instance
      clearInterval(timer)
      latencies.sort((a, b) => a - b)
      const p99 = latencies[Math.floor(latencies.length * 0.99)]
      return { errors, timeouts, statuses, codes, rss, served: latencies.length, p99 }
    }
    let alone
    let unloaded
    let loaded
    try {
      await run(slots, 2)
      alone = await run(1, seconds)
      unloaded = await run(slots, seconds)
      assert.ok(unloaded.served > 0)
      loaded = await run(4 * slots, seconds, Math.ceil((4 * unloaded.served) / seconds))
    } finally {
      const { code, signal, errors } = await full.stop()
      rmSync(folder, { recursive: true })
      assert.deepEqual({ code, signal, errors }, { code: 0, signal: null, errors: '' })
    }
    // Resident memory is flat: the most in the last quarter of the load against the most in the first half of it.
    const [half, quarter] = [Math.ceil(loaded.rss.length / 2), Math.floor((loaded.rss.length * 3) / 4)]
    const [rssBefore, rssAfter] = [Math.max(...loaded.rss.slice(0, half)), Math.max(...loaded.rss.slice(quarter))]
    const ratio = loaded.p99 / unloaded.p99
    const MiB = 2 ** 20
    console.log(
      `  one client: p99 ${alone.p99.toFixed(1)} ms; ${slots} clients for ${slots} slots: ${unloaded.served} served, p99 ${unloaded.p99.toFixed(1)} ms; ${4 * slots} clients: ${loaded.served} served, ` +
        `p99 ${loaded.p99.toFixed(1)} ms (${ratio.toFixed(2)} x, ${(loaded.p99 / alone.p99).toFixed(2)} x of one client), ${loaded.statuses.get(503) ?? 0} refused; RSS ${(rssBefore / MiB).toFixed(0)} -> ${(rssAfter / MiB).toFixed(0)} MiB`,
    )
    const others = [...loaded.statuses.keys()].filter((status) => status !== 200 && status !== 503)
    assert.deepEqual(others, [])
    assert.deepEqual([loaded.errors, loaded.timeouts], [0, 0])
    assert.ok(loaded.served > 0)
    assert.deepEqual([...loaded.codes], ['slots_busy'])
    assert.ok(loaded.statuses.get(503) > 0, 'some are refused')
    assert.ok(rssAfter < rssBefore * 1.1 + 8 * MiB, `RSS grew from ${rssBefore} to ${rssAfter}`)
    if (assertsLatency) assert.ok(ratio <= 1.5, `p99 is ${ratio.toFixed(2)} times that of before`)
  })
}
