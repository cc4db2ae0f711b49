import type { DefragmentReport } from '../../binding.js'
import type { NativeBounds, NativeMove, NativePool, NativeRun } from '../addon/native.js'
import { type Abortion, abortion, absorb } from '../support/abort.js'
import * as check from '../support/check.js'
import { call, callAsync, invalidArgument } from '../support/errors.js'
import type { DefragmentOptions, MovableBuffer } from './options.js'
import type { Returns } from './returns.js'

/** How long a run that did not come to its end is kept for the next call. */
const RUN_KEPT_MS = 5000

/** What is moved together, and what it goes through. */
interface Moving {
  readonly native: NativePool
  readonly returns: Returns
  /** The label of each live buffer, by its key; those without one are left out. */
  readonly labels: ReadonlyMap<number, string>
  readonly end: { readonly closed: boolean }
}

/** Moves the buffers of a pool together, one run at a time. */
export class Defragmenter {
  readonly #pool: Moving
  #last: Promise<unknown> = Promise.resolve()
  /** The run that met a bound before it was complete, and what ends it when no call goes on with it. */
  #unfinished: { run: NativeRun; veto: DefragmentOptions['veto']; timer: NodeJS.Timeout } | undefined

  constructor(pool: Moving) {
    this.#pool = pool
  }

  /** Moves buffers together once all runs before have ended. A hole of `enoughBytes` ends it, too. */
  defragment(options: DefragmentOptions, enoughBytes?: number): Promise<DefragmentReport> {
    const report = this.#last.then(() => this.#defragment(options, enoughBytes))
    this.#last = report.catch(() => {})
    return report
  }

  async #defragment(options: DefragmentOptions, enoughBytes: number | undefined): Promise<DefragmentReport> {
    const { dryRun = false, veto, maxBytes, maxMoves, maxMs } = options
    const { native, returns, end } = this.#pool
    const bounds: NativeBounds = check.own({
      ...(maxBytes !== undefined && { maxBytes }),
      ...(maxMoves !== undefined && { maxMoves }),
      ...(maxMs !== undefined && { maxMs }),
      ...(enoughBytes !== undefined && { enoughBytes }),
    })
    if (dryRun) return callAsync(() => native.defragmentDry(bounds))
    const bounded = [maxBytes, maxMoves, maxMs].some((bound) => bound !== undefined)
    const run = await callAsync(async () => (bounded && this.#resumed(bounds, veto)) || native.beginRun(bounds))
    this.drop()
    let report: DefragmentReport | undefined
    try {
      await this.#move(run, options)
      report = call(() => run.report())
      return report
    } finally {
      if (!report || report.complete || end.closed) run.end()
      else this.#keep(run, veto)
      returns.collect()
    }
  }

  /** Makes the moves of a run, but for those that are not wanted. */
  async #move(run: NativeRun, { veto, onMoved, signal }: DefragmentOptions): Promise<void> {
    let rejected: Abortion | undefined
    while (!rejected && !abortion(signal) && (await callAsync(() => run.nextMove()))) {
      const move = run.found()
      // It was released before its turn came.
      if (!move) continue
      const movable = this.#movable(move)
      if (vetoes(veto, movable, run)) continue
      // The veto may have released or pinned it.
      if (!(await callAsync(() => run.makeMove()))) continue
      // One that is asynchronous is not waited for, but what it rejects with ends the run, too.
      absorb(onMoved?.(movable), (reason) => {
        rejected = { reason }
      })
    }
    if (rejected) throw rejected.reason
  }

  #movable({ key, bytes }: NativeMove): MovableBuffer {
    return { label: this.#pool.labels.get(key) ?? '', sizeBytes: bytes, id: key }
  }

  /** The run to go on with. Another veto is asked about what the last one kept where it was. */
  #resumed(bounds: NativeBounds, veto: DefragmentOptions['veto']): NativeRun | undefined {
    const unfinished = this.#unfinished
    if (!unfinished) return undefined
    clearTimeout(unfinished.timer)
    this.#unfinished = undefined
    unfinished.run.goOn(bounds, !veto || veto !== unfinished.veto)
    return unfinished.run
  }

  #keep(run: NativeRun, veto: DefragmentOptions['veto']): void {
    const timer = setTimeout(() => this.drop(), RUN_KEPT_MS).unref()
    this.#unfinished = { run, veto, timer }
  }

  /** Lets go of the run that could be gone on with. */
  drop(): void {
    clearTimeout(this.#unfinished?.timer)
    this.#unfinished?.run.end()
    this.#unfinished = undefined
  }
}

/** Whether the move is not wanted; a veto that throws leaves no place taken. */
function vetoes(veto: DefragmentOptions['veto'], movable: MovableBuffer, run: NativeRun): boolean {
  let vetoed = true
  try {
    const answer: unknown = veto?.(movable)
    if (typeof (answer as PromiseLike<unknown> | undefined)?.then === 'function') {
      absorb(answer)
      throw invalidArgument(
        'veto',
        'a function that says at once whether the buffer stays',
        'one that returns a promise',
      )
    }
    vetoed = answer === true
  } finally {
    if (vetoed) run.vetoMove()
  }
  return vetoed
}
