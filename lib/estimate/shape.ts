import type { NativeShape } from '../addon/native.js'
import * as check from '../support/check.js'
import { invalidArgument } from '../support/errors.js'

/** The dimensions of a decoder. */
export interface ModelShape {
  /** The model family, as a GGUF file would name it. `'llama'` by default. */
  architecture?: string
  /** Layers. */
  layers: number
  /** The width of a token between layers. */
  embedding: number
  /** Heads of the queries. */
  heads: number
  /** Heads of keys and values. As many as `heads` by default. */
  kvHeads?: number
  /** Elements of a head. `embedding / heads` by default. */
  headWidth?: number
  /** The width of a feed-forward network, or of an expert. */
  feedForward: number
  /** Tokens that it knows. */
  vocabulary: number
  /** Tokens of the context that it was trained with. 4096 by default. */
  contextLength?: number
  /** Experts of a layer. 0 by default. */
  experts?: number
  /** Experts that a token passes. 0 by default. */
  expertsUsed?: number
  /** Tokens of a window, for a family that has layers with one. */
  window?: number
  /** Whether the token embeddings serve as the output matrix. `false` by default. */
  tied?: boolean
}

const dimension = (name: string, value: unknown) => check.integer(name, value, 1, 2 ** 32 - 1)
const dimensionOrNone = (name: string, value: unknown) => check.integer(name, value, 0, 2 ** 32 - 1)

const checks = {
  architecture: (name: string, value: unknown) => {
    const text = check.string(name, value)
    if (/^[a-z0-9_.-]{1,64}$/.test(text)) return text
    throw invalidArgument(name, 'the name of a model family, in small letters', `"${text.slice(0, 64)}"`)
  },
  layers: dimension,
  embedding: dimension,
  heads: dimension,
  kvHeads: dimension,
  headWidth: dimension,
  feedForward: dimension,
  vocabulary: dimension,
  contextLength: dimension,
  experts: dimensionOrNone,
  expertsUsed: dimensionOrNone,
  window: dimension,
  tied: check.boolean,
} as const

const required = ['layers', 'embedding', 'heads', 'feedForward', 'vocabulary'] as const

/** The dimensions, checked, as the addon wants them. */
export function nativeShape(shape: ModelShape): NativeShape {
  const checked = check.options<ModelShape>(shape, checks, 'shape')
  for (const name of required) {
    if (checked[name] === undefined) throw invalidArgument(`shape.${name}`, 'a whole number', 'nothing')
  }
  const { heads, embedding } = checked
  const share = Math.floor(embedding / heads)
  if (checked.headWidth === undefined && share === 0) {
    throw invalidArgument('shape.heads', `at most embedding = ${embedding}`, String(heads))
  }
  return check.own({
    architecture: 'llama',
    kvHeads: heads,
    headWidth: share,
    contextLength: 4096,
    experts: 0,
    expertsUsed: 0,
    tied: false,
    ...checked,
  })
}
