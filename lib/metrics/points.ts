import type { MetricDefinition } from '../index.js'
import { shortened } from '../support/shortened.js'
import { type MetricName, metricCatalogue } from './catalogue.js'

/** What a value belongs to, by the names of its metric's attributes. */
export type MetricAttributes = Readonly<Record<string, string>>

/** One value of a metric. */
export interface MetricPoint {
  /** What it belongs to. */
  attributes: MetricAttributes
  /** In the unit of the metric. */
  value: number
}

/** A metric with its values at one moment. */
export interface Metric extends MetricDefinition {
  /** Its values. */
  points: readonly MetricPoint[]
}

/** Those of which the greatest counts where several things go by the same attributes; all others add up. */
const greatest: ReadonlySet<string> = new Set(
  metricCatalogue.filter(({ merge }) => merge === 'greatest').map(({ name }) => name),
)

/** Characters of an attribute at most: a label may come from anywhere, and be of any length. */
const MAX_TEXT = 256

/** A text that every reader takes: halves of characters are none. */
const wellFormed = (text: string): string => Buffer.from(shortened(text, MAX_TEXT)).toString()

/** Collects values; those that have the same attributes become one. */
export class Points {
  readonly #metrics = new Map<string, Map<string, MetricPoint>>()

  /** A value that is not known is no value. */
  add(name: MetricName, value: number | undefined, attributes: Readonly<Record<string, string | number>> = {}): void {
    if (value === undefined || !Number.isFinite(value)) return
    const texts = Object.fromEntries(
      Object.entries(attributes).map(([attribute, of]) => [attribute, wellFormed(`${of}`)]),
    )
    const points = this.#metrics.get(name) ?? new Map<string, MetricPoint>()
    this.#metrics.set(name, points)
    const key = JSON.stringify(texts)
    const before = points.get(key)?.value
    const sum = greatest.has(name) ? Math.max(before ?? value, value) : (before ?? 0) + value
    points.set(key, { attributes: texts, value: sum })
  }

  /** The metrics that have values, in the order of the catalogue. */
  metrics(): Metric[] {
    return metricCatalogue.flatMap((definition) => {
      const points = this.#metrics.get(definition.name)
      return points ? [{ ...definition, points: [...points.values()] }] : []
    })
  }
}
