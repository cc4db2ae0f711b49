import { MetricDefinition, MemoryManager, MemoryBudget, LedgerChoice } from './index.js';
export { MetricDefinition } from './index.js';

/** What a metric counts like: one value, one that adds up over its attributes, or one that only grows. */
type MetricKind = MetricDefinition['kind'];
/** Every metric there is, in the order in which they are given: what this machine or program does not have, has no values. */
declare const metricCatalogue: readonly Readonly<MetricDefinition>[];

/** What metrics are read from. */
interface MetricsOptions {
    /** Whose budget, queue, pools, buffers and monitor are read. None by default: the machine alone. */
    manager?: MemoryManager;
    /** The budget that is read. That of `manager` by default, else one of this machine. */
    budget?: MemoryBudget;
    /**
     * A ledger to survey, by its name or its options; `true` for the one of the whole board, `false` for none. By default the one
     * that the budget shares, if it shares one. Where it cannot be read, nothing can be granted.
     */
    ledger?: LedgerChoice;
    /** Whether every process that has this package loaded is read, not this one alone. False by default. */
    processes?: boolean;
    /** Whether the driver is asked which processes hold memory of the GPUs. False by default. */
    gpuProcesses?: boolean;
    /** How many labels of a budget have values of their own; the others are `(other)` together. 32 by default. */
    maxLabels?: number;
}

/** What a meter is observed by, as far as it is used. */
interface OpenTelemetryResult {
    observe(instrument: never, value: number, attributes?: Record<string, string>): void;
}
type Create = (name: string, options: {
    unit: string;
    description: string;
}) => object;
/** A meter of `@opentelemetry/api`, as far as it is used: version 1.3 or later. */
interface OpenTelemetryMeter {
    createObservableGauge: Create;
    createObservableUpDownCounter: Create;
    createObservableCounter: Create;
    addBatchObservableCallback(callback: (result: OpenTelemetryResult) => Promise<void>, instruments: never[]): void;
    removeBatchObservableCallback(callback: (result: OpenTelemetryResult) => Promise<void>, instruments: never[]): void;
}
/**
 * Has a meter of OpenTelemetry observe every metric of the catalogue; the meter is given, and this package loads nothing of OpenTelemetry's.
 * They are read once for each collection. Disposing of what it returns ends that.
 *
 * @throws {@link InvalidArgumentError} for what is no meter, and an unknown or unfit option.
 * @example
 * import { metrics } from '@opentelemetry/api'
 *
 * openTelemetryMetrics(metrics.getMeter('my-server'), { manager })
 */
declare function openTelemetryMetrics(meter: OpenTelemetryMeter, options?: MetricsOptions): Disposable;

/** What a value belongs to, by the names of its metric's attributes. */
type MetricAttributes = Readonly<Record<string, string>>;
/** One value of a metric. */
interface MetricPoint {
    /** What it belongs to. */
    attributes: MetricAttributes;
    /** In the unit of the metric. */
    value: number;
}
/** A metric with its values at one moment. */
interface Metric extends MetricDefinition {
    /** Its values. */
    points: readonly MetricPoint[];
}

/** A metric of prom-client, as far as it is used. */
interface PrometheusMetric {
    reset(): void;
    remove(): void;
    set?(labels: Record<string, string>, value: number): void;
    inc?(labels: Record<string, string>, value: number): void;
}
/** A registry of prom-client, as far as it is used. */
interface PrometheusRegistry {
    removeSingleMetric(name: string): void;
}
/** What a metric of prom-client is made from, as far as it is used. */
interface PrometheusConfiguration {
    name: string;
    help: string;
    labelNames: string[];
    registers: never[];
    collect: () => Promise<void>;
}
/** The module `prom-client`, as far as it is used: version 14 or 15. */
interface PrometheusClient {
    readonly register: PrometheusRegistry;
    readonly Gauge: new (configuration: PrometheusConfiguration) => PrometheusMetric;
    readonly Counter: new (configuration: PrometheusConfiguration) => PrometheusMetric;
}
/** What metrics are read from, and the registry that they are given to. */
interface PrometheusMetricsOptions extends MetricsOptions {
    /** The registry that has them. `register` of the client by default. */
    registry?: PrometheusRegistry;
}
/**
 * Registers every metric of the catalogue with prom-client, which is given: this package loads none. They are read as the registry is
 * scraped, all at once. Disposing of what it returns removes them.
 *
 * @throws {@link InvalidArgumentError} for what is not prom-client, an unknown or unfit option, and a registry that has one of the names: it
 * gets none then.
 * @example
 * import client from 'prom-client'
 *
 * prometheusMetrics(client, { manager })
 * app.get('/metrics', async (request, response) => response.type(client.register.contentType).send(await client.register.metrics()))
 */
declare function prometheusMetrics(client: PrometheusClient, options?: PrometheusMetricsOptions): Disposable;

/**
 * Every metric that has a value now, in the order of {@link metricCatalogue}. Rejects with {@link InvalidArgumentError} for an unknown or
 * unfit option.
 *
 * @example
 * for (const { name, points } of await readMetrics({ manager })) console.log(name, points[0].value)
 */
declare function readMetrics(options?: MetricsOptions): Promise<Metric[]>;

/** What is served, and where. */
interface ServeMetricsOptions extends MetricsOptions {
    /** The port of this machine's loopback, 127.0.0.1. 0 by default: any that is free. */
    port?: number;
}
/** A server of metrics. */
interface MetricsServer extends AsyncDisposable {
    /** Where Prometheus finds them. */
    readonly url: string;
    /** The port of 127.0.0.1. */
    readonly port: number;
    /** Ends it. Idempotent. */
    close: () => Promise<void>;
}
/**
 * Serves `/metrics` on 127.0.0.1 for a Prometheus of this machine. Who calls it by another name than that of this machine is refused. It
 * keeps the process alive.
 *
 * Rejects with {@link InvalidArgumentError} for an unknown or unfit option, and with {@link IoError} where the port is taken.
 *
 * @example
 * await using server = await serveMetrics({ manager })
 * console.log(`Prometheus finds them at ${server.url}`)
 */
declare function serveMetrics(options?: ServeMetricsOptions): Promise<MetricsServer>;

/** What {@link metricsText} makes is served as this. */
declare const metricsContentType = "text/plain; version=0.0.4; charset=utf-8";
/**
 * Metrics as Prometheus reads them: its text format, version 0.0.4.
 *
 * @throws {@link InvalidArgumentError} for what are no metrics.
 */
declare const metricsText: (metrics: readonly Metric[]) => string;

export { metricCatalogue, metricsContentType, metricsText, openTelemetryMetrics, prometheusMetrics, readMetrics, serveMetrics };
export type { Metric, MetricAttributes, MetricKind, MetricPoint, MetricsOptions, MetricsServer, OpenTelemetryMeter, OpenTelemetryResult, PrometheusClient, PrometheusConfiguration, PrometheusMetric, PrometheusMetricsOptions, PrometheusRegistry, ServeMetricsOptions };
