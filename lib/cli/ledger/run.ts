import { totalmem } from 'node:os'
import { basename } from 'node:path'
import { estimate, formatBytes, MemoryManager, openLlamaRun } from '../../index.js'
import { sliceVariable } from '../../ledger/slice.js'
import type { Arguments } from '../arguments.js'
import { UsageError } from '../failure.js'
import { RunExit, StartError } from '../shared/child.js'
import { ledgerFrom, ledgerOptions } from '../shared/ledger-options.js'
import { lineFrom, lineOptions } from '../shared/line.js'
import { raisedScore } from '../shared/oom-score.js'
import { printError } from '../terminal/output.js'
import type { Verb } from '../verb.js'
import { Command } from './command.js'
import { LimitedGroup } from './limit.js'

export const run: Verb = {
  name: 'run',
  command: 'COMMAND ARGS',
  summary: 'run a command inside a slice of the board that all who share the ledger leave to it',
  options: {
    memory: {
      type: 'string',
      value: 'SIZE',
      argument: 'bytes',
      help: 'what the command will take at its peak, such as 2GiB',
    },
    auto: { type: 'boolean', help: "instead: as much as a command line of llama.cpp needs, by its model's estimate" },
    'device-memory': {
      type: 'string',
      value: 'SIZE',
      help: 'how much of it is memory of a device (0; with --auto by the estimate)',
    },
    priority: { type: 'string', value: 'N', help: 'higher goes first, -1000 to 1000 (0)' },
    timeout: { type: 'string', value: 'TIME', help: 'how long to wait for its turn (as long as it takes)' },
    'black-box': {
      type: 'string',
      value: 'FILE',
      argument: 'path',
      help: 'where the last minute is kept (that of plimsoll blackbox)',
    },
    'no-black-box': { type: 'boolean', help: 'keep none' },
    limit: { type: 'boolean', help: 'also bound it by a memory cgroup, where this user may make one' },
    ...ledgerOptions,
    ...lineOptions,
  },
  failureCode: RunExit.failed,
  run: start,
}

/** What a command is granted. */
interface Wish {
  bytes: number
  deviceBytes: number
  label: string
}

async function start(args: Arguments): Promise<number> {
  const { command: argv } = args
  if (argv?.[0] === undefined) throw new UsageError('expected -- and a command, got none')
  const wish = wishOf(args, argv)
  const priority = args.integer('priority', -1000, 1000) ?? 0
  const timeoutMs = args.duration('timeout')
  await using manager = new MemoryManager({
    ...lineFrom(args),
    shared: { ...ledgerFrom(args), processName: wish.label },
  })
  startBlackBox(manager, args)
  let waits = false
  const told = setTimeout(() => {
    waits = true
    manager.blackBox.note('wait-begin', wish.label, wish.bytes)
    printError('plimsoll run', `waiting for ${formatBytes(wish.bytes)}`)
  }, 500)
  const grant = await manager
    .acquire([{ bytes: wish.bytes, label: wish.label }], { priority, ...(timeoutMs !== undefined && { timeoutMs }) })
    .finally(() => {
      clearTimeout(told)
      if (waits) manager.blackBox.note('wait-end', wish.label, wish.bytes)
    })
  try {
    using group = args.flag('limit') ? LimitedGroup.make(wish.bytes) : undefined
    const command = await started(manager, argv, wish, group)
    manager.blackBox.note('command-start', wish.label, wish.bytes)
    const code = await command.ended
    // A process that it has left behind has the share with its descriptor, and gives it back when it ends.
    manager.budget.abandonLedgerShare()
    manager.blackBox.note('command-end', wish.label, wish.bytes)
    return code
  } catch (error) {
    if (!(error instanceof StartError)) throw error
    printError('plimsoll run', error.message)
    return error.exitCode
  } finally {
    grant.release()
  }
}

/** A black box that cannot be kept is told of, and ends nothing, unless it was asked for by its file. */
function startBlackBox(manager: MemoryManager, args: Arguments): void {
  const path = args.text('black-box')
  if (args.flag('no-black-box')) {
    if (path !== undefined) throw new UsageError('expected --black-box or --no-black-box, got both')
    return
  }
  try {
    manager.blackBox.start(path === undefined ? {} : { path })
  } catch (error) {
    if (path !== undefined) throw error
    printError('plimsoll run', `no black box is kept: ${(error as Error).message}`)
  }
}

/** Starts the command with what it inherits: the score, the group, and the descriptor that keeps its share while it lives. */
async function started(
  manager: MemoryManager,
  argv: readonly string[],
  wish: Wish,
  group: LimitedGroup | undefined,
): Promise<Command> {
  using _score = raisedScore(wish.deviceBytes, totalmem())
  using _entered = group?.entered()
  const env = { ...process.env, [sliceVariable]: String(wish.bytes) }
  const command = await Command.start(argv, env, manager.budget.ledgerDescriptor)
  try {
    manager.budget.setLedgerProcess(command.pid)
  } catch (error) {
    // The command has the share with its descriptor, and goes on.
    printError(
      'plimsoll run',
      `the ledger does not say that process ${command.pid} holds it: ${(error as Error).message}`,
    )
  }
  return command
}

function wishOf(args: Arguments, argv: readonly string[]): Wish {
  const label = basename(argv[0] ?? '')
  const bytes = args.size('memory')
  if ((bytes !== undefined) === args.flag('auto')) {
    throw new UsageError(`expected --memory or --auto, got ${bytes === undefined ? 'neither' : 'both'}`)
  }
  if (bytes !== undefined) return { bytes, deviceBytes: deviceBytesFrom(args, bytes) ?? 0, label }
  using llama = openLlamaRun(argv, process.env)
  const needed = estimate(llama.model, llama.options)
  const { peakBytes } = needed.totals
  const ofGpu = needed.devices.find(({ device }) => device === 'gpu')?.peakBytes ?? 0
  return { bytes: peakBytes, deviceBytes: deviceBytesFrom(args, peakBytes) ?? Math.min(ofGpu, peakBytes), label }
}

function deviceBytesFrom(args: Arguments, most: number): number | undefined {
  const bytes = args.size('device-memory')
  if (bytes === undefined || bytes <= most) return bytes
  throw new UsageError(
    `expected --device-memory to be at most the ${formatBytes(most)} that are asked for, got ${formatBytes(bytes)}`,
  )
}
