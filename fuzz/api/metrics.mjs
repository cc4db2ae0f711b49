/** Arguments for the metrics, as `recipes.mjs` has them for the rest. */

import { metricCatalogue } from 'plimsoll/metrics'
import client from 'prom-client'

const metrics = ({ random }) =>
  metricCatalogue
    .slice(0, random.below(5))
    .map((metric) => ({ ...metric, points: [{ attributes: { 'plimsoll.label': 'a "b"\n' }, value: 1 }] }))

const meter = () => {
  const nothing = () => ({})
  return {
    createObservableGauge: nothing,
    createObservableUpDownCounter: nothing,
    createObservableCounter: nothing,
    addBatchObservableCallback: nothing,
    removeBatchObservableCallback: nothing,
  }
}

/** The recipes; what they are made with is that of `recipes.mjs`. */
export function metricsRecipes({ options, oneOf, within, of, flag, always }) {
  const sources = {
    manager: of('MemoryManager'),
    budget: of('MemoryBudget'),
    ledger: oneOf(false, true, 'no-such-ledger', { name: 'none' }),
    processes: flag,
    maxLabels: within(1, 5),
  }
  return {
    readMetrics: [options(sources)],
    metricsText: [metrics],
    prometheusMetrics: [() => client, options({ ...sources, registry: always(() => new client.Registry()) })],
    openTelemetryMetrics: [meter, options(sources)],
  }
}
