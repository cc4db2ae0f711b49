import * as check from '../support/check.js'
import { invalidArgument, quoted } from '../support/errors.js'
import { type MetricKind, metricCatalogue } from './catalogue.js'
import type { MetricsOptions } from './options.js'
import type { Metric, MetricPoint } from './points.js'
import { metricsReader } from './read.js'

/** What a meter is observed by, as far as it is used. */
export interface OpenTelemetryResult {
  observe(instrument: never, value: number, attributes?: Record<string, string>): void
}

type Create = (name: string, options: { unit: string; description: string }) => object

/** A meter of `@opentelemetry/api`, as far as it is used: version 1.3 or later. */
export interface OpenTelemetryMeter {
  createObservableGauge: Create
  createObservableUpDownCounter: Create
  createObservableCounter: Create
  addBatchObservableCallback(callback: (result: OpenTelemetryResult) => Promise<void>, instruments: never[]): void
  removeBatchObservableCallback(callback: (result: OpenTelemetryResult) => Promise<void>, instruments: never[]): void
}

const creators = {
  gauge: 'createObservableGauge',
  upDownCounter: 'createObservableUpDownCounter',
  counter: 'createObservableCounter',
} as const satisfies Record<MetricKind, keyof OpenTelemetryMeter>

const methods = [...Object.values(creators), 'addBatchObservableCallback', 'removeBatchObservableCallback'] as const

const isMeter = (value: unknown): value is OpenTelemetryMeter =>
  check.isObject(value) &&
  check.canBeAsked(value) &&
  methods.every((name) => typeof (value as Record<string, unknown>)[name] === 'function')

/** What was observed, and for what. The SDK keeps the last value of each: what has gone must be told once more, as nothing. */
type Observed = Pick<Metric, 'name'> & Pick<MetricPoint, 'attributes'>

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
export function openTelemetryMetrics(meter: OpenTelemetryMeter, options?: MetricsOptions): Disposable {
  if (!isMeter(meter)) throw invalidArgument('meter', 'a Meter of @opentelemetry/api', quoted(meter))
  const read = metricsReader(options)
  const instruments = new Map(
    metricCatalogue.map(({ name, kind, unit, help }) => [
      name,
      meter[creators[kind]](name, { unit, description: help }),
    ]),
  )
  let before = new Map<string, Observed>()
  const callback = async (result: OpenTelemetryResult) => {
    const metrics = await read()
    const now = new Map<string, Observed>()
    for (const { name, kind, points } of metrics) {
      for (const { value, attributes } of points) {
        result.observe(instruments.get(name) as never, value, { ...attributes })
        // What only grows has not shrunk when it is told no more.
        if (kind !== 'counter') now.set(JSON.stringify([name, attributes]), { name, attributes })
      }
    }
    for (const [key, { name, attributes }] of before) {
      if (!now.has(key)) result.observe(instruments.get(name) as never, 0, { ...attributes })
    }
    before = now
  }
  const all = [...instruments.values()] as never[]
  meter.addBatchObservableCallback(callback, all)
  return { [Symbol.dispose]: () => meter.removeBatchObservableCallback(callback, all) }
}
