/**
 * One figure beside its peer's.
 *
 * @typedef {object} Result
 * @property {string} name what was measured
 * @property {string} unit the unit of both values, such as `ms` or `MiB/s`
 * @property {number} value this package's
 * @property {{ name: string, value: number }} [peer] the peer's, taken in the same run
 * @property {number} [ratio] how many times better than the peer, or another ratio the name speaks of; where runs were
 *   paired, the median of the pairs' ratios
 * @property {number} [processorRatio] the same ratio by time of the processors
 * @property {number} [difference] how much more than the peer, where that is aimed at
 * @property {Target} [target] what is aimed at; a figure without one is there to inform
 *
 * @typedef {object} Target
 * @property {'value' | 'ratio' | 'processorRatio' | 'difference'} of
 * @property {'atLeast' | 'atMost' | 'below'} is
 * @property {number} bound
 */

const TESTS = {
  atLeast: (figure, bound) => figure >= bound,
  atMost: (figure, bound) => figure <= bound,
  below: (figure, bound) => figure < bound,
}

/**
 * Whether the figure meets its target; `undefined` where there is none.
 *
 * @param {Result} result
 * @returns {boolean | undefined}
 */
export function isMet(result) {
  if (result.target === undefined) return undefined
  const { of, is, bound } = result.target
  return TESTS[is](result[of], bound)
}
