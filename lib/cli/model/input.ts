import { type GgufFile, IoError } from '../../index.js'
import { InputError } from '../failure.js'

/** Opens the file of a command; one that cannot be opened is broken input. */
export function openInput(open: () => GgufFile): GgufFile {
  try {
    return open()
  } catch (error) {
    throw error instanceof IoError ? new InputError(error) : error
  }
}
