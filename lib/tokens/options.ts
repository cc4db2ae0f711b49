import type { NativeTokenLayer, NativeTokenLimits } from '../addon/native.js'
import { Grant, holderOf, isGrant } from '../admission/grant.js'
import { isEstimate, type ModelMemoryEstimate } from '../estimate/model-memory.js'
import * as check from '../support/check.js'
import { invalidArgument, quoted, released } from '../support/errors.js'
import { tokens } from './token-count.js'
import type { TokenSequence } from './token-sequence.js'

/** What one layer keeps for tokens and sequences. {@link ModelMemoryEstimate.layers} has these of a model. */
export interface TokenLayer {
  /** Keys and values of one token, in bytes. */
  bytesPerToken: number
  /** Tokens of a sequence that it keeps at most. All of them by default. */
  windowTokens?: number
  /** What it keeps of each sequence, however long that is: a recurrent state, in bytes. 0 by default. */
  bytesPerSequence?: number
  /** Where it is kept. `'cpu'` by default. */
  device?: 'cpu' | 'gpu'
}

/**
 * By what a sequence is chosen to go: the one that was neither extended nor touched for longest, that with the lowest score, or
 * that whose end frees most tokens.
 */
export type PrunePolicy = 'idle' | 'score' | 'longest'

const prunePolicies = ['idle', 'score', 'longest'] as const

/** What a {@link TokenBudget} takes. */
export interface TokenBudgetOptions {
  /** What tokens cost: by a model's estimate, in bytes of one token, or by layer. */
  cost: ModelMemoryEstimate | number | readonly TokenLayer[]
  /**
   * Tokens of all sequences at most, from 1; those that are shared are counted once. With a grant, by default, as many as it
   * can be stretched to hold; without one it must be given.
   */
  maxCacheTokens?: number
  /**
   * Tokens that are evaluated together at most, from 1: what {@link TokenBudget.trim} cuts to. As many as are free by default;
   * with a grant any number.
   */
  maxParallelTokens?: number
  /** The share of each device, in bytes, for the layers that it has. No limits by default. */
  devices?: { cpuBytes?: number; gpuBytes?: number }
  /**
   * What the tokens are charged to, whole: an elastic grant, which is stretched as they come, 256 of them at a time where there
   * is room. None by default: then they are counted, and charged to nothing.
   */
  grant?: Grant
  /**
   * Who is pruned when there is no room: who was not extended or touched for longest (`'idle'`), who has the lowest score
   * (`'score'`), or whose end frees most (`'longest'`). Nobody by default: then growth is refused.
   */
  prune?: PrunePolicy
  /**
   * Is told who was pruned, and drops it from the runtime's cache. Its room is given to others when that returns, or when the
   * promise that it returns is fulfilled. What it throws, or rejects with, is uncaught, and the room stays taken: the runtime
   * may still have it. None by default.
   */
  onPrune?: (sequence: TokenSequence) => unknown
}

const layerChecks = {
  bytesPerToken: (name: string, value: unknown) => check.bytes(name, value),
  windowTokens: (name: string, value: unknown) => tokens(name, value, 1),
  bytesPerSequence: (name: string, value: unknown) => check.bytes(name, value),
  device: (name: string, value: unknown) => check.oneOf(name, value, ['cpu', 'gpu'] as const),
} as const

function layerOf(value: unknown): NativeTokenLayer {
  const {
    bytesPerToken,
    windowTokens,
    bytesPerSequence = 0,
    device = 'cpu',
  } = check.options<TokenLayer>(value, layerChecks, 'cost')
  const ofToken = check.bytes('cost.bytesPerToken', bytesPerToken)
  return check.own({ bytesPerToken: ofToken, windowTokens, bytesPerSequence, device }) as NativeTokenLayer
}

function layersOf(name: string, value: unknown): NativeTokenLayer[] {
  if (typeof value === 'number') return [layerOf({ bytesPerToken: check.bytes(name, value, 1) })]
  if (isEstimate(value)) {
    return (value as ModelMemoryEstimate).layers.map(({ bytesPerToken, windowTokens, bytesPerSequence, device }) =>
      layerOf({ bytesPerToken, windowTokens, bytesPerSequence, device }),
    )
  }
  if (check.isArray(value)) return check.array(name, 'an array of layers', value, layerOf, 2 ** 16)
  throw invalidArgument(name, 'an estimate, bytes of one token, or an array of layers', quoted(value))
}

const bytes = (name: string, value: unknown) => check.bytes(name, value)

export const deviceChecks = { cpuBytes: bytes, gpuBytes: bytes } as const

/** The limits that are counts of tokens. */
export const countChecks = {
  maxCacheTokens: (name: string, value: unknown) => tokens(name, value, 1),
  maxParallelTokens: (name: string, value: unknown) => check.integer(name, value, 1, 2 ** 32 - 1),
} as const

const checks = {
  cost: layersOf,
  ...countChecks,
  devices: (name: string, value: unknown) =>
    check.options<{ cpuBytes?: number; gpuBytes?: number }>(value, deviceChecks, name),
  grant: (name: string, value: unknown) => {
    const grant = check.real(name, value, Grant, isGrant)
    if (grant.released) throw released('the grant')
    if (holderOf(grant).onRevoke) return grant
    throw invalidArgument(name, 'an elastic one, which was acquired with onRevoke', 'one without')
  },
  prune: (name: string, value: unknown) => check.oneOf(name, value, prunePolicies),
  onPrune: (name: string, value: unknown) => check.callback<(sequence: TokenSequence) => unknown>(name, value),
} as const

/** The options, with the cost as the addon takes it. */
export type CheckedOptions = Omit<TokenBudgetOptions, 'cost'> & { cost: NativeTokenLayer[] }

export function checkedOptions(options: unknown): CheckedOptions {
  const checked = check.options<CheckedOptions>(options, checks)
  if (checked.cost === undefined) throw invalidArgument('cost', 'given: what a token costs', undefined)
  if (checked.grant === undefined && checked.maxCacheTokens === undefined) {
    throw invalidArgument('maxCacheTokens', 'given where there is no grant to draw a limit', undefined)
  }
  return checked
}

/** The limits as the addon takes them. */
export const nativeLimits = (
  maxCacheTokens: number | undefined,
  maxCpuBytes: number | undefined,
  maxGpuBytes: number | undefined,
): NativeTokenLimits => check.own({ maxCacheTokens, maxCpuBytes, maxGpuBytes }) as NativeTokenLimits
