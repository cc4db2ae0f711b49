/** A text, or parts of one, as OpenAI's interface has it. */
export type Content = string | readonly { type: 'text'; text: string }[]

/** What a request may say. Anything else in it is left alone, as OpenAI's clients send more than any server knows. */
export interface Body {
  model?: string | null
  prompt?: string
  messages?: readonly { role: 'system' | 'developer' | 'user' | 'assistant'; content: Content }[]
  max_tokens?: number | null
  max_completion_tokens?: number | null
  temperature?: number | null
  stream?: boolean | null
}

const tokens = { type: ['integer', 'null'], minimum: 1, maximum: 2 ** 31 - 1 }

const common = {
  model: { type: ['string', 'null'] },
  max_tokens: tokens,
  max_completion_tokens: tokens,
  temperature: { type: ['number', 'null'], minimum: 0, maximum: 2 },
  stream: { type: ['boolean', 'null'] },
  // One answer to each request.
  n: { type: ['integer', 'null'], minimum: 1, maximum: 1 },
}

const part = {
  type: 'object',
  required: ['type', 'text'],
  properties: { type: { const: 'text' }, text: { type: 'string' } },
}

const message = {
  type: 'object',
  required: ['role', 'content'],
  properties: {
    role: { enum: ['system', 'developer', 'user', 'assistant'] },
    content: { anyOf: [{ type: 'string' }, { type: 'array', minItems: 1, items: part }] },
  },
}

export const completionSchema = {
  type: 'object',
  required: ['prompt'],
  properties: { ...common, prompt: { type: 'string' } },
}

export const chatSchema = {
  type: 'object',
  required: ['messages'],
  properties: { ...common, messages: { type: 'array', minItems: 1, items: message } },
}

export const textOf = (content: Content): string =>
  typeof content === 'string' ? content : content.map(({ text }) => text).join('')
