import type { BlackBoxReading } from '../../binding.js'
import * as native from '../addon/native.js'
import { ledgerName } from '../ledger/ledger.js'
import * as check from '../support/check.js'
import { call } from '../support/errors.js'

export type {
  BlackBoxHappening,
  BlackBoxHolder,
  BlackBoxLabel,
  BlackBoxMachine,
  BlackBoxMoment,
  BlackBoxReading,
  BlackBoxRun,
  BlackBoxVerdict,
} from '../../binding.js'

/** Which black box is read, where no path is given. */
export interface ReadBlackBoxOptions {
  /** The name in the default path. `'board'` by default. */
  name?: string
}

/**
 * Reads a black box, while it is written to or after: the runs that left something there, each with its blocks and what they
 * come to. What is damaged counts for nothing, whatever it is.
 *
 * @throws {@link IoError} where there is no such file, or it cannot be read.
 * @throws {@link InvalidArgumentError} for an unknown or unfit option.
 * @example
 * const { runs, toldIndex } = readBlackBox()
 * for (const line of runs[toldIndex ?? 0]?.words ?? []) console.log(line)
 */
export function readBlackBox(path?: string | URL, options?: ReadBlackBoxOptions): BlackBoxReading {
  const { name = 'board' } = check.options<ReadBlackBoxOptions>(options, { name: ledgerName })
  const file = path === undefined ? undefined : check.filePath('path', path)
  return call(() => native.readBlackBoxFile(file, name))
}
