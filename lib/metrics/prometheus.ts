import * as check from '../support/check.js'
import { invalidArgument, quoted } from '../support/errors.js'
import { metricCatalogue, prometheusLabel } from './catalogue.js'
import { type MetricsOptions, metricsChecks } from './options.js'
import { metricsReader } from './read.js'

/** A metric of prom-client, as far as it is used. */
export interface PrometheusMetric {
  reset(): void
  remove(): void
  set?(labels: Record<string, string>, value: number): void
  inc?(labels: Record<string, string>, value: number): void
}

/** A registry of prom-client, as far as it is used. */
export interface PrometheusRegistry {
  removeSingleMetric(name: string): void
}

/** What a metric of prom-client is made from, as far as it is used. */
export interface PrometheusConfiguration {
  name: string
  help: string
  labelNames: string[]
  registers: never[]
  collect: () => Promise<void>
}

/** The module `prom-client`, as far as it is used: version 14 or 15. */
export interface PrometheusClient {
  readonly register: PrometheusRegistry
  readonly Gauge: new (configuration: PrometheusConfiguration) => PrometheusMetric
  readonly Counter: new (configuration: PrometheusConfiguration) => PrometheusMetric
}

/** What metrics are read from, and the registry that they are given to. */
export interface PrometheusMetricsOptions extends MetricsOptions {
  /** The registry that has them. `register` of the client by default. */
  registry?: PrometheusRegistry
}

const checks = {
  ...metricsChecks,
  registry: (name: string, value: unknown) => {
    if (hasFunctions<PrometheusRegistry>(value, 'removeSingleMetric')) return value
    throw invalidArgument(name, 'a Registry of prom-client', quoted(value))
  },
} as const

const hasFunctions = <T>(value: unknown, ...names: (keyof T & string)[]): value is T =>
  (check.isObject(value) || typeof value === 'function') &&
  check.canBeAsked(value) &&
  names.every((name) => typeof (value as Record<string, unknown>)[name] === 'function')

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
export function prometheusMetrics(client: PrometheusClient, options?: PrometheusMetricsOptions): Disposable {
  if (!hasFunctions<PrometheusClient>(client, 'Gauge', 'Counter')) {
    throw invalidArgument('client', 'the module prom-client', quoted(client))
  }
  const { registry = client.register, ...rest } = check.options<PrometheusMetricsOptions>(options, checks)
  const read = metricsReader(check.own(rest))
  const registered: string[] = []
  const remove = () => {
    for (const name of registered.splice(0)) registry.removeSingleMetric(name)
  }
  try {
    for (const { name, prometheusName, kind, help, attributes } of metricCatalogue) {
      const Type = kind === 'counter' ? client.Counter : client.Gauge
      const metric: PrometheusMetric = new Type({
        name: prometheusName,
        help,
        labelNames: attributes.map(prometheusLabel),
        registers: [registry as never],
        collect: async () => {
          const points = (await read()).find((read) => read.name === name)?.points ?? []
          metric.reset()
          // Without labels it is 0 then, which nobody has read.
          if (attributes.length === 0) metric.remove()
          for (const point of points) {
            const labels = Object.entries(point.attributes).map(([of, value]) => [prometheusLabel(of), value])
            const put = metric.set ?? metric.inc
            put?.call(metric, Object.fromEntries(labels), point.value)
          }
        },
      })
      registered.push(prometheusName)
    }
  } catch (error) {
    // One of the same name is there already: none or all.
    remove()
    throw invalidArgument('registry', 'one that takes these metrics', (error as Error | undefined)?.message)
  }
  return { [Symbol.dispose]: remove }
}
