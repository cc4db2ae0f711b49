/** Screenshots made small: a page has few colours, so each pixel is the number of one. */

import assert from 'node:assert/strict'
import { crc32, deflateSync, inflateSync } from 'node:zlib'

const SIGNATURE = 8
const CHANNELS = 3

/** What a PNG has in it by the names of its chunks; those of one name are one. */
function chunksOf(png) {
  const chunks = {}
  for (let at = SIGNATURE; at < png.length; ) {
    const length = png.readUInt32BE(at)
    const name = png.toString('latin1', at + 4, at + 8)
    const content = png.subarray(at + 8, at + 8 + length)
    chunks[name] = chunks[name] ? Buffer.concat([chunks[name], content]) : content
    at += length + 12
  }
  return chunks
}

function chunk(name, content) {
  const body = Buffer.concat([Buffer.from(name, 'latin1'), content])
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)]
  length.writeUInt32BE(content.length)
  sum.writeUInt32BE(crc32(body))
  return Buffer.concat([length, body, sum])
}

/** What a byte is a difference to, by the filter of its row. */
const predictions = [
  () => 0,
  (left) => left,
  (_, above) => above,
  (left, above) => (left + above) >> 1,
  (left, above, corner) => {
    const [toLeft, toAbove, toCorner] = [left, above, corner].map((each) => Math.abs(left + above - corner - each))
    if (toLeft <= toAbove && toLeft <= toCorner) return left
    return toAbove <= toCorner ? above : corner
  },
]

/** The pixels of rows with their filters. */
function pixelsOf(rows, width, height) {
  const stride = width * CHANNELS
  const pixels = Buffer.alloc(stride * height)
  for (let row = 0; row < height; row++) {
    const predict = predictions[rows[row * (stride + 1)]]
    for (let column = 0; column < stride; column++) {
      const at = row * stride + column
      const left = column < CHANNELS ? 0 : pixels[at - CHANNELS]
      const above = row === 0 ? 0 : pixels[at - stride]
      const corner = row === 0 || column < CHANNELS ? 0 : pixels[at - stride - CHANNELS]
      pixels[at] = rows[row * (stride + 1) + 1 + column] + predict(left, above, corner)
    }
  }
  return pixels
}

/** At most 256 colours, those that are there most, and the number of one for each colour: its own, or that of the nearest. */
function paletteOf(colours) {
  const counts = new Map()
  for (const colour of colours) counts.set(colour, (counts.get(colour) ?? 0) + 1)
  const sorted = [...counts.keys()].sort((one, other) => counts.get(other) - counts.get(one))
  const palette = sorted.slice(0, 256)
  const numbers = new Map(palette.map((colour, number) => [colour, number]))
  const channels = (colour) => [colour >> 16, (colour >> 8) & 0xff, colour & 0xff]
  for (const colour of sorted.slice(256)) {
    const own = channels(colour)
    const far = palette.map((each) => channels(each).reduce((sum, value, at) => sum + (value - own[at]) ** 2, 0))
    numbers.set(colour, far.indexOf(Math.min(...far)))
  }
  return { palette, numbers }
}

/** A screenshot without transparency, as a PNG with a palette. */
export function small(png) {
  const { IHDR: head, IDAT: content } = chunksOf(png)
  const [width, height] = [head.readUInt32BE(0), head.readUInt32BE(4)]
  assert.deepEqual([...head.subarray(8)], [8, 2, 0, 0, 0], 'expected eight bits of three colours, and no interlacing')
  const pixels = pixelsOf(inflateSync(content), width, height)
  const colours = Array.from({ length: width * height }, (_, at) => pixels.readUIntBE(at * CHANNELS, CHANNELS))
  const { palette, numbers } = paletteOf(colours)
  const rows = Buffer.alloc((width + 1) * height)
  for (const [at, colour] of colours.entries()) rows[at + Math.floor(at / width) + 1] = numbers.get(colour)
  const shown = Buffer.alloc(palette.length * CHANNELS)
  for (const [number, colour] of palette.entries()) shown.writeUIntBE(colour, number * CHANNELS, CHANNELS)
  const kind = Buffer.from(head)
  kind[9] = 3
  const parts = [chunk('IHDR', kind), chunk('PLTE', shown), chunk('IDAT', deflateSync(rows, { level: 9 }))]
  return Buffer.concat([png.subarray(0, SIGNATURE), ...parts, chunk('IEND', Buffer.alloc(0))])
}
