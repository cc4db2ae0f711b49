/** How all pages write sizes and times: those that the package makes, and those that a browser draws. */

const UNITS = ['KiB', 'MiB', 'GiB', 'TiB']

/** A size as `formatBytes` writes it, without the addon, which a browser has not; one that is taken away has a minus. */
export function sizeText(count: number): string {
  if (count < 0) return `−${sizeText(-count)}`
  if (count < 1024) return count === 1 ? '1 byte' : `${count} bytes`
  // What would round up to 1024 of one unit is written as 1 of the next.
  const reaches = (power: number) => count >= 1024 ** power * (1 - 1 / 204_800)
  const power = [4, 3, 2].find(reaches) ?? 1
  const value = count / 1024 ** power
  // Half a hundredth goes to the even one.
  const isTie = (value * 8) % 4 === 1
  return `${(isTie ? value - 0.001 : value).toFixed(2)} ${UNITS[power - 1]}`
}

/** A time as ISO 8601 has it, to the second and with a blank: of UTC, which it says, or of the place where it is read. */
export function timeText(timeMs: number, zone: 'UTC' | 'local'): string {
  const offsetMs = zone === 'UTC' ? 0 : new Date(timeMs).getTimezoneOffset() * 60_000
  const text = new Date(timeMs - offsetMs).toISOString().replace('T', ' ')
  return text.replace(/\.\d+Z$/, zone === 'UTC' ? ' UTC' : '')
}
