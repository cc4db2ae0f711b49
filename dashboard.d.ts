import { BlockInfo, MemoryManager, MemoryBudget, MemoryMonitor, LedgerChoice, MemoryLevel, LineTerm, Headroom, Pressure, ProcessInfo, PoolSnapshot, WaitingRequest, LedgerHolder, RefusedRequest, RefusalNotice } from './index.js';

/** A buffer, and where it lies. */
interface DashboardBuffer {
    /** The label of its pool. */
    pool: string;
    /** The index of its slab. */
    slab: number;
    /** The block that it has. */
    block: BlockInfo;
}

/** What a dashboard shows, and where. */
interface DashboardOptions {
    /** Whose budget, queue, pools and monitor are shown. None by default: the machine alone. */
    manager?: MemoryManager;
    /** The budget that is shown. That of `manager` by default, else one of this machine. */
    budget?: MemoryBudget;
    /** Whose level and events are shown. That of `manager` by default. */
    monitor?: MemoryMonitor;
    /**
     * A ledger to survey, by its name or its options; `true` for the one of the whole board, `false` for none. By default the one
     * that the budget shares, if it shares one.
     */
    ledger?: LedgerChoice;
    /** The port of this machine's loopback, 127.0.0.1. 0 by default: any that is free. */
    port?: number;
    /** The time between two updates of the pages, in milliseconds, from 100 to 60,000. 1000 by default. */
    intervalMs?: number;
    /** How long a link may be opened that was not, in milliseconds, up to a day. 600,000 by default. */
    linkMs?: number;
}

/** The figures of one moment that the chart draws. */
interface DashboardMoment {
    /** Milliseconds since 1970. */
    timeMs: number;
    /** The line, in bytes. */
    lineBytes: number;
    /** What is granted under it, in bytes. */
    allocatedBytes: number;
    /** What this machine can give, whatever the budget is of; absent where that cannot be measured. */
    headroomBytes?: number;
    /** The bound with the least room, in words. */
    binding: string;
}
/** Something that happened. */
interface DashboardEvent {
    /** Milliseconds since 1970. */
    timeMs: number;
    /** What it was: an event of the monitor. */
    kind: 'normal' | 'warning' | 'critical' | 'pressure' | 'kill' | 'unavailable';
    /** The same for people. */
    text: string;
}
/** A process that holds memory. */
interface DashboardProcess extends ProcessInfo {
    /** Whether it has this package loaded. */
    isLoaded: boolean;
    /** What it holds of GPUs, in bytes; absent where no driver tells. */
    gpuBytes?: number;
}
/** All that the pages show: each part is what the API gives. */
interface DashboardState {
    /** The figures of now. */
    moment: DashboardMoment;
    /** The time between two updates, in milliseconds. */
    intervalMs: number;
    /** Whether a manager is shown. Without one there are no pools, and no refusals but those of the budget. */
    hasManager: boolean;
    /** The level of the monitor; absent where none runs. */
    level?: MemoryLevel;
    /** What could be granted now, in bytes. */
    availableBytes: number;
    /** The most that was granted at once, in bytes. */
    peakBytes: number;
    /** The bounds of the line, the lowest first. */
    terms: LineTerm[];
    /** What the machine can give now, with its terms; absent where that cannot be measured. */
    headroom?: Headroom;
    /** How long tasks stood still for want of memory; absent where the kernel does not tell. */
    pressure?: Pressure;
    /** What is granted by label, the most first: at most 200, and what all others have together as the last, `(other)`. */
    labels: [label: string, bytes: number][];
    /** How many labels there are in all. */
    labelCount: number;
    /** Who has this package loaded, and who else holds 1 % of the memory or some of a GPU: at most 50, the largest first. */
    processes: DashboardProcess[];
    /** The slabs of each pool. A slab of more than 1,000 blocks has none here, nor have those beyond 20,000 blocks in all. */
    pools: PoolSnapshot[];
    /** The largest buffers of all pools, at most 50. */
    buffers: DashboardBuffer[];
    /** How many buffers there are in all. */
    bufferCount: number;
    /** Who waits in the queue. */
    waiting: WaitingRequest[];
    /** Who shares the ledger. */
    holders: readonly LedgerHolder[];
    /** Why the ledger cannot be read; absent where it can, and where there is none. */
    ledgerError?: string;
    /** The latest first. */
    events: readonly DashboardEvent[];
    /** The latest first. */
    refusals: readonly RefusedRequest[];
}

/**
 * A dashboard that is served.
 *
 * @example
 * await using dashboard = await serveDashboard({ manager })
 * console.log(`open ${dashboard.link()}`)
 */
declare class Dashboard implements AsyncDisposable {
    #private;
    private constructor();
    /** Where it is. Nothing is shown there without a {@link link}. */
    get url(): string;
    /** The port of 127.0.0.1. */
    get port(): number;
    /**
     * An address that opens the page once, in the browser of whoever gets it first; that browser may come back without it.
     *
     * @throws {@link ReleasedError} after {@link close}.
     */
    link(): string;
    /**
     * Shows a refusal with its advice. Those of its budget, and of all that share what is allocated with it in any thread, it shows by itself;
     * this is for what another budget or process refused.
     *
     * @throws {@link InvalidArgumentError} for what is no error of a refusal.
     */
    refused(error: RefusalNotice['error']): void;
    /** All that the pages show now. Pressure is read every two seconds, and the processes are looked for every ten. */
    state(): Promise<DashboardState>;
    /** Ends it, and the pages that are open. Idempotent. */
    close(): Promise<void>;
    /** The same as {@link close}, for `await using`. */
    [Symbol.asyncDispose](): Promise<void>;
}
/**
 * Serves a page on 127.0.0.1 that shows memory as it is. Whoever opens a {@link Dashboard.link} first may look, and nobody else. It keeps the
 * process alive until it is closed.
 *
 * Rejects with {@link InvalidArgumentError} for an unknown or unfit option, and with {@link IoError} where the port is taken.
 *
 * @example
 * await using dashboard = await serveDashboard({ manager })
 * console.log(dashboard.link())
 */
declare const serveDashboard: (options?: DashboardOptions) => Promise<Dashboard>;

export { Dashboard, serveDashboard };
export type { DashboardBuffer, DashboardEvent, DashboardMoment, DashboardOptions, DashboardProcess, DashboardState };
