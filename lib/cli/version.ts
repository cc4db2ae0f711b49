import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The version of the package. The command line is bundled to one CommonJS file beside the package's description. */
export function packageVersion(): string {
  const description = JSON.parse(readFileSync(join(__dirname, 'package.json'), 'utf8')) as { version: string }
  return description.version
}
