import { string, u32, u64 } from './mix-model.mjs'

/** Those of the largest vocabularies, and as many keys as are admitted. */
export const TOKENS = 262_144
export const KEYS = 100_000

const UINT32 = 4
const STRING = 8
const ARRAY = 9

/** A file that is all header. */
export function largeHeader() {
  const parts = [Buffer.from('GGUF'), u32(3), u64(0), u64(KEYS)]
  parts.push(string('general.architecture'), u32(STRING), string('llama'))
  parts.push(string('tokenizer.ggml.tokens'), u32(ARRAY), u32(STRING), u64(TOKENS))
  for (let token = 0; token < TOKENS; token++) parts.push(string(`token${token}`))
  for (let key = 2; key < KEYS; key++) parts.push(string(`llama.key.${key}`), u32(UINT32), u32(key))
  return Buffer.concat(parts)
}
