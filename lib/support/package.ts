import { dirname } from 'node:path'

/** The folder of this package. All of `lib/` is bundled into files of one folder of it, `dist/`. */
export const packageFolder = dirname(__dirname)

/** The version of this package. */
export const { version } = require('../package.json') as { version: string }
