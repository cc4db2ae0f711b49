import { prometheusLabel } from './catalogue.js'
import type { Metric, MetricAttributes } from './points.js'

/** What {@link metricsText} makes is served as this. */
export const metricsContentType = 'text/plain; version=0.0.4; charset=utf-8'

/** Metrics as Prometheus reads them: its text format, version 0.0.4. */
export const metricsText = (metrics: readonly Metric[]): string => metrics.map(metricText).join('\n')

function metricText({ prometheusName, help, kind, points }: Metric): string {
  const type = kind === 'counter' ? 'counter' : 'gauge'
  return [
    `# HELP ${prometheusName} ${help}`,
    `# TYPE ${prometheusName} ${type}`,
    ...points.map(({ attributes, value }) => `${prometheusName}${labelsText(attributes)} ${value}`),
    '',
  ].join('\n')
}

function labelsText(attributes: MetricAttributes): string {
  const labels = Object.entries(attributes).map(([name, value]) => `${prometheusLabel(name)}="${escapedValue(value)}"`)
  return labels.length > 0 ? `{${labels.join(',')}}` : ''
}

const escapedValue = (value: string): string =>
  value.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"')
