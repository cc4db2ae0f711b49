import type { NativeGrantRequest } from '../addon/native.js'
import * as check from '../support/check.js'
import { invalidArgument } from '../support/errors.js'
import type { OnEvict, OnRevoke } from './grant.js'

/** A part of what is acquired together. */
export interface AcquireRequest {
  /** How much, in bytes. */
  bytes: number
  /** What it is for, as lists and errors will call it. */
  label: string
  /** Whose memory it is to be, for the lists: `"npu"`. On a board all of it is the same RAM, and counts alike. */
  device?: string
}

/** How a request waits, and what may become of its grant. */
export interface AcquireOptions {
  /** A whole number: a higher one goes first, and may have grants of a lower one evicted. 0 by default. */
  priority?: number
  /**
   * What is loaded. Of one key one load at a time: the next waits until {@link Grant.ready} of the first, or its release, and
   * keeps nobody else from going on. None by default.
   */
  key?: string
  /** How long it waits at most, in milliseconds. Without end by default. */
  timeoutMs?: number
  /** Ends the wait with an {@link AbortError}. None by default. */
  signal?: AbortSignal
  /** How long others may pass it while it is the first, in milliseconds; from then on what becomes free is kept for it. 2000 by default. */
  ageMs?: number
  /** Whether the grant is never evicted. False by default. */
  pinned?: boolean
  /**
   * Whether the grant may be evicted, by the `onEvict` of the {@link Admission} if it has none of its own. By default where it
   * has one.
   */
  evictable?: boolean
  /** How long the grant must not have been used to count as idle, in milliseconds; see {@link Grant.touch}. 1000 by default. */
  idleMs?: number
  /** How long the holder may take to make room before others are asked, in milliseconds. 5000 by default. */
  evictMs?: number
  /** Is asked to release the grant for somebody who waits. That of the {@link Admission} by default. */
  onEvict?: OnEvict
  /** Is asked to shrink the stretch. None by default: then the grant has no stretch. */
  onRevoke?: OnRevoke
}

/** A year. */
const LONGEST_MS = 366 * 24 * 3_600_000

/** More parts than anything has. */
const MOST_REQUESTS = 1024

const duration = (name: string, value: unknown) => check.number(name, value, 0, LONGEST_MS)

export const acquireChecks = {
  priority: (name: string, value: unknown) => check.integer(name, value, -(2 ** 31), 2 ** 31 - 1),
  key: check.string,
  timeoutMs: duration,
  signal: check.signal,
  ageMs: duration,
  pinned: check.boolean,
  evictable: check.boolean,
  idleMs: duration,
  evictMs: duration,
  onEvict: (name: string, value: unknown) => check.callback<OnEvict>(name, value),
  onRevoke: (name: string, value: unknown) => check.callback<OnRevoke>(name, value),
} as const

/** The parts of a request, as the addon takes them. */
export function requestsOf(value: unknown): NativeGrantRequest[] {
  if (!check.isArray(value)) return [requestOf('request', value)]
  const expected = 'a request, or an array of them'
  const part = (each: unknown, at: number) => requestOf(`requests[${at}]`, each)
  const requests = check.array('requests', expected, value, part, MOST_REQUESTS)
  if (requests.length === 0) throw invalidArgument('requests', expected, 'an empty array')
  return requests
}

function requestOf(name: string, value: unknown): NativeGrantRequest {
  // What is no object at all must not pass for an object without keys.
  const checked = check.options<AcquireRequest>(value === undefined ? null : value, requestChecks, name)
  const bytes = check.bytes(`${name}.bytes`, checked.bytes)
  const label = check.string(`${name}.label`, checked.label)
  return check.own({ bytes, label: checked.device === undefined ? label : `${label} (${checked.device})` })
}

const requestChecks = {
  bytes: (name: string, value: unknown) => check.bytes(name, value),
  label: check.string,
  device: check.string,
} as const
