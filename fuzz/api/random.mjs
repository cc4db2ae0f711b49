/** Numbers that look random and are the same for the same seed (Mulberry32 by Tommy Ettinger, public domain). */
export class Random {
  #state

  /** @param {number} seed any whole number; its low 32 bits count */
  constructor(seed) {
    this.#state = seed >>> 0
  }

  /** A whole number from 0 to 2^32 - 1. */
  next() {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let word = this.#state
    word = Math.imul(word ^ (word >>> 15), word | 1)
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61)
    return (word ^ (word >>> 14)) >>> 0
  }

  /** A whole number from 0 to below `count`. */
  below(count) {
    return Math.floor((this.next() / 2 ** 32) * count)
  }

  /** A whole number from `least` to `most`. */
  between(least, most) {
    return least + this.below(most - least + 1)
  }

  /** True in that share of cases, 0 to 1. */
  chance(share) {
    return this.next() / 2 ** 32 < share
  }

  /** One of them; `undefined` of none. */
  pick(list) {
    return list[this.below(list.length)]
  }
}
