/**
 * Metrics for Prometheus and OpenTelemetry.
 *
 * @module plimsoll/metrics
 */

export type { MetricDefinition } from '../index.js'
export { type MetricKind, metricCatalogue } from './catalogue.js'
export { type OpenTelemetryMeter, type OpenTelemetryResult, openTelemetryMetrics } from './opentelemetry.js'
export type { MetricsOptions } from './options.js'
export type { Metric, MetricAttributes, MetricPoint } from './points.js'
export {
  type PrometheusClient,
  type PrometheusConfiguration,
  type PrometheusMetric,
  type PrometheusMetricsOptions,
  type PrometheusRegistry,
  prometheusMetrics,
} from './prometheus.js'
export { readMetrics } from './read.js'
export { type MetricsServer, type ServeMetricsOptions, serveMetrics } from './serve.js'
export { metricsContentType, metricsText } from './text.js'
