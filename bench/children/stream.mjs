// Streams a model: node stream.mjs FILE raw|f32

import { MiB } from 'plimsoll'
import { streamFile } from '../stream-file.mjs'
import { reportPeak } from './report-peak.mjs'

const [path, as] = process.argv.slice(2)
await streamFile(path, { as, chunkBytes: MiB })
reportPeak()
