// What llama.cpp counts for a model and for contexts of it, in parts and to the byte, with nothing allocated.
//
//     buffers FOLDER MODEL < runs > answers
//
// A run is one line of numbers: tokens of all slots, slots, flash attention, the id of ggml's type of the cache, micro-batch,
// whether windows keep the whole context, and tokens whose logits are wanted, 0 for all. An answer is one line of numbers: bytes of
// weights, of keys, values and states, and of the compute buffer; or "refused".
//
// The folder has the back ends of the library that this is linked with. The file must be as long as its header says, which may be a hole.
// scripts/llama-source.mjs builds this, and writes such files.
#include "ggml-backend.h"
#include "llama-ext.h"
#include "llama.h"
#include <cstdio>
#include <iostream>
#include <sstream>
#include <string>

static void errors_only(ggml_log_level level, const char * text, void *) {
    if (level == GGML_LOG_LEVEL_ERROR) fputs(text, stderr);
}

int main(int argc, char ** argv) {
    if (argc != 3) return 2;
    llama_log_set(errors_only, nullptr);
    if (ggml_backend_dev_count() == 0) ggml_backend_load_all_from_path(argv[1]);
    llama_backend_init();
    llama_model_params model_params = llama_model_default_params();
    model_params.no_alloc = true;
    model_params.n_gpu_layers = 0;
    model_params.load_mode = LLAMA_LOAD_MODE_NONE;
    model_params.lazy_mode = LLAMA_LAZY_MODE_OFF;
    llama_model * model = llama_model_load_from_file(argv[2], model_params);
    if (model == nullptr) return 1;
    for (std::string line; std::getline(std::cin, line);) {
        std::istringstream words(line);
        unsigned tokens, slots, flash_attention, kv_type, ubatch, swa_full, outputs;
        if (!(words >> tokens >> slots >> flash_attention >> kv_type >> ubatch >> swa_full >> outputs)) return 2;
        llama_context_params params = llama_context_default_params();
        params.n_ctx = tokens;
        params.n_seq_max = slots;
        params.n_batch = params.n_ubatch = ubatch;
        params.n_outputs_max = outputs;
        params.swa_full = swa_full != 0;
        params.kv_unified = false;
        params.no_perf = true;
        params.type_k = params.type_v = static_cast<ggml_type>(kv_type);
        params.flash_attn_type = flash_attention != 0 ? LLAMA_FLASH_ATTN_TYPE_ENABLED : LLAMA_FLASH_ATTN_TYPE_DISABLED;
        llama_context * context = llama_init_from_model(model, params);
        if (context == nullptr) {
            puts("refused");
            continue;
        }
        size_t weights = 0, caches = 0, compute = 0;
        for (const auto & [place, bytes] : llama_get_memory_breakdown(context)) {
            weights += bytes.model;
            caches += bytes.context;
            compute += bytes.compute;
        }
        printf("%zu %zu %zu\n", weights, caches, compute);
        llama_free(context);
    }
    llama_model_free(model);
}
