import type { Token } from 'node-llama-cpp'

/** What stands at the end of a text whose last character is not whole. */
const REPLACEMENT = '\ufffd'

/** Bytes of a character at most, and so tokens that it may come in. */
const MOST_TOKENS = 4

/** As many tokens before a text as bear on how it begins, such as by a space. */
const BEFORE = 8

/** A piece of text, and how many tokens it was. */
export interface Piece {
  text: string
  tokenCount: number
}

/**
 * The text of tokens, in pieces of whole characters: a character may come in several tokens, and none of them alone is text.
 *
 * @param detokenize - the text of tokens that stand behind others
 */
export async function* pieces(
  tokens: AsyncIterable<Token>,
  detokenize: (tokens: readonly Token[], before: readonly Token[]) => string,
): AsyncGenerator<Piece> {
  let before: Token[] = []
  let held: Token[] = []
  for await (const token of tokens) {
    held.push(token)
    const text = detokenize(held, before)
    if (text.endsWith(REPLACEMENT) && held.length < MOST_TOKENS) continue
    yield { text, tokenCount: held.length }
    before = [...before, ...held].slice(-BEFORE)
    held = []
  }
  if (held.length > 0) yield { text: detokenize(held, before), tokenCount: held.length }
}
