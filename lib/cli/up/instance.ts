import { setTimeout as after } from 'node:timers/promises'
import { formatBytes, type Grant, type MakeRoomRequest, type MemoryManager } from '../../index.js'
import { sliceVariable } from '../../ledger/slice.js'
import { type Address, accepts, addressText, answersWell, freeAddress } from './address.js'
import type { InstanceEvent, State } from './events.js'
import { InstanceError } from './instance-error.js'
import type { LastWill } from './last-will.js'
import { lateError, seconds } from './late.js'
import { endWords, Program } from './program.js'
import { Restarts } from './restarts.js'
import { type Settings, withPort } from './settings.js'
import { type Gone, goneError, Waiters } from './waiters.js'

/** What instances have in common. */
export interface Host {
  readonly manager: MemoryManager
  readonly tell: (event: InstanceEvent) => void
  /** A line that an instance has written. */
  readonly output: (id: string, line: string) => void
  /** Measures what instances have resident, now. */
  readonly measure: () => Promise<void>
  /** Ends what instances have started, where this process is killed. */
  readonly lastWill: LastWill
}

/** How long between two looks whether one is ready. */
const LOOK_MS = 50

/** A program that was started, from its turn in the ledger to its end. */
interface Life {
  /** Ends what is waited for on the way to being ready. */
  readonly aborter: AbortController
  grant?: Grant
  program?: Program
  upstream?: Address
  /** Why it is stopped, once it is. */
  stopping?: string
  readySinceMs?: number
  over: Promise<void>
}

/** An instance of a plan: started, watched, started again, and stopped. */
export class Instance {
  readonly settings: Settings
  readonly #host: Host
  readonly #waiters: Waiters<Address>
  readonly #restarts: Restarts
  #state: State = 'stopped'
  #sinceMs = Date.now()
  #life: Life | undefined
  #closed = false
  #connectionCount = 0
  #residentBytes = 0
  #problem: InstanceError | undefined
  #idleTimer: NodeJS.Timeout | undefined
  #delay: { timer: NodeJS.Timeout; untilMs: number } | undefined
  /** For whom it was asked to make room while it had connections. */
  #wantedBy: string | undefined
  readonly #settling = new Set<() => void>()

  constructor(settings: Settings, host: Host) {
    this.settings = settings
    this.#host = host
    this.#waiters = new Waiters(settings.waitTimeoutMs, () => this.#timeout())
    this.#restarts = new Restarts(settings)
  }

  get state(): State {
    return this.#state
  }

  /** Since when it is in its state. */
  get sinceMs(): number {
    return this.#sinceMs
  }

  get pid(): number | undefined {
    return this.#life?.program?.pid
  }

  get upstream(): Address | undefined {
    return this.#life?.upstream
  }

  /** What it holds of the ledger, in bytes. */
  get heldBytes(): number {
    return this.#life?.grant?.bytes ?? 0
  }

  get residentBytes(): number {
    return this.#residentBytes
  }

  get connectionCount(): number {
    return this.#connectionCount
  }

  get restartCount(): number {
    return this.#restarts.totalCount
  }

  /** What went wrong last, if anything did since it was ready. */
  get problem(): string | undefined {
    return this.#problem?.what
  }

  /** Whether it may yet run, or be run. */
  get isAlive(): boolean {
    return !['ended', 'failed'].includes(this.#state)
  }

  /** Starts it, if it is not there or on its way, and resolves once its first try is over, whatever came of it. */
  async start(): Promise<void> {
    if (!this.#isOnItsWay && this.isAlive) this.#begin()
    while (['waiting', 'starting'].includes(this.#state)) {
      await new Promise<void>((resolve) => this.#settling.add(resolve))
    }
  }

  /** Where it takes connections, once it does. Rejects where it does not in time, or never will. */
  reach(gone: Gone): Promise<Address> {
    if (gone.destroyed) return Promise.reject(goneError())
    if (this.#closed) return Promise.reject(this.#error('is being stopped'))
    if (this.#state === 'ready' && this.#life?.upstream) return Promise.resolve(this.#life.upstream)
    if (!this.isAlive) return Promise.reject(this.#problem ?? this.#error('has ended'))
    if (this.#isFarOff) return Promise.reject(this.#timeout())
    const reached = this.#waiters.wait(gone, () => this.#forgetTurn())
    if (this.#state === 'stopped') this.#begin()
    return reached
  }

  connected(): void {
    this.#connectionCount += 1
    clearTimeout(this.#idleTimer)
    this.#touch()
  }

  disconnected(): void {
    this.#connectionCount -= 1
    this.#touch()
    if (this.#connectionCount === 0) this.#rest()
  }

  /** What its processes have resident. */
  measured(bytes: number): void {
    this.#residentBytes = bytes
    const grant = this.#life?.grant
    if (!grant || grant.released) return
    const isLoaded = this.settings.usesDevice && this.#state === 'ready'
    grant.commit(isLoaded ? grant.bytes : Math.min(bytes, grant.bytes))
  }

  /** Stops it for good. Resolves when it has ended. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#idleTimer)
    if (this.#delay) clearTimeout(this.#delay.timer)
    this.#waiters.reject(this.#error('is being stopped'))
    await this.#stop('the plan is stopped')
    if (this.#state === 'delayed') this.#become('stopped')
  }

  /** Ends it at once. */
  kill(): void {
    this.#life?.program?.kill()
  }

  /** Takes it out for what went wrong. */
  fail(error: InstanceError): void {
    this.#problem = error
    this.#become('failed', { message: error.what })
    this.#waiters.reject(error)
  }

  get #isOnItsWay(): boolean {
    return this.#life !== undefined || this.#delay !== undefined
  }

  #begin(): void {
    this.#wantedBy = undefined
    const life: Life = { aborter: new AbortController(), over: Promise.resolve() }
    this.#life = life
    life.over = this.#live(life)
  }

  async #live(life: Life): Promise<void> {
    let failure: InstanceError | undefined
    let exitCode: number | undefined
    try {
      life.grant = await this.#granted(life)
      exitCode = await this.#ran(life)
    } catch (error) {
      failure = this.#failureOf(error, life)
    } finally {
      life.grant?.release()
      this.#life = undefined
      this.#residentBytes = 0
      clearTimeout(this.#idleTimer)
    }
    this.#afterwards(life, exitCode, failure)
  }

  /** Its share, in its turn. */
  async #granted(life: Life): Promise<Grant> {
    const { id, requiredBytes, loadBytes, priority, listen, stopTimeoutMs } = this.settings
    this.#become('waiting')
    const told = setTimeout(() => {
      this.#tell('waiting', `waits for ${formatBytes(requiredBytes + loadBytes)}`)
    }, 500)
    const requests = [
      { bytes: requiredBytes, label: id },
      ...(loadBytes > 0 ? [{ bytes: loadBytes, label: `${id}, while it is loaded` }] : []),
    ]
    const isAsked = listen !== undefined
    return this.#host.manager
      .acquire(requests, {
        priority,
        signal: life.aborter.signal,
        pinned: !isAsked,
        evictMs: stopTimeoutMs + 1000,
        ...(isAsked && { onEvict: (request: MakeRoomRequest) => this.#makeRoom(request) }),
      })
      .finally(() => clearTimeout(told))
  }

  /** Starts it, and resolves with its exit code once it has ended. */
  async #ran(life: Life): Promise<number> {
    const { listens, upstream: fixed, isUpstreamGuessed, startTimeoutMs, stopTimeoutMs } = this.settings
    const { signal } = life.aborter
    const startMs = Date.now()
    const isTaken = fixed !== undefined && (await accepts(fixed))
    if (isTaken && !isUpstreamGuessed) {
      throw this.#error(`cannot listen at ${addressText(fixed)}: something else does already`)
    }
    const upstream = fixed ?? (await freeAddress())
    signal.throwIfAborted()
    const program = await this.#started(upstream)
    life.program = program
    life.upstream = upstream
    this.#become('starting', { message: `starts, process ${program.pid}`, pid: program.pid })
    // It was told to stop while its process was made.
    if (life.stopping !== undefined) void program.stop(stopTimeoutMs)
    // Where another one listens already, it was not its own address that its command says.
    const isReady =
      listens && !isTaken ? await this.#readiness(program, upstream, signal, startMs + startTimeoutMs) : true
    if (isReady === 'late') {
      await program.stop(stopTimeoutMs)
      throw this.#error(`is not ready after ${startTimeoutMs} ms, and was stopped`)
    }
    if (isReady && life.stopping === undefined) this.#becomeReady(life, Date.now() - startMs)
    return program.ended
  }

  async #started(upstream: Address): Promise<Program> {
    const { id, command, environment, workingDirectory, requiredBytes, usesDevice } = this.settings
    const { manager, output, lastWill } = this.#host
    const { port } = upstream
    const own = Object.entries(environment).map(([name, value]) => [name, withPort(value, port)])
    const slice = { PORT: String(port), [sliceVariable]: String(requiredBytes) }
    const program = await Program.start(
      command.map((word) => withPort(word, port)),
      {
        cwd: workingDirectory,
        env: { ...process.env, ...slice, ...Object.fromEntries(own) },
        descriptor: manager.budget.ledgerDescriptor,
        deviceBytes: usesDevice ? requiredBytes : 0,
        onLine: (line) => output(id, line),
      },
    )
    lastWill.add(program.pid)
    void program.ended.then(() => lastWill.remove(program.pid))
    return program
  }

  /** Whether it came to be ready: false where it ended, or is to end, before. */
  async #readiness(
    program: Program,
    upstream: Address,
    signal: AbortSignal,
    deadlineMs: number,
  ): Promise<boolean | 'late'> {
    const { healthPath } = this.settings
    const ended = program.ended.then(() => 'ended' as const)
    const look = () => (healthPath === undefined ? accepts(upstream) : answersWell(upstream, healthPath))
    while (!signal.aborted) {
      const found = await Promise.race([look(), ended])
      if (found === 'ended' || signal.aborted) return false
      if (found) return true
      if (Date.now() >= deadlineMs) return 'late'
      await Promise.race([after(LOOK_MS, undefined, { signal }).catch(() => {}), ended])
    }
    return false
  }

  #becomeReady(life: Life, ms: number): void {
    const { upstream, program, grant } = life as Required<Life>
    life.readySinceMs = Date.now()
    this.#problem = undefined
    // What it took while it was loaded is free again.
    grant.allocations[1]?.release()
    const where = this.settings.listens ? ` at ${addressText(upstream)}` : ''
    this.#become('ready', { message: `is ready after ${seconds(ms)}${where}`, pid: program.pid, ms })
    this.#waiters.resolve(upstream)
    void this.#host.measure()
    if (this.#connectionCount === 0) this.#rest()
  }

  /** It has no connections: it makes room, or is stopped after a while. */
  #rest(): void {
    if (this.settings.listen === undefined || this.#state !== 'ready') return
    if (this.#wantedBy !== undefined && this.#isWaiting(this.#wantedBy)) {
      void this.#stop(`makes room for ${this.#wantedBy}`)
      return
    }
    const { idleTimeoutMs } = this.settings
    if (idleTimeoutMs === 0) return
    clearTimeout(this.#idleTimer)
    this.#idleTimer = setTimeout(() => {
      void this.#stop(`had no connection for ${seconds(idleTimeoutMs)}`)
    }, idleTimeoutMs)
  }

  /** Whether a request of this process or of another waits. */
  #isWaiting(label: string): boolean {
    const { admission, budget } = this.#host.manager
    return (
      admission.waiting().some((each) => each.label === label) ||
      budget.ledgerHolders().some((holder) => holder.waitingLabel === label)
    )
  }

  #makeRoom({ wantedBy }: MakeRoomRequest): false | undefined {
    if (this.#state === 'stopping') return undefined
    if (this.#connectionCount > 0 || this.#life === undefined) {
      this.#wantedBy = wantedBy
      return false
    }
    void this.#stop(`makes room for ${wantedBy}`)
    return undefined
  }

  async #stop(why: string): Promise<void> {
    const life = this.#life
    if (!life) return
    if (life.stopping === undefined) {
      life.stopping = why
      if (life.program) {
        this.#become('stopping', { message: `is stopped: ${why}`, pid: life.program.pid })
        void life.program.stop(this.settings.stopTimeoutMs)
      }
      life.aborter.abort()
    }
    await life.over
  }

  /** Nobody waits for it any more: it leaves the queue. */
  #forgetTurn(): void {
    if (this.#state === 'waiting' && this.settings.listen !== undefined) void this.#stop('nobody waits for it')
  }

  #failureOf(error: unknown, life: Life): InstanceError | undefined {
    if (life.stopping !== undefined) return undefined
    if (error instanceof InstanceError) return error
    // Whatever keeps it from a share is told as it is; any other trouble may be over with the next try.
    if (life.grant === undefined) this.#waiters.reject(error)
    return this.#error(`cannot be started: ${(error as Error).message}`)
  }

  /** What becomes of it after its end. */
  #afterwards(life: Life, exitCode: number | undefined, failure: InstanceError | undefined): void {
    const { listen, restart } = this.settings
    const isListener = listen !== undefined
    if (life.stopping !== undefined) this.#rested(life.program && 'is stopped', exitCode)
    else if (exitCode === 0 && isListener) this.#rested('has ended by itself', exitCode)
    else if (exitCode === 0 && restart !== 'always') this.#become('ended', { message: 'has ended', exitCode })
    else if (life.grant === undefined && isListener) this.#rested(failure?.what)
    else this.#failed(life, failure ?? this.#error(endWords(exitCode)), exitCode)
  }

  /** It has not ended as it should: it is started again after a while, or never. */
  #failed(life: Life, error: InstanceError, exitCode: number | undefined): void {
    const delayMs = life.grant === undefined ? undefined : this.#restarts.next(life.readySinceMs)
    if (delayMs === undefined) {
      const { count } = this.#restarts
      const tries = count > 0 ? `, after ${count} restart${count === 1 ? '' : 's'}; it is left alone now` : ''
      this.fail(this.#error(`${error.what}${tries}`))
      return
    }
    this.#problem = error
    const timer = setTimeout(() => this.#delayed(), delayMs)
    this.#delay = { timer, untilMs: Date.now() + delayMs }
    const message = `${error.what}; it may start again in ${seconds(delayMs)}`
    this.#become('delayed', { message, ms: delayMs, ...(exitCode !== undefined && { exitCode }) })
    if (this.#isFarOff) this.#waiters.reject(this.#timeout())
  }

  /** It is not there, and is started again when somebody wants it. */
  #rested(message: string | undefined, exitCode?: number): void {
    this.#become(
      'stopped',
      message === undefined ? undefined : { message, ...(exitCode !== undefined && { exitCode }) },
    )
    if (this.#waiters.count > 0 && !this.#closed) this.#begin()
  }

  #delayed(): void {
    this.#delay = undefined
    if (this.#closed) return
    if (this.settings.listen === undefined || this.#waiters.count > 0) this.#begin()
    else this.#become('stopped')
  }

  #timeout(): Error {
    if (this.#state !== 'delayed' || !this.#delay) {
      return lateError(this.settings, this.#state, this.#host.manager.budget.availableBytes)
    }
    const leftMs = Math.max(this.#delay.untilMs - Date.now(), 0)
    return this.#error(`${this.problem}; it may start again in ${seconds(leftMs)}`, leftMs)
  }

  /** Whether it is not even tried within the time that anybody waits. */
  get #isFarOff(): boolean {
    const untilMs = this.#state === 'delayed' ? this.#delay?.untilMs : undefined
    return untilMs !== undefined && untilMs - Date.now() > this.settings.waitTimeoutMs
  }

  #error(what: string, retryAfterMs?: number): InstanceError {
    return new InstanceError(this.settings.id, what, retryAfterMs)
  }

  #touch(): void {
    const grant = this.#life?.grant
    if (grant && !grant.released) grant.touch()
  }

  #become(state: State, told?: Omit<InstanceEvent, 'instance' | 'event'>): void {
    this.#state = state
    this.#sinceMs = Date.now()
    const event = state === 'delayed' ? 'restarting' : state
    if (told) this.#host.tell({ instance: this.settings.id, event, ...told })
    if (['waiting', 'starting'].includes(state)) return
    for (const settled of this.#settling) settled()
    this.#settling.clear()
  }

  #tell(event: InstanceEvent['event'], message: string): void {
    this.#host.tell({ instance: this.settings.id, event, message })
  }
}
