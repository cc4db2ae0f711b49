import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { formatBytes, MemoryBudget, MemoryManager, MiB, surveyLedger } from 'plimsoll'
import { serveDashboard } from 'plimsoll/dashboard'
import { readMetrics } from 'plimsoll/metrics'
import { root, runNode } from './helpers/child'

let directory: string
let budget: MemoryBudget
const children: ChildProcess[] = []
beforeEach(() => {
  directory = mkdtempSync('/dev/shm/plimsoll-')
  budget = MemoryBudget.forThisMachine({ isolated: true })
})
afterEach(async () => {
  for (const child of children.splice(0)) {
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }
  rmSync(directory, { recursive: true })
})

/** Has another process share the ledger and run a script with its `budget`. */
async function shares(script: string): Promise<void> {
  const whole = `
    const { Admission, MemoryBudget } = require('plimsoll')
    const shared = { directory: ${JSON.stringify(directory)}, processName: 'another server', force: true }
    const budget = MemoryBudget.forThisMachine({ shared, headroom: false })
    ${script}
    console.log('done')
    setInterval(() => {}, 2 ** 30)`
  const child = spawn(process.execPath, ['-e', whole], { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  await once(child.stdout, 'data')
}

/** Has another process hold so much, taken or not. */
const held = (bytes: number, isTaken: boolean): Promise<void> =>
  shares(`globalThis.held = budget.allocate(${bytes}, 'weights').commit(${isTaken ? bytes : 0})`)

/** Has another process wait for so much. */
const waits = (bytes: number): Promise<void> =>
  shares(`new Admission(budget).acquire({ bytes: ${bytes}, label: 'later' }, { ageMs: 0 })`)

/** The metrics that have one value, by their names. */
async function metrics(): Promise<Record<string, number>> {
  const read = await readMetrics({ budget, ledger: { directory } })
  return Object.fromEntries(read.map(({ name, points }) => [name, points.reduce((sum, { value }) => sum + value, 0)]))
}

describe('a ledger that is surveyed', () => {
  test('leaves no more to be granted than the machine gives beyond what its holders have not taken', async () => {
    const bytes = Math.floor(budget.headroom().bytes / 2)
    await held(bytes, false)
    const {
      'plimsoll.ledger.pending': pendingBytes = 0,
      'plimsoll.headroom.pending': allPendingBytes,
      'plimsoll.headroom': headroomBytes = 0,
      'plimsoll.headroom.room': roomBytes = 0,
      'plimsoll.budget.available': availableBytes,
    } = await metrics()
    // What its process has grown by since is taken.
    expect(pendingBytes).toBeGreaterThan(bytes - 64 * MiB)
    expect(allPendingBytes).toBe(pendingBytes)
    expect(headroomBytes).toBeLessThanOrEqual(roomBytes - pendingBytes)
    expect(availableBytes).toBeLessThanOrEqual(headroomBytes)
    await using dashboard = await serveDashboard({ budget, ledger: { directory } })
    const state = await dashboard.state()
    expect(state.headroom?.pendingBytes).toBe(state.holders[0]?.pendingBytes)
    expect(state.moment.headroomBytes).toBe(state.headroom?.bytes)
    expect(state.availableBytes).toBeLessThanOrEqual(state.moment.headroomBytes ?? 0)
  })

  test('leaves no more to be granted than its holders leave of the line of the board, and says so', async () => {
    await held(budget.boardLineBytes - 32 * MiB, true)
    expect((await metrics())['plimsoll.budget.available']).toBe(32 * MiB)
    await using dashboard = await serveDashboard({ budget, ledger: { directory } })
    const { availableBytes, moment, holders } = await dashboard.state()
    expect([availableBytes, moment.binding]).toEqual([32 * MiB, 'what the processes hold that share the ledger'])
    expect(holders).toMatchObject([{ name: 'another server', heldBytes: budget.boardLineBytes - 32 * MiB }])
  })

  test('leaves nothing to be granted of what it keeps for one who waits', async () => {
    await held(budget.boardLineBytes - 32 * MiB, true)
    await waits(64 * MiB)
    while (!surveyLedger({ directory })?.holders.some(({ waiting }) => waiting?.keptBytes)) await setTimeout(5)
    expect((await metrics())['plimsoll.budget.available']).toBe(0)
    await using dashboard = await serveDashboard({ budget, ledger: { directory } })
    const { availableBytes, moment } = await dashboard.state()
    expect(availableBytes).toBe(0)
    expect(moment.binding).toMatch(
      /^the queue: .* are kept for a request of another server, which waits for 64.00 MiB$/,
    )
  })

  test('names who it is kept for, another process, where a request of this one waits behind that', async () => {
    await held(budget.boardLineBytes - 32 * MiB, true)
    await waits(64 * MiB)
    while (!surveyLedger({ directory })?.holders.some(({ waiting }) => waiting?.keptBytes)) await setTimeout(5)
    await using sharing = new MemoryManager({ shared: { directory, force: true }, headroom: false } as never)
    const late = sharing.acquire({ bytes: 48 * MiB, label: 'own' }, { ageMs: 600_000 }).catch(() => {})
    await using dashboard = await serveDashboard({ manager: sharing })
    const { moment, waiting } = await dashboard.state()
    expect(waiting).toMatchObject([{ label: 'own' }])
    expect(moment.binding).toMatch(/ are kept for a request of another server, which waits for 64.00 MiB$/)
    sharing.admission.close()
    await late
  })

  test('names the own queue, where that keeps what is left', async () => {
    await held(32 * MiB, true)
    await using sharing = new MemoryManager({ shared: { directory, force: true }, maxBytes: 128 * MiB } as never)
    using _weights = sharing.budget.allocate(96 * MiB, 'weights')
    const late = sharing.acquire({ bytes: 64 * MiB, label: 'own' }, { ageMs: 0 }).catch(() => {})
    while (sharing.budget.availableBytes > 0) await setTimeout(5)
    await using dashboard = await serveDashboard({ manager: sharing })
    const { moment, holders } = await dashboard.state()
    expect(holders.map(({ heldBytes }) => heldBytes)).toEqual([32 * MiB, 96 * MiB])
    expect(moment.binding).toBe('the queue: 32.00 MiB are kept for "own", which waits for 64.00 MiB')
    sharing.admission.close()
    await late
  })

  test('takes what its holders have not taken off the headroom of top, as of the metrics', async () => {
    await held(Math.floor(budget.headroom().bytes / 2), false)
    const args = ['dist/cli.js', 'top', '--json', '--count', '1', '--directory', directory]
    const { headroom, ledger } = JSON.parse(runNode(args).stdout)
    expect(headroom.largestAllocationBytes ?? 0).toBeLessThanOrEqual(headroom.bytes)
    expect(ledger.holders[0].pendingBytes).toBeGreaterThan(64 * MiB)
    expect(headroom.pendingBytes).toBe(ledger.holders[0].pendingBytes)
    expect(headroom.bytes).toBeLessThanOrEqual(headroom.bindingTerm.roomBytes - headroom.pendingBytes)
  })

  test('that its budget shares and cannot be read any more binds all: nothing is granted', async () => {
    const sharing = MemoryBudget.forThisMachine({ shared: { directory, force: true } } as never)
    await using dashboard = await serveDashboard({ budget: sharing })
    rmSync(sharing.ledgerPath as string)
    mkdirSync(sharing.ledgerPath as string)
    const { availableBytes, moment, ledgerError } = await dashboard.state()
    expect(ledgerError).toContain(sharing.ledgerPath)
    expect([availableBytes, moment.binding]).toEqual([0, 'the ledger, which cannot be read'])
  })

  test('counts what this process holds there once', async () => {
    const sharing = MemoryBudget.forThisMachine({ shared: { directory, force: true }, headroom: false } as never)
    using _weights = sharing.allocate(256 * MiB, 'weights')
    const [holder] = surveyLedger({ directory })?.holders ?? []
    expect(formatBytes(holder?.heldBytes ?? 0)).toBe('256.00 MiB')
    for (const options of [
      { budget: sharing },
      { budget: sharing, ledger: { directory } },
      { budget, ledger: { directory } },
    ]) {
      await using dashboard = await serveDashboard(options)
      const { headroom, availableBytes } = await dashboard.state()
      expect(headroom?.pendingBytes).toBeGreaterThan(128 * MiB)
      expect(headroom?.pendingBytes).toBeLessThanOrEqual(256 * MiB)
      if (options.budget === sharing) expect(availableBytes).toBe(sharing.availableBytes)
    }
  })

  test('that cannot be read is no empty one: the dashboard tells why, and nothing can be granted', async () => {
    await held(32 * MiB, true)
    expect((await metrics())['plimsoll.ledger.readable']).toBe(1)
    await using dashboard = await serveDashboard({ budget, ledger: { directory } })
    expect(await dashboard.state()).not.toHaveProperty('ledgerError')
    chmodSync(directory, 0o777)
    const { holders, ledgerError, availableBytes, moment } = await dashboard.state()
    expect({ holders, ledgerError }).toEqual({ holders: [], ledgerError: expect.stringContaining('mode 0777') })
    expect([availableBytes, moment.binding]).toEqual([0, 'the ledger, which cannot be read'])
    const { 'plimsoll.ledger.readable': readable, 'plimsoll.budget.available': available } = await metrics()
    expect([readable, available]).toEqual([0, 0])
    chmodSync(directory, 0o700)
    const again = await dashboard.state()
    expect(again).not.toHaveProperty('ledgerError')
    expect(again.availableBytes).toBeGreaterThan(0)
  })
})
