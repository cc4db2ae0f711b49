import { words } from './llama-table.js'

/**
 * The arguments of llama.cpp that bear no memory which an estimate counts: what is said to the model, how it samples,
 * what the server answers to whom. What follows each is known, so that it is not taken for an argument. From the same
 * versions as those of `llama-table.ts`.
 */

/**
 * `--mlock` changes that weights stay, and an estimate has all of them stay; `--no-mmproj` is about a projector that was
 * not asked for; how far apart checkpoints lie only makes them fewer.
 */
const alone = `
  -h --help --usage --version -cl --cache-list --completion-bash --verbose-prompt --display-prompt
  --no-display-prompt --cache-idle-slots --no-cache-idle-slots --context-shift --no-context-shift --perf --no-perf
  --show-timings --no-show-timings -e --escape --no-escape --prompt-cache-all --prompt-cache-ro -sp --special -cnv
  --conversation -no-cnv --no-conversation -st --single-turn -i --interactive -if --interactive-first -mli
  --multiline-input --in-prefix-bos --warmup --no-warmup --spm-infill --ignore-eos --hellaswag --winogrande
  --multiple-choice --kl-divergence -cb --cont-batching -nocb --no-cont-batching --mmproj-auto --no-mmproj
  --no-mmproj-auto --list-devices --check-tensors --dflash --eagle3 --process-output --ppl --no-ppl
  --show-statistics --parse-special --ids --stdin --no-bos --no-parse-special --show-count -pps -tgs --reuse-port
  --cors-credentials --no-cors-credentials --ui-mcp-proxy --webui-mcp-proxy --no-ui-mcp-proxy --no-webui-mcp-proxy
  -ag --agent -no-ag --no-agent --ui --webui --no-ui --no-webui --cache-prompt --no-cache-prompt --metrics --props
  --slots --no-slots --models-autoload --no-models-autoload --jinja --no-jinja --reasoning-preserve
  --no-reasoning-preserve --skip-chat-parsing --no-skip-chat-parsing --prefill-assistant --no-prefill-assistant
  --lora-init-without-apply --simple-io --log-disable --log-jsonl --no-log-jsonl -v --verbose --log-verbose
  --offline --log-prefix --no-log-prefix --log-timestamps --no-log-timestamps --spec-draft-backend-sampling
  --no-spec-draft-backend-sampling --diffusion-visual --check --save-logits --mlock --tts-use-guide-tokens
  --license
`

const valued = `
  -t --threads -tb --threads-batch -C --cpu-mask -Cr --cpu-range --cpu-strict --prio --poll -Cb --cpu-mask-batch
  -Crb --cpu-range-batch --cpu-strict-batch --prio-batch --poll-batch -n --predict --n-predict --keep -cms
  --checkpoint-min-step --chunks -p --prompt -sys --system-prompt -f --file -sysf --system-prompt-file --in-file
  -bf --binary-file -ptc --print-token-count --prompt-cache -r --reverse-prompt --in-prefix --in-suffix --samplers
  -s --seed --sampler-seq --sampling-seq --temp --temperature --top-k --top-p --min-p --top-nsigma --top-n-sigma
  --xtc-probability --xtc-threshold --typical --typical-p --repeat-last-n --repeat-penalty --presence-penalty
  --frequency-penalty --dry-multiplier --dry-base --dry-allowed-length --dry-penalty-last-n --dry-sequence-breaker
  --adaptive-target --adaptive-decay --dynatemp-range --dynatemp-exp --mirostat --mirostat-lr --mirostat-ent -l
  --logit-bias --grammar --grammar-file -j --json-schema -jf --json-schema-file --rope-scaling --rope-scale
  --rope-freq-base --rope-freq-scale --yarn-orig-ctx --yarn-ext-factor --yarn-attn-factor --yarn-beta-slow
  --yarn-beta-fast -gan --grp-attn-n -gaw --grp-attn-w --hellaswag-tasks --winogrande-tasks
  --multiple-choice-tasks --save-all-logits --kl-divergence-base --ppl-stride --ppl-output-type -dt --defrag-thold
  -ns --sequences --image --audio --video --video-fps --video-timestamp-interval --video-ffmpeg-dir --numa -fitp
  --fit-print -a --alias --tags -hff --hf-file -hft --hf-token --context-file --chunk-size --chunk-separator
  --junk --pos -o --output --output-file -ofreq --output-frequency --output-format --save-frequency --chunk
  --from-chunk -npp -ntg -npl --embd-normalize --embd-output-format --embd-separator --cls-separator --host --port
  --path --cors-origins --cors-methods --cors-headers --api-prefix --ui-config --webui-config --ui-config-file
  --webui-config-file --tools --tools-runtime --mcp-servers-config --mcp-servers-json --api-key --api-key-file
  --ssl-key-file --ssl-cert-file --chat-template-kwargs -to --timeout --sse-ping-interval --threads-http
  --cache-reuse --slot-save-path --media-path --reasoning-format -rea --reasoning --reasoning-effort
  --reasoning-budget --reasoning-budget-message --chat-template --chat-template-file -sps --slot-prompt-similarity
  --sleep-idle-seconds --positive-file --negative-file --pca-batch --pca-iter --method --log-file
  --log-prompts-dir --log-colors -lv --verbosity --log-verbosity --spec-draft-threads -td --threads-draft
  --spec-draft-threads-batch -tbd --threads-batch-draft --spec-draft-cpu-mask -Cd --cpu-mask-draft
  --spec-draft-cpu-range -Crd --cpu-range-draft --spec-draft-cpu-strict --cpu-strict-draft --spec-draft-prio
  --prio-draft --spec-draft-poll --poll-draft --spec-draft-cpu-mask-batch -Cbd --cpu-mask-batch-draft
  --spec-draft-cpu-range-batch -Crbd --cpu-range-batch-draft --spec-draft-cpu-strict-batch
  --cpu-strict-batch-draft --spec-draft-prio-batch --prio-batch-draft --spec-draft-poll-batch --poll-batch-draft
  --spec-draft-n-min --spec-synth-len --spec-synth-rates --spec-draft-p-split --draft-p-split --spec-draft-p-min
  --draft-p-min --spec-draft-sampling --spec-ngram-mod-n-min --spec-ngram-mod-n-match --spec-ngram-simple-size-n
  --spec-ngram-simple-min-hits --spec-ngram-map-k-size-n --spec-ngram-map-k-min-hits --spec-ngram-map-k4v-size-n
  --spec-ngram-map-k4v-min-hits --draft-min --draft-n-min --spec-ngram-size-n --spec-ngram-min-hits --tts-lang
  --tts-speaker-file --diffusion-steps --diffusion-eps --diffusion-algorithm --diffusion-alg-temp
  --diffusion-block-length --diffusion-cfg-scale --diffusion-add-gumbel-noise -lr --learning-rate -lr-min
  --learning-rate-min -decay-epochs --learning-rate-decay-epochs -wd --weight-decay -val-split --val-split -epochs
  --epochs -opt --optimizer --logits-output-dir --tensor-filter -hffv --hf-file-v -cpent
  --checkpoint-every-n-tokens
`

const variables = `
  THREADS N_PREDICT CHECKPOINT_MIN_SPACING_NT CACHE_IDLE_SLOTS CONTEXT_SHIFT PERF SHOW_TIMINGS TEMPERATURE TOP_K
  TOP_P MIN_P REPEAT_PENALTY PRESENCE_PENALTY FREQUENCY_PENALTY ROPE_SCALING_TYPE ROPE_SCALE ROPE_FREQ_BASE
  ROPE_FREQ_SCALE YARN_ORIG_CTX YARN_EXT_FACTOR YARN_ATTN_FACTOR YARN_BETA_SLOW YARN_BETA_FAST GRP_ATTN_N
  GRP_ATTN_W DEFRAG_THOLD CONT_BATCHING MMPROJ_AUTO VIDEO_FPS VIDEO_TIMESTAMP_INTERVAL VIDEO_FFMPEG_DIR NUMA
  FIT_ESTIMATE ALIAS TAGS HF_FILE HOST PORT REUSE_PORT STATIC_PATH CORS_ORIGINS CORS_METHODS CORS_HEADERS
  CORS_CREDENTIALS API_PREFIX UI_CONFIG UI_CONFIG_FILE UI_MCP_PROXY TOOLS TOOLS_RUNTIME MCP_SERVERS_CONFIG
  MCP_SERVERS_JSON AGENT UI API_KEY_FILE SSL_KEY_FILE SSL_CERT_FILE CHAT_TEMPLATE_KWARGS TIMEOUT SSE_PING_INTERVAL
  THREADS_HTTP CACHE_PROMPT CACHE_REUSE ENDPOINT_METRICS ENDPOINT_PROPS ENDPOINT_SLOTS MODELS_AUTOLOAD JINJA THINK
  REASONING REASONING_EFFORT THINK_BUDGET THINK_BUDGET_MESSAGE REASONING_PRESERVE CHAT_TEMPLATE CHAT_TEMPLATE_FILE
  SKIP_CHAT_PARSING PREFILL_ASSISTANT LOG_FILE LOG_JSONL LOG_COLORS OFFLINE LOG_VERBOSITY LOG_PREFIX
  LOG_TIMESTAMPS SPEC_DRAFT_N_MIN SPEC_SYNTH_LEN SPEC_SYNTH_RATES SPEC_DRAFT_P_SPLIT SPEC_DRAFT_P_MIN
  SPEC_DRAFT_BACKEND_SAMPLING SPEC_DRAFT_SAMPLING DRAFT_MIN MLOCK HF_FILE_V WEBUI_CONFIG WEBUI_CONFIG_FILE
  WEBUI_MCP_PROXY WEBUI CHECKPOINT_EVERY_NT DRAFT_P_SPLIT DRAFT_P_MIN
`

/** How many values follow an argument; or perhaps one of three words. */
type Values = 0 | 1 | 2 | 'onOffAuto'

/** What follows each. Older versions of `--color` had none, as of `-fa`. */
export const ignored: ReadonlyMap<string, Values> = new Map<string, Values>([
  ...words(alone).map((name) => [name, 0] as const),
  ...words(valued).map((name) => [name, 1] as const),
  ...words('--control-vector-layer-range --spec-replace').map((name) => [name, 2] as const),
  ...words('-co --color').map((name) => [name, 'onOffAuto'] as const),
])

/** Their variables of the environment; `LLAMA_ARG_NO_` in front of one turns it off. */
export const ignoredVariables: ReadonlySet<string> = new Set(words(variables).map((name) => `LLAMA_ARG_${name}`))
