import { GgufArray, GgufFile } from 'plimsoll'
import { gguf, type Value } from './gguf-writer'

/** A file of these metadata alone. */
export const withMetadata = (metadata: Record<string, Value>): GgufFile => GgufFile.fromBytes(gguf({ metadata }))

/** The array under a key of the metadata. */
export const arrayOf = (model: GgufFile, key: string): GgufArray => {
  const value = model.metadata.get(key)
  expect(value).toBeInstanceOf(GgufArray)
  return value as GgufArray
}
