const PAGE_BYTES = 4096

/** Keeps the compiler from dropping the loop. */
let sum = 0

/**
 * The least that a consumer can do: one byte of every page.
 *
 * @param {{ length: number, [index: number]: number, BYTES_PER_ELEMENT: number }} data
 */
function touch(data) {
  const step = PAGE_BYTES / data.BYTES_PER_ELEMENT
  for (let i = 0; i < data.length; i += step) sum += data[i]
  return sum
}

module.exports = { touch }
