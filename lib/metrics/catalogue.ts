import type { MetricDefinition } from '../../binding.js'
import * as native from '../addon/native.js'

/** The name of a metric of the catalogue. */
export type MetricName = MetricDefinition['name']

/** What a metric counts like: one value, one that adds up over its attributes, or one that only grows. */
export type MetricKind = MetricDefinition['kind']

/** A name as Prometheus takes it: no dots. */
export const prometheusLabel = (name: string): string => name.replaceAll(/[^a-zA-Z0-9_]/g, '_')

/** Every metric there is, in the order in which they are given: what this machine or program does not have, has no values. */
export const metricCatalogue: readonly Readonly<MetricDefinition>[] = Object.freeze(
  native.metricCatalogue().map((definition) => {
    Object.freeze(definition.attributes)
    return Object.freeze(definition)
  }),
)
