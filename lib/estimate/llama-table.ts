import { own } from '../support/check.js'

/**
 * The arguments of llama.cpp that bear on memory, as of its version 0.6.0 (`common/arg.cpp`), with those of its builds of the
 * year before that it has dropped since. `llama-ignored.ts` has the others.
 */

/** What an understood argument sets. Of arguments that set the same, the last one counts. */
export type Setting =
  | 'batch'
  | 'cacheRam'
  | 'checkpoints'
  | 'context'
  | 'contextOfSlot'
  | 'device'
  | 'directIo'
  | 'draftContext'
  | 'draftMax'
  | 'draftModel'
  | 'embedding'
  | 'flashAttention'
  | 'gpuLayers'
  | 'draftKvTypeK'
  | 'draftKvTypeV'
  | 'draftGpuLayers'
  | 'cpuMoe'
  | 'cpuMoeLayers'
  | 'kvTypeK'
  | 'kvTypeV'
  | 'loadMode'
  | 'lora'
  | 'loraScaled'
  | 'mmproj'
  | 'model'
  | 'ngramMax'
  | 'ngramSize'
  | 'otherModel'
  | 'parallel'
  | 'pooling'
  | 'repack'
  | 'reranking'
  | 'specType'
  | 'swaFull'
  | 'tensors'
  | 'ubatch'
  | 'unifiedKv'

/**
 * What follows an argument: nothing; nothing, where other names turn it off; a number as C++'s `stoi` reads it; a text; or
 * one of three words that older versions did without.
 */
export type Takes = 'nothing' | 'switch' | 'integer' | 'text' | 'onOffAuto'

export interface Row {
  /** What it sets. One without has a `reason`. */
  readonly setting?: Setting
  /** Its spellings, between spaces. */
  readonly names: string
  /** The spellings that turn a switch off. */
  readonly negatives?: string
  readonly takes: Takes
  /** Its variables of the environment, the one of the newest version first. */
  readonly variables?: string
  /** Each one counts, not the last alone. */
  readonly adds?: true
  /** What a switch that is on or off stands for, where that is another argument's value. */
  readonly on?: string
  readonly off?: string
  /** Why an estimate does not follow it. */
  readonly reason?: string
  /** Values with which it changes nothing of what is estimated, between spaces. */
  readonly harmless?: string
  /** Values that an estimate follows, between spaces. */
  readonly followed?: string
}

const placement = 'tensors that are placed one by one: an estimate places whole layers'

/** Why an estimate does not follow tensors that are placed elsewhere than with the CPU. */
export const placedElsewhere =
  'tensors that are placed one by one elsewhere than on the CPU: an estimate places whole layers there'

const draftPlacement = 'where the draft model lies is not estimated'
const severalGpus = 'several GPUs: an estimate knows one'
const fitting = 'llama.cpp may lower the context and the layers on the GPU by what is free when it starts'
const projector = 'what the projector computes with depends on it'
const router = 'starts a server of its own for each model, when it is asked for'
const download = 'downloads the model: give the path of its file with -m instead'

/** Each argument that is understood, by what it sets. */
const understood: readonly Row[] = [
  { setting: 'model', names: '-m --model', takes: 'text', variables: 'LLAMA_ARG_MODEL' },
  { setting: 'context', names: '-c --ctx-size', takes: 'integer', variables: 'LLAMA_ARG_CTX_SIZE' },
  {
    setting: 'contextOfSlot',
    names: '--kv-unified-per-slot',
    takes: 'integer',
    variables: 'LLAMA_ARG_KV_UNIFIED_PER_SLOT',
  },
  { setting: 'parallel', names: '-np --parallel', takes: 'integer', variables: 'LLAMA_ARG_N_PARALLEL' },
  {
    setting: 'unifiedKv',
    names: '-kvu --kv-unified',
    negatives: '-no-kvu --no-kv-unified',
    takes: 'switch',
    variables: 'LLAMA_ARG_KV_UNIFIED LLAMA_ARG_KV_SPLIT',
  },
  { setting: 'batch', names: '-b --batch-size', takes: 'integer', variables: 'LLAMA_ARG_BATCH' },
  { setting: 'ubatch', names: '-ub --ubatch-size', takes: 'integer', variables: 'LLAMA_ARG_UBATCH' },
  { setting: 'kvTypeK', names: '-ctk --cache-type-k', takes: 'text', variables: 'LLAMA_ARG_CACHE_TYPE_K' },
  { setting: 'kvTypeV', names: '-ctv --cache-type-v', takes: 'text', variables: 'LLAMA_ARG_CACHE_TYPE_V' },
  { setting: 'flashAttention', names: '-fa --flash-attn', takes: 'onOffAuto', variables: 'LLAMA_ARG_FLASH_ATTN' },
  { setting: 'swaFull', names: '--swa-full', takes: 'nothing', variables: 'LLAMA_ARG_SWA_FULL' },
  {
    setting: 'gpuLayers',
    names: '-ngl --gpu-layers --n-gpu-layers',
    takes: 'text',
    variables: 'LLAMA_ARG_N_GPU_LAYERS',
  },
  {
    setting: 'draftKvTypeK',
    names: '-ctkd --cache-type-k-draft --spec-draft-type-k',
    takes: 'text',
    variables: 'LLAMA_ARG_SPEC_DRAFT_CACHE_TYPE_K LLAMA_ARG_CACHE_TYPE_K_DRAFT',
  },
  {
    setting: 'draftKvTypeV',
    names: '-ctvd --cache-type-v-draft --spec-draft-type-v',
    takes: 'text',
    variables: 'LLAMA_ARG_SPEC_DRAFT_CACHE_TYPE_V LLAMA_ARG_CACHE_TYPE_V_DRAFT',
  },
  {
    setting: 'draftGpuLayers',
    names: '-ngld --gpu-layers-draft --n-gpu-layers-draft --spec-draft-ngl',
    takes: 'text',
    variables: 'LLAMA_ARG_N_GPU_LAYERS_DRAFT',
  },
  { setting: 'cpuMoe', names: '-cmoe --cpu-moe', takes: 'nothing', variables: 'LLAMA_ARG_CPU_MOE' },
  {
    setting: 'tensors',
    names: '-ot --override-tensor',
    takes: 'text',
    variables: 'LLAMA_ARG_OVERRIDE_TENSOR',
    adds: true,
  },
  { setting: 'cpuMoeLayers', names: '-ncmoe --n-cpu-moe', takes: 'integer', variables: 'LLAMA_ARG_N_CPU_MOE' },
  {
    setting: 'loadMode',
    names: '--mmap',
    negatives: '--no-mmap',
    takes: 'switch',
    variables: 'LLAMA_ARG_MMAP',
    on: 'mmap',
    off: 'none',
  },
  { setting: 'loadMode', names: '-lm --load-mode', takes: 'text', variables: 'LLAMA_ARG_LOAD_MODE' },
  {
    setting: 'directIo',
    names: '-dio --direct-io',
    negatives: '-ndio --no-direct-io',
    takes: 'switch',
    variables: 'LLAMA_ARG_DIO',
  },
  {
    setting: 'repack',
    names: '--repack',
    negatives: '-nr --no-repack',
    takes: 'switch',
    variables: 'LLAMA_ARG_REPACK',
  },
  { setting: 'mmproj', names: '-mm --mmproj', takes: 'text', variables: 'LLAMA_ARG_MMPROJ' },
  {
    setting: 'draftModel',
    names: '-md --model-draft --spec-draft-model',
    takes: 'text',
    variables: 'LLAMA_ARG_SPEC_DRAFT_MODEL LLAMA_ARG_MODEL_DRAFT',
  },
  {
    setting: 'draftContext',
    names: '-cd --ctx-size-draft',
    takes: 'integer',
    variables: 'LLAMA_ARG_CTX_SIZE_DRAFT',
  },
  {
    setting: 'draftMax',
    names: '--spec-draft-n-max --draft --draft-n --draft-max',
    takes: 'integer',
    variables: 'LLAMA_ARG_SPEC_DRAFT_N_MAX LLAMA_ARG_DRAFT_MAX',
  },
  { setting: 'ngramMax', names: '--spec-ngram-mod-n-max', takes: 'integer' },
  {
    setting: 'ngramSize',
    names: '--spec-ngram-simple-size-m --spec-ngram-map-k-size-m --spec-ngram-map-k4v-size-m --spec-ngram-size-m',
    takes: 'integer',
    adds: true,
  },
  { setting: 'lora', names: '--lora', takes: 'text', adds: true },
  { setting: 'loraScaled', names: '--lora-scaled', takes: 'text', adds: true },
  { setting: 'cacheRam', names: '-cram --cache-ram', takes: 'integer', variables: 'LLAMA_ARG_CACHE_RAM' },
  {
    setting: 'checkpoints',
    names: '-ctxcp --ctx-checkpoints --swa-checkpoints',
    takes: 'integer',
    variables: 'LLAMA_ARG_CTX_CHECKPOINTS LLAMA_ARG_SWA_CHECKPOINTS',
  },
  { setting: 'embedding', names: '--embedding --embeddings', takes: 'nothing', variables: 'LLAMA_ARG_EMBEDDINGS' },
  { setting: 'reranking', names: '--rerank --reranking', takes: 'nothing', variables: 'LLAMA_ARG_RERANKING' },
  { setting: 'pooling', names: '--pooling', takes: 'text', variables: 'LLAMA_ARG_POOLING' },
]

/** Each argument that bears on memory, or may, and that no estimate follows. */
const named: readonly Row[] = [
  {
    setting: 'otherModel',
    names: '-hf -hfr --hf-repo',
    takes: 'text',
    variables: 'LLAMA_ARG_HF_REPO',
    reason: `${download}, and a projector with --mmproj`,
  },
  {
    setting: 'otherModel',
    names: '-dr --docker-repo',
    takes: 'text',
    variables: 'LLAMA_ARG_DOCKER_REPO',
    reason: download,
  },
  { names: '-mu --model-url', takes: 'text', variables: 'LLAMA_ARG_MODEL_URL', reason: download },
  {
    names: '-hfd -hfrd --hf-repo-draft --spec-draft-hf',
    takes: 'text',
    variables: 'LLAMA_ARG_SPEC_DRAFT_HF_REPO LLAMA_ARG_HFD_REPO',
    reason: 'downloads the draft model: give the path of its file with -md instead',
  },
  {
    names: '-mmu --mmproj-url',
    takes: 'text',
    variables: 'LLAMA_ARG_MMPROJ_URL',
    reason: 'downloads the projector: give the path of its file with --mmproj instead',
  },
  { names: '-mv --model-vocoder', takes: 'text', reason: 'a vocoder is not estimated' },
  {
    names: '-hfv -hfrv --hf-repo-v',
    takes: 'text',
    variables: 'LLAMA_ARG_HF_REPO_V',
    reason: 'a vocoder is not estimated',
  },
  { names: '--server-base', takes: 'text', reason: 'the model is loaded by the server that this connects to' },
  { names: '--models-dir', takes: 'text', variables: 'LLAMA_ARG_MODELS_DIR', reason: router },
  { names: '--models-preset', takes: 'text', variables: 'LLAMA_ARG_MODELS_PRESET', reason: router },
  { names: '--models-max', takes: 'integer', variables: 'LLAMA_ARG_MODELS_MAX', reason: router },
  {
    names: '-ncffn --n-cpu-ffn',
    takes: 'integer',
    variables: 'LLAMA_ARG_N_CPU_FFN',
    reason: placement,
    harmless: '0',
  },
  {
    setting: 'device',
    names: '-dev --device',
    takes: 'text',
    variables: 'LLAMA_ARG_DEVICE',
    reason: severalGpus,
    harmless: 'none',
  },
  {
    names: '-sm --split-mode',
    takes: 'text',
    variables: 'LLAMA_ARG_SPLIT_MODE',
    reason: severalGpus,
    harmless: 'layer none',
  },
  { names: '-ts --tensor-split', takes: 'text', variables: 'LLAMA_ARG_TENSOR_SPLIT', reason: severalGpus },
  { names: '-mg --main-gpu', takes: 'integer', variables: 'LLAMA_ARG_MAIN_GPU', reason: severalGpus, harmless: '0' },
  { names: '--rpc', takes: 'text', variables: 'LLAMA_ARG_RPC', reason: 'layers lie on other machines' },
  {
    names: '-kvo --kv-offload',
    negatives: '-nkvo --no-kv-offload',
    takes: 'switch',
    variables: 'LLAMA_ARG_KV_OFFLOAD',
    reason: "the cache of layers on the GPU stays in the system's memory",
    harmless: 'on',
  },
  {
    names: '--op-offload',
    negatives: '--no-op-offload',
    takes: 'switch',
    reason: 'layers of the CPU compute nothing on the GPU, whose buffers are smaller',
    harmless: 'on',
  },
  {
    names: '--no-host',
    takes: 'nothing',
    variables: 'LLAMA_ARG_NO_HOST',
    reason: 'layers of the CPU lie in its own buffers, where they may be repacked',
  },
  {
    names: '-fit --fit',
    takes: 'text',
    variables: 'LLAMA_ARG_FIT',
    reason: fitting,
    harmless: 'off disabled false 0',
  },
  { names: '-fitt --fit-target', takes: 'text', variables: 'LLAMA_ARG_FIT_TARGET', reason: fitting },
  { names: '-fitc --fit-ctx', takes: 'integer', variables: 'LLAMA_ARG_FIT_CTX', reason: fitting },
  {
    names: '-lzm --lazy-mode',
    takes: 'text',
    variables: 'LLAMA_ARG_LAZY_MODE',
    reason: 'rows of some tensors are read when they are wanted, and do not stay',
    harmless: 'auto off',
  },
  { names: '--override-kv', takes: 'text', adds: true, reason: "replaces what the model's file says of the model" },
  { names: '--attention', takes: 'text', reason: 'attention of another kind than the model has', harmless: 'causal' },
  { names: '--control-vector', takes: 'text', adds: true, reason: 'control vectors are not estimated' },
  { names: '--control-vector-scaled', takes: 'text', adds: true, reason: 'control vectors are not estimated' },
  {
    names: '-bs --backend-sampling',
    takes: 'nothing',
    variables: 'LLAMA_ARG_BACKEND_SAMPLING',
    reason: 'what samples beside the model has buffers of its own',
  },
  {
    names: '--mmproj-offload',
    negatives: '--no-mmproj-offload',
    takes: 'switch',
    variables: 'LLAMA_ARG_MMPROJ_OFFLOAD',
    reason: 'where the projector lies is not estimated',
    harmless: 'on',
  },
  {
    names: '-mmdev --mmproj-device',
    takes: 'text',
    variables: 'MTMD_BACKEND_DEVICE',
    reason: 'where the projector lies is not estimated',
  },
  { names: '--image-min-tokens', takes: 'integer', variables: 'LLAMA_ARG_IMAGE_MIN_TOKENS', reason: projector },
  { names: '--image-max-tokens', takes: 'integer', variables: 'LLAMA_ARG_IMAGE_MAX_TOKENS', reason: projector },
  {
    names: '--mtmd-batch-max-tokens',
    takes: 'integer',
    variables: 'LLAMA_ARG_MTMD_BATCH_MAX_TOKENS',
    reason: projector,
  },
  {
    setting: 'specType',
    names: '--spec-type',
    takes: 'text',
    variables: 'LLAMA_ARG_SPEC_TYPE',
    adds: true,
    reason: 'what it keeps is not estimated: a context of its own, tables of n-grams, or more recurrent state',
    harmless: 'none draft-simple',
    followed: 'draft-mtp',
  },
  { setting: 'specType', names: '--mtp', takes: 'nothing', adds: true, on: 'draft-mtp' },
  { names: '--nextn', takes: 'nothing', reason: 'loads blocks that predict further tokens, which nothing here counts' },
  { names: '-lcs --lookup-cache-static', takes: 'text', reason: 'the n-grams of its file are held in memory' },
  { names: '-lcd --lookup-cache-dynamic', takes: 'text', reason: 'the n-grams of its file are held in memory' },
  { names: '-devd --device-draft --spec-draft-device', takes: 'text', reason: draftPlacement },
  {
    names: '-otd --override-tensor-draft --spec-draft-override-tensor',
    takes: 'text',
    adds: true,
    reason: draftPlacement,
  },
  {
    names: '-cmoed --cpu-moe-draft --spec-draft-cpu-moe',
    takes: 'nothing',
    variables: 'LLAMA_ARG_SPEC_DRAFT_CPU_MOE LLAMA_ARG_CPU_MOE_DRAFT',
    reason: draftPlacement,
  },
  {
    names: '-ncmoed --n-cpu-moe-draft --spec-draft-n-cpu-moe --spec-draft-ncmoe',
    takes: 'integer',
    variables: 'LLAMA_ARG_SPEC_DRAFT_N_CPU_MOE LLAMA_ARG_N_CPU_MOE_DRAFT',
    reason: draftPlacement,
    harmless: '0',
  },
]

/** The words of a text between spaces. */
export const words = (text: string | undefined): readonly string[] => text?.split(/\s+/).filter(Boolean) ?? []

/** Every argument that bears on memory, in the order in which their variables are read. */
export const rows: readonly Row[] = [...understood, ...named].map(own)

/** What a name stands for, and whether it is one that turns a switch off. */
export interface Named {
  readonly row: Row
  readonly isOff: boolean
}

/** The rows by each of their names. */
export const byName: ReadonlyMap<string, Named> = new Map<string, Named>(
  rows.flatMap((row) => [
    ...words(row.names).map((name) => [name, { row, isOff: false }] as const),
    ...words(row.negatives).map((name) => [name, { row, isOff: true }] as const),
  ]),
)
