// Loads the package and does nothing with it.

import 'plimsoll'
import { reportPeak } from './report-peak.mjs'

reportPeak()
