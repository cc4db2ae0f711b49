// Reads a file as the peer does, with the package loaded but unused: node read.mjs FILE

import { MiB } from 'plimsoll'
import { readFile } from '../read-file.mjs'
import { reportPeak } from './report-peak.mjs'

await readFile(process.argv[2], MiB)
reportPeak()
