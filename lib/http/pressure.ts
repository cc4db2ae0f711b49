import { type Fit, formatBytes, MemoryManager, type ModelMemoryEstimate } from '../index.js'
import * as check from '../support/check.js'

/** Why a request is refused before anything is done for it. */
export interface Pressure {
  /** What is short: the level of the monitor, what is free, or the places of the queue. */
  type: 'level' | 'availableBytes' | 'waiting'
  /** How it stands: `'critical'`, bytes that are free, or how many wait. */
  value: string | number
  /** The bound that it is at or beyond. */
  limit: string | number
  /** A sentence for who is refused. */
  message: string
}

/** When requests are refused. */
export interface PressureOptions {
  /**
   * The level of {@link MemoryManager.monitor | the manager's monitor} from which on requests are refused; it must have been
   * started. `'critical'` by default; with `'none'` the level does not matter.
   */
  level?: 'warning' | 'critical' | 'none'
  /** Requests are refused while the budget has fewer bytes free. 0 by default. */
  minAvailableBytes?: number
  /** Requests are refused while so many wait in `manager.admission`. As many as may wait there by default. */
  maxWaiting?: number
  /** What `Retry-After` says, in seconds. 10 by default. */
  retryAfter?: number
}

export const pressureChecks = {
  level: (name: string, value: unknown) => check.oneOf(name, value, ['warning', 'critical', 'none'] as const),
  minAvailableBytes: (name: string, value: unknown) => check.bytes(name, value),
  maxWaiting: (name: string, value: unknown) => check.integer(name, value, 1, 2 ** 31 - 1),
  retryAfter: (name: string, value: unknown) => check.integer(name, value, 0, 2 ** 31 - 1),
} as const

/**
 * Whether, and why, a server should refuse what comes now.
 *
 * @throws {@link InvalidArgumentError} for a manager that is none, and an unfit option.
 */
export function pressureOf(manager: MemoryManager, options?: PressureOptions): Pressure | undefined {
  check.closable('manager', manager, MemoryManager)
  return found(manager, check.options<PressureOptions>(options, pressureChecks))
}

/** The same with options that were checked. */
export function found(manager: MemoryManager, options: PressureOptions): Pressure | undefined {
  const { level: limit = 'critical', minAvailableBytes = 0, maxWaiting = manager.admission.maxWaiting } = options
  const { level } = manager.monitor
  if (limit !== 'none' && (level === 'critical' || level === limit)) {
    return { type: 'level', value: level, limit, message: `Memory is ${level} on this board` }
  }
  if (minAvailableBytes > 0) {
    const { availableBytes } = manager.budget
    if (availableBytes < minAvailableBytes) {
      const message = `${formatBytes(availableBytes)} of memory are free, and ${formatBytes(minAvailableBytes)} are kept`
      return { type: 'availableBytes', value: availableBytes, limit: minAvailableBytes, message }
    }
  }
  const waiting = manager.admission.waiting().length
  if (waiting >= maxWaiting) {
    return { type: 'waiting', value: waiting, limit: maxWaiting, message: `${waiting} requests wait for memory` }
  }
  return undefined
}

/** A model as `/v1/models` of OpenAI's interface lists it, with the context that it really has. */
export interface ModelObject {
  /** The name of the model. */
  id: string
  /** That it is a model. */
  object: 'model'
  /** When this was asked, in seconds since 1970. */
  created: number
  /** Whose it is. */
  owned_by: string
  /** Tokens of a conversation, under the names that llama-server's, vLLM's and other clients look for. */
  context_length: number
  /** The same, as vLLM has it. */
  max_model_len: number
  /** The same, as llama-server has it. */
  meta: {
    /** Tokens of a conversation. */
    n_ctx: number
    /** Conversations at once. */
    n_parallel: number
  }
}

/**
 * A row of `/v1/models`. The context is that of a {@link Fit} or an estimate: what fits here, not what the model was trained with.
 *
 * @throws {@link InvalidArgumentError} for an id or an owner that is no string, and for what has no context.
 */
export function modelObject(id: string, has: Fit | ModelMemoryEstimate, ownedBy = 'local'): ModelObject {
  const figures = check.member(has, 'configuration') ?? has
  const count = (key: string) => check.integer(`has.${key}`, check.member(figures, key), 0, Number.MAX_SAFE_INTEGER)
  const [contextLength, parallel] = [count('contextLength'), count('parallel')]
  return {
    id: check.string('id', id),
    object: 'model',
    created: Math.floor(Date.now() / 1000),
    owned_by: check.string('ownedBy', ownedBy),
    context_length: contextLength,
    max_model_len: contextLength,
    meta: { n_ctx: contextLength, n_parallel: parallel },
  }
}
