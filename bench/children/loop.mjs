// The consumer of children/stream.mjs over one buffer, a turn of the event loop for each of 1024 chunks.

import { setImmediate as turn } from 'node:timers/promises'
import { MiB } from 'plimsoll'
import { touch } from '../touch.mjs'
import { reportPeak } from './report-peak.mjs'

const CHUNKS = 1024

async function* chunks() {
  const data = new Uint8Array(MiB)
  for (let i = 0; i < CHUNKS; i++) {
    await turn()
    yield { data }
  }
}

for await (const chunk of chunks()) touch(chunk.data)
reportPeak()
