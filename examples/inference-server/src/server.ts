// An OpenAI-compatible server that never takes more memory than there is: models are loaded when their memory is granted, idle ones go
// when another needs the room, and what does not fit is refused with 503, Retry-After and the numbers.
//
//     node build/server.js model.gguf [another.gguf] [--port 8080] [--parallel 4] [--context 4096] [--waiting 8] [--max-bytes 6GiB]
//         [--level critical|warning|none] [--threads 4] [--shared]

import { parseArgs } from 'node:util'
import { getLlama } from 'node-llama-cpp'
import { MemoryManager, parseBytes } from 'plimsoll'
import type { PressureOptions } from 'plimsoll/http'
import { createApi } from './api.js'
import { HostedModel } from './hosted-model.js'
import { modelIds } from './model-ids.js'
import { startPlan } from './start-plan.js'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    port: { type: 'string', default: process.env.PORT ?? '8080' },
    parallel: { type: 'string', default: '4' },
    context: { type: 'string', default: '4096' },
    waiting: { type: 'string', default: '8' },
    threads: { type: 'string', default: '0' },
    'max-bytes': { type: 'string' },
    shared: { type: 'boolean', default: false },
    level: { type: 'string', default: 'critical' },
  },
})

/** Ends before anything is served. */
function leave(code: number, ...lines: string[]): never {
  for (const line of lines) console.error(line)
  process.exit(code)
}

function number(name: 'port' | 'parallel' | 'context' | 'waiting' | 'threads', least: number): number {
  const value = Number(values[name])
  if (Number.isInteger(value) && value >= least) return value
  return leave(2, `expected --${name} to be a whole number from ${least} up, got ${values[name]}`)
}

const port = number('port', 0)
const options = {
  parallel: number('parallel', 1),
  maxContext: number('context', 1),
  maxWaiting: number('waiting', 0),
  timeoutMs: 30_000,
}
if (positionals.length === 0) leave(2, 'expected the path of a model: node build/server.js model.gguf')

const maxBytes = values['max-bytes'] === undefined ? {} : { maxBytes: parseBytes(values['max-bytes']) }
const manager = new MemoryManager({ shared: values.shared, ...maxBytes })
// While memory is critical the budget refuses, too.
if (values.level !== 'none') manager.monitor.start()
const llama = await getLlama({
  gpu: 'auto',
  build: 'never',
  logLevel: 'error' as never,
  maxThreads: number('threads', 0),
})

const models = modelIds(positionals)
const plan = startPlan(models, manager, { ...options, device: llama.gpu === false ? 'cpu' : 'gpu' })
if (plan.failures.length > 0) leave(1, ...plan.failures.map(String))
for (const note of plan.notes) console.log(note)

const hosts = new Map([...models].map(([id, path]) => [id, new HostedModel(id, path, llama, manager, options)]))
const app = await createApi({ manager, hosts, level: values.level as PressureOptions['level'] & string, retryAfter: 2 })

async function stop() {
  await app.close()
  for (const host of hosts.values()) await host.unload()
  await llama.dispose()
  await manager.close()
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void stop())
console.log(`listening on ${await app.listen({ port, host: '127.0.0.1' })}`)
