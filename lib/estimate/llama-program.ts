import { invalidArgument, quoted } from '../support/errors.js'
import type { NotUnderstood } from './llama-parsing.js'
import { words } from './llama-table.js'

/** The programs that an estimate tells apart: the server, the chat that is a server within, and all others. */
export type LlamaRuntime = 'llama-server' | 'llama-cli' | 'llama.cpp'

/** The program of a command line. */
export interface Program {
  readonly name: string
  readonly runtime: LlamaRuntime
  /** Whether it has slots, a cache of prompts and checkpoints. */
  readonly hasServer: boolean
  /** Whether it makes embeddings without being told. */
  readonly isEmbedding: boolean
  /** Whether it is one of llama.cpp's. */
  readonly isKnown: boolean
  readonly notUnderstood: readonly NotUnderstood[]
}

const UNKNOWN = 'no known program of llama.cpp: read as llama-server, which takes most memory'

/** Those that take the common arguments and nothing from them but what they say. */
const plain = words('llama-completion')

/** Those that take the common arguments, and settle some of them by themselves. */
const others = words(`
  llama-batched llama-batched-bench llama-cvector-generator llama-debug llama-diffusion-cli llama-embedding
  llama-eval-callback llama-finetune llama-fit-params llama-imatrix llama-lookahead llama-lookup llama-lookup-create
  llama-lookup-stats llama-mtmd-cli llama-parallel llama-passkey llama-perplexity llama-results llama-retrieval
  llama-save-load-state llama-speculative llama-speculative-simple llama-tts
`)

/** Those whose arguments mean something else. */
const strangers = words(`
  llama-bench llama-export-lora llama-gguf llama-gguf-hash llama-gguf-split llama-lookup-merge llama-quantize llama-run
  llama-simple llama-simple-chat llama-tokenize rpc-server
`)

/** The program that a command line begins with, and the arguments behind it. */
export function programOf(argv: readonly string[]): { program: Program; rest: readonly string[] } {
  const [path, ...rest] = argv
  if (path === undefined || path === '') {
    throw invalidArgument('argv', 'a program and its arguments', path === undefined ? 'no words' : quoted(path))
  }
  const name = path.slice(path.lastIndexOf('/') + 1)
  const [verb = ''] = rest
  // `llama serve` is llama-server, and `llama cli` is llama-cli.
  if (name === 'llama' && /^[a-z-]+$/.test(verb) && !verb.startsWith('-')) {
    return { program: named(verb === 'serve' ? 'llama-server' : `llama-${verb}`), rest: rest.slice(1) }
  }
  return { program: named(name), rest }
}

/** The error that this is no program whose arguments are read. */
export const noProgram = (name: string) =>
  invalidArgument(
    'the program',
    "llama-server, llama-cli or another program with llama.cpp's common arguments",
    quoted(name),
  )

function named(name: string): Program {
  if (strangers.includes(name)) throw noProgram(name)
  if (name === 'llama-cli') return program(name, 'llama-cli')
  if (name === 'llama-server') return program(name, 'llama-server')
  if (plain.includes(name)) return program(name, 'llama.cpp')
  if (others.includes(name)) {
    return program(name, 'llama.cpp', 'settles slots, batches or its context by itself: read by its arguments alone')
  }
  return { ...program(name, 'llama-server', UNKNOWN), isKnown: false }
}

const program = (name: string, runtime: LlamaRuntime, reason?: string): Program => ({
  name,
  runtime,
  hasServer: runtime !== 'llama.cpp',
  isEmbedding: name === 'llama-embedding',
  isKnown: true,
  notUnderstood: reason === undefined ? [] : [{ argument: name, reason }],
})
