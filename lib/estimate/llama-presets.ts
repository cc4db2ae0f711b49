import { words } from './llama-table.js'

const qwen = '-ub 1024 -b 1024 -c 0'
const gptOss = '-ub 2048 -b 32768 -np 2 -c 262144'
const smallEncoder = '-c 512 --pooling none --embedding'

/**
 * Arguments that stand for others: each fetches a model and says how it is run. One of a version that has it no more is
 * understood as that version did.
 */
const presets: Readonly<Record<string, string>> = {
  '--embd-gemma-default': '-hf ggml-org/embeddinggemma-300M-qat-q4_0-GGUF -ub 2048 -b 2048 -np 32 -c 65536 --embedding',
  '--embd-bge-small-en-default': `-hf ggml-org/bge-small-en-v1.5-Q8_0-GGUF ${smallEncoder}`,
  '--embd-e5-small-en-default': `-hf ggml-org/e5-small-v2-Q8_0-GGUF ${smallEncoder}`,
  '--embd-gte-small-default': `-hf ggml-org/gte-small-Q8_0-GGUF ${smallEncoder}`,
  '--fim-qwen-1.5b-default': `-hf ggml-org/Qwen2.5-Coder-1.5B-Q8_0-GGUF ${qwen}`,
  '--fim-qwen-3b-default': `-hf ggml-org/Qwen2.5-Coder-3B-Q8_0-GGUF ${qwen}`,
  '--fim-qwen-7b-default': `-hf ggml-org/Qwen2.5-Coder-7B-Q8_0-GGUF ${qwen}`,
  '--fim-qwen-7b-spec': `-hf ggml-org/Qwen2.5-Coder-7B-Q8_0-GGUF -hfd ggml-org/Qwen2.5-Coder-0.5B-Q8_0-GGUF ${qwen}`,
  '--fim-qwen-14b-spec': `-hf ggml-org/Qwen2.5-Coder-14B-Q8_0-GGUF -hfd ggml-org/Qwen2.5-Coder-0.5B-Q8_0-GGUF ${qwen}`,
  '--fim-qwen-30b-default': `-hf ggml-org/Qwen3-Coder-30B-A3B-Instruct-Q8_0-GGUF ${qwen}`,
  '--gpt-oss-20b-default': `-hf ggml-org/gpt-oss-20b-GGUF ${gptOss}`,
  '--gpt-oss-120b-default': `-hf ggml-org/gpt-oss-120b-GGUF ${gptOss}`,
  '--vision-gemma-4b-default': '-hf ggml-org/gemma-3-4b-it-qat-GGUF -c 0',
  '--vision-gemma-12b-default': '-hf ggml-org/gemma-3-12b-it-qat-GGUF -c 0',
  '--tts-oute-default': '-hf OuteAI/OuteTTS-0.2-500M-GGUF -hfv ggml-org/WavTokenizer',
  '--spec-default': '--spec-type ngram-mod',
}

/** What an argument stands for, word by word. */
export const standsFor: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries(presets).map(([name, text]) => [name, words(text)]),
)
