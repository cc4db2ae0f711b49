import type { LedgerOptions } from '../../index.js'
import type { Arguments } from '../arguments.js'
import type { Options } from './option.js'

/** The options that say which ledger is meant. */
export const ledgerOptions = {
  name: { type: 'string', value: 'NAME', help: 'the name of the ledger (board)' },
  directory: {
    type: 'string',
    value: 'DIR',
    help: 'the folder that it lies in (/run/plimsoll, else /dev/shm/plimsoll-UID)',
  },
  group: { type: 'string', value: 'GID', help: 'the id of a group whose members share it' },
} as const satisfies Options

/** The ledger that is meant. */
export function ledgerFrom(args: Arguments): LedgerOptions {
  const name = args.text('name')
  const directory = args.text('directory')
  const group = args.integer('group', 0, 2 ** 32 - 2)
  return {
    ...(group !== undefined && { group }),
    ...(name !== undefined && { name }),
    ...(directory !== undefined && { directory }),
  }
}
