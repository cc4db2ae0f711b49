import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { surveyLedger } from 'plimsoll'
import { root } from './child'

/** A server that an instance runs: what it does is in its environment and in the paths that it is asked for. */
const server = `
const { createServer } = require('node:http')
if (process.env.DIES) process.exit(Number(process.env.DIES))
process.on('SIGTERM', () => { if (!process.env.STAYS) process.exit(0) })
const served = createServer(async (request, response) => {
  if (request.url === '/die') process.exit(3)
  if (request.url === '/stream') {
    for (let i = 0; i < 20; i++) {
      response.write('token ' + i + '\\n')
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    return response.end()
  }
  if (request.url === '/hold') return response.write('held')
  if (request.method === 'POST') return request.pipe(response)
  response.end(JSON.stringify({ pid: process.pid, slice: process.env.PLIMSOLL_SLICE_BYTES, args: process.argv.slice(2) }))
})
setTimeout(() => served.listen(process.env.PORT, '127.0.0.1', () => console.log('listens')), Number(process.env.AFTER ?? 0))
`

/** The folders of a test: of its plan, and of its ledger. */
let folder: string
let directory: string
const started = new Set<ReturnType<typeof up>>()

/** Gives each test a folder with the server, and a ledger; what it has started ends with it. */
export function inFoldersOfTheirOwn(): void {
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'plimsoll-up-'))
    directory = mkdtempSync('/dev/shm/plimsoll-up-')
    writeFileSync(join(folder, 'server.js'), server)
  })

  afterEach(async () => {
    for (const each of started) await each.stop('SIGTERM')
    started.clear()
    for (const each of [folder, directory]) rmSync(each, { recursive: true, force: true })
  })
}

/** A file of the test. */
export const fileOf = (name: string): string => join(folder, name)

/** The folder of its ledger. */
export const ledgerFolder = (): string => directory

interface Told {
  instance: string
  event: string
  message: string
  pid: number | null
  exitCode: number | null
  ms: number | null
}

export const node = process.execPath

/** Writes a plan for a memory of 800 MiB, of which 700 may be used. */
export function planOf(instances: Record<string, object>): string {
  const path = join(folder, 'plan.yaml')
  writeFileSync(
    path,
    JSON.stringify({ totalBytes: '800MiB', headroomBytes: '100MiB', safetyMarginPercent: 0, instances }),
  )
  return path
}

/** Runs a plan in the ledger of this test. */
export function up(instances: Record<string, object>) {
  const argv = ['dist/cli.js', 'up', planOf(instances), '--directory', directory, '--json']
  const child = spawn(node, argv, { cwd: root })
  const told: Told[] = []
  const texts = { stdout: '', stderr: '' }
  child.stdout.on('data', (data) => {
    const lines = `${texts.stdout}${data}`.split('\n')
    texts.stdout = lines.pop() ?? ''
    told.push(...lines.map((line) => JSON.parse(line)))
  })
  child.stderr.on('data', (data) => {
    texts.stderr += data
  })
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, stderr: texts.stderr }))
  const count = (instance: string, event: string) =>
    told.filter((each) => each.instance === instance && each.event === event).length
  const run = {
    child,
    told,
    texts,
    ended,
    count,
    of: (instance: string) => told.filter((each) => each.instance === instance),
    /** Waits until that has happened so many times. */
    async until(instance: string, event: string, times = 1): Promise<Told> {
      await until(() => count(instance, event) >= times || child.exitCode !== null)
      const found = told.filter((each) => each.instance === instance && each.event === event)[times - 1]
      if (found === undefined) throw new Error(`${instance} was never ${event}: ${JSON.stringify(told)}${texts.stderr}`)
      return found
    },
    stop(signal: NodeJS.Signals) {
      if (child.exitCode === null) child.kill(signal)
      return ended
    },
  }
  started.add(run)
  return run
}

export const holders = () => surveyLedger({ directory, drainMs: 0 })?.holders ?? []
export const heldBytes = () => holders().reduce((sum, each) => sum + each.heldBytes, 0)

/** Waits until it holds, for as long as jest lets it. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 10))
}

/** Whether a process runs: one that has ended and was not waited for does not. */
export const isAlive = (pid: number) => {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'))
  } catch {
    return false
  }
}

export async function freePort(): Promise<number> {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  const { port } = taken.address() as AddressInfo
  taken.close()
  await once(taken, 'close')
  return port
}

export const running = (limitBytes: string, more: object = {}) => ({
  limitBytes,
  command: [node, 'server.js'],
  ...more,
})

interface Answer {
  status: number | undefined
  headers: IncomingMessage['headers']
  text: string
}

/** Asks with a connection of its own, which is closed then. */
export function open(
  port: number,
  path = '/',
  method = 'GET',
): { asked: ClientRequest; answered: Promise<IncomingMessage> } {
  const asked = request({ port, path, method, host: '127.0.0.1', agent: false })
  const answered = once(asked, 'response').then(([response]) => response as IncomingMessage)
  answered.catch(() => {})
  return { asked, answered }
}

export async function ask(port: number, path = '/', body?: string): Promise<Answer> {
  const { asked, answered } = open(port, path, body === undefined ? 'GET' : 'POST')
  asked.end(body)
  const response = await answered
  let text = ''
  for await (const part of response) text += part
  return { status: response.statusCode, headers: response.headers, text }
}
