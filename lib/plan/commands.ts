import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, join, resolve } from 'node:path'
import { environment } from '../support/environment.js'
import type { IssueList, Keys } from './issues.js'
import type { Exact, PlanInstance } from './types.js'

/** What only makes sense for an instance that is started. */
const ofCommand = [
  'environment',
  'workingDirectory',
  'listen',
  'upstream',
  'healthPath',
  'idleTimeoutMs',
  'waitTimeoutMs',
  'startTimeoutMs',
  'stopTimeoutMs',
  'restart',
  'restartDelayMs',
  'maxRestartDelayMs',
  'maxRestarts',
] as const satisfies (keyof PlanInstance)[]

/** What only makes sense for one that is started at a connection. */
const ofListen = ['idleTimeoutMs', 'waitTimeoutMs'] as const satisfies (keyof PlanInstance)[]

/** Checks how instances are started: that their programs are there, and that what is said of a start belongs to one. */
export function checkCommands(
  instances: Readonly<Record<string, Exact<PlanInstance>>>,
  folder: string,
  issues: IssueList,
) {
  const listeners = new Map<string, string>()
  for (const [id, instance] of Object.entries(instances)) {
    const keys: Keys = ['instances', id]
    checkCommand(instance, keys, folder, issues)
    const { restartDelayMs = 1000, maxRestartDelayMs = 60_000, listen } = instance
    if (restartDelayMs > maxRestartDelayMs) {
      const most = `at most maxRestartDelayMs, ${maxRestartDelayMs} ms`
      issues.invalid(
        [...keys, instance.restartDelayMs === undefined ? 'maxRestartDelayMs' : 'restartDelayMs'],
        most,
        restartDelayMs,
      )
    }
    for (const name of ['listen', 'upstream'] as const) {
      const address = instance[name]
      if (address === undefined) continue
      const other = listeners.get(address)
      if (other !== undefined) issues.invalid([...keys, name], `an address that ${other} has not got`, address)
      else listeners.set(address, `${id}.${name}`)
    }
    if (listen !== undefined) continue
    for (const name of ofListen) {
      if (instance[name] !== undefined && instance.command !== undefined) {
        issues.add('missing-value', [...keys, name], `expected listen beside ${[...keys, name].join('.')}, got none`)
      }
    }
  }
}

function checkCommand(instance: Exact<PlanInstance>, keys: Keys, folder: string, issues: IssueList): void {
  const { command, workingDirectory } = instance
  if (command === undefined) {
    const surplus = ofCommand.find((name) => instance[name] !== undefined)
    if (surplus === undefined) return
    issues.add(
      'missing-value',
      [...keys, surplus],
      `expected a command beside ${[...keys, surplus].join('.')}, got none`,
    )
    return
  }
  const directory = resolve(folder, workingDirectory ?? '.')
  if (workingDirectory !== undefined && !isFolder(directory)) {
    issues.missingCommand([...keys, 'workingDirectory'], 'a folder that is there', workingDirectory)
    return
  }
  const [program = ''] = command
  const path = instance.environment?.PATH ?? environment('PATH') ?? ''
  if (isProgram(program, directory, path)) return
  const expected = program.includes('/') ? 'a program that may be run' : 'a program that is in PATH'
  issues.missingCommand([...keys, 'command'], expected, program)
}

/** Whether a command would be found, as a shell looks for it. */
function isProgram(program: string, directory: string, path: string): boolean {
  if (program.includes('/')) return isExecutable(resolve(directory, program))
  return path.split(delimiter).some((folder) => folder !== '' && isExecutable(join(folder, program)))
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory()
  } catch {
    return false
  }
}
