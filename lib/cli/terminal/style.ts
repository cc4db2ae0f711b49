import { styleText } from 'node:util'

export type Style = 'bold' | 'dim' | 'red' | 'yellow' | 'green'

/** Colours a text, or leaves it as it is. */
export type Paint = (style: Style, text: string) => string

const plain: Paint = (_, text) => text

// The stream was asked before, so the text must not be checked against another one.
const coloured: Paint = (style, text) => styleText(style, text, { validateStream: false })

/**
 * Colours for a terminal that has them and whose user has not set `NO_COLOR`; plain text for anything else. A terminal
 * answers for `NO_COLOR` and `TERM=dumb` itself, see `tty.WriteStream.hasColors`.
 */
export const paintFor = (stream: NodeJS.WriteStream): Paint => (stream.isTTY && stream.hasColors() ? coloured : plain)
