import * as check from '../support/check.js'
import { invalidArgument, quoted } from '../support/errors.js'
import { prometheusLabel } from './catalogue.js'
import type { Metric, MetricAttributes, MetricPoint } from './points.js'

/** What {@link metricsText} makes is served as this. */
export const metricsContentType = 'text/plain; version=0.0.4; charset=utf-8'

const EXPECTED = 'metrics as readMetrics() gives them'

/**
 * Metrics as Prometheus reads them: its text format, version 0.0.4.
 *
 * @throws {@link InvalidArgumentError} for what are no metrics.
 */
export const metricsText = (metrics: readonly Metric[]): string =>
  check.array('metrics', EXPECTED, metrics, metricText).join('\n')

function metricText(value: unknown): string {
  const { prometheusName, help, kind, points } = fields<Metric>(value)
  const lines = check.array('metrics', EXPECTED, points, (point) => {
    const { attributes, value } = fields<MetricPoint>(point)
    return `${text(prometheusName)}${labelsText(fields<MetricAttributes>(attributes))} ${number(value)}`
  })
  const type = kind === 'counter' ? 'counter' : 'gauge'
  const [name, about] = [text(prometheusName), text(help)]
  return [`# HELP ${name} ${about}`, `# TYPE ${name} ${type}`, ...lines, ''].join('\n')
}

/** What may be looked into; what it holds is checked as it is used. */
const fields = <T extends object>(value: unknown): { readonly [K in keyof T]: unknown } =>
  check.object<T>('metrics', value, EXPECTED)

function text(value: unknown): string {
  if (typeof value === 'string') return value
  throw invalidArgument('metrics', EXPECTED, quoted(value))
}

function number(value: unknown): number {
  if (typeof value === 'number') return value
  throw invalidArgument('metrics', EXPECTED, quoted(value))
}

function labelsText(attributes: Readonly<Record<string, unknown>>): string {
  const labels = Object.entries(attributes).map(
    ([name, value]) => `${prometheusLabel(name)}="${escapedValue(text(value))}"`,
  )
  return labels.length > 0 ? `{${labels.join(',')}}` : ''
}

const escapedValue = (value: string): string =>
  value.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"')
