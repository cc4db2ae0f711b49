//! The table of architectures: one row each, for readers who know the models.
//!
//! Source of each row: what llama.cpp reads in `load_arch_hparams` of `src/models/<name>.cpp`, and which cache
//! `llama_model::create_memory` makes of it.

use super::architecture::{
    Architecture,
    AttentionWindow::{self, Sliding},
    Caches, IndexRow, Indexed,
    LayerMemory::{self, Attention, Hybrid, Nothing, Recurrent},
    Pattern::{AllThatAttend, FirstSeesAll, LastSeesAll, Listed, ListedOrAllWith},
    Sharing,
    Split::{Both, LastOfEvery, NoHeads, NoHeadsNorFeedForward},
    StateKind::{DeltaAttention, GroupedMamba, LightningAttention, Mamba, Rwkv, ShortConvolution},
    Width::{FixedIfAny, FixedUnlessZero, Key, KeyIfAny, KeyOr, KeyOrInModelOf},
};

/// A family whose layers keep what `memory` says and see everything.
const fn plain(name: &'static str, memory: LayerMemory) -> Architecture {
    Architecture {
        name,
        memory,
        window: AttentionWindow::None,
        sharing: Sharing::None,
        caches: Caches::One,
        latent: false,
        embeds_twice: false,
        has_output: true,
        drafts: false,
        is_measured: true,
    }
}

/// A family with windows.
const fn windowed(name: &'static str, memory: LayerMemory, window: AttentionWindow) -> Architecture {
    Architecture { window, ..plain(name, memory) }
}

/// A family with latent attention.
const fn latent(name: &'static str, memory: LayerMemory) -> Architecture {
    Architecture { latent: true, ..plain(name, memory) }
}

/// A family that gives embeddings of a text, and no logits.
const fn encoder(name: &'static str, window: AttentionWindow) -> Architecture {
    Architecture { window, has_output: false, ..plain(name, Nothing) }
}

/// The same family, with further caches.
const fn with(caches: Caches, family: Architecture) -> Architecture {
    Architecture { caches, ..family }
}

/// The same family, as a draft for another model.
const fn drafting(family: Architecture) -> Architecture {
    Architecture { drafts: true, ..family }
}

/// Every family whose rules are known. What is missing here is estimated by the [generic](GENERIC) rule.
pub(super) const ARCHITECTURES: &[Architecture] = &[
    // Attention to everything, in every layer.
    plain("apertus", Attention),
    plain("arcee", Attention),
    plain("arctic", Attention),
    plain("baichuan", Attention),
    plain("bailingmoe", Attention),
    plain("bailingmoe2", Attention),
    plain("bitnet", Attention),
    plain("bloom", Attention),
    plain("chameleon", Attention),
    plain("chatglm", Attention),
    plain("codeshell", Attention),
    plain("cogvlm", Attention),
    plain("command-r", Attention),
    plain("dbrx", Attention),
    plain("deci", Attention),
    plain("deepseek", Attention),
    plain("deepseek2-ocr", Attention),
    plain("dots1", Attention),
    plain("ernie4_5", Attention),
    plain("ernie4_5-moe", Attention),
    plain("exaone", Attention),
    plain("falcon", Attention),
    plain("gemma", Attention),
    plain("glm4", Attention),
    plain("glm4moe", Attention),
    plain("gpt2", Attention),
    plain("gptneox", Attention),
    plain("granite", Attention),
    plain("granitemoe", Attention),
    plain("grok", Attention),
    plain("grovemoe", Attention),
    plain("hunyuan-dense", Attention),
    plain("hunyuan-moe", Attention),
    plain("hunyuan_vl", Attention),
    plain("hy_v3", Attention),
    plain("internlm2", Attention),
    plain("jais", Attention),
    plain("jais2", Attention),
    plain("llama", Attention),
    plain("llama-embed", Attention),
    plain("maincoder", Attention),
    plain("minicpm", Attention),
    plain("minicpm3", Attention),
    plain("minimax-m2", Attention),
    plain("mistral3", Attention),
    plain("mpt", Attention),
    plain("nemotron", Attention),
    plain("olmo", Attention),
    plain("olmoe", Attention),
    plain("openelm", Attention),
    plain("orion", Attention),
    plain("paddleocr", Attention),
    plain("pangu-embedded", Attention),
    plain("phi2", Attention),
    // Files name a window that the models were not trained with.
    plain("phi3", Attention),
    plain("phimoe", Attention),
    plain("plamo", Attention),
    plain("plm", Attention),
    plain("pockettts", Attention),
    plain("qwen", Attention),
    plain("qwen2", Attention),
    plain("qwen2moe", Attention),
    plain("qwen2vl", Attention),
    plain("qwen3", Attention),
    plain("qwen3moe", Attention),
    plain("qwen3tts", Attention),
    plain("qwen3vl", Attention),
    plain("qwen3vlmoe", Attention),
    plain("refact", Attention),
    plain("seed_oss", Attention),
    plain("smollm3", Attention),
    plain("stablelm", Attention),
    plain("starcoder", Attention),
    plain("starcoder2", Attention),
    plain("talkie", Attention),
    plain("xverse", Attention),
    // Attention to a window in some layers.
    windowed("afmoe", Attention, Sliding(KeyIfAny, LastSeesAll(4))),
    windowed("cohere2", Attention, Sliding(Key, LastSeesAll(4))),
    windowed("cohere2moe", Attention, Sliding(Key, FirstSeesAll(4))),
    windowed("exaone-moe", Attention, Sliding(Key, LastSeesAll(4))),
    windowed("exaone4", Attention, Sliding(KeyOrInModelOf(64, 4096), LastSeesAll(4))),
    windowed("gemma2", Attention, Sliding(KeyOr(4096), LastSeesAll(2))),
    windowed("gemma3", Attention, Sliding(KeyIfAny, LastSeesAll(6))),
    windowed("gpt-oss", Attention, Sliding(Key, LastSeesAll(2))),
    windowed("granite_swa", Attention, Sliding(Key, Listed)),
    windowed("laguna", Attention, Sliding(KeyIfAny, FirstSeesAll(4))),
    windowed("llama4", Attention, Sliding(FixedUnlessZero(8192), LastSeesAll(4))),
    windowed("maple", Attention, Sliding(Key, Listed)),
    windowed("mellum", Attention, Sliding(KeyIfAny, LastSeesAll(4))),
    windowed("mimo2", Attention, Sliding(Key, Listed)),
    windowed("muse-glimmer", Attention, Sliding(Key, LastSeesAll(4))),
    windowed("olmo2", Attention, Sliding(KeyIfAny, LastSeesAll(4))),
    windowed("plamo3", Attention, Sliding(KeyIfAny, LastSeesAll(8))),
    windowed("smallthinker", Attention, Sliding(FixedIfAny(4096), FirstSeesAll(4))),
    windowed("spark2_5", Attention, Sliding(Key, Listed)),
    windowed("step35", Attention, Sliding(Key, Listed)),
    // The same, and late layers read the cache of earlier ones.
    Architecture {
        sharing: Sharing::OwnInFirst(20),
        embeds_twice: true,
        ..windowed("gemma3n", Attention, Sliding(Key, LastSeesAll(5)))
    },
    Architecture { sharing: Sharing::Key, ..windowed("gemma4", Attention, Sliding(Key, Listed)) },
    // Latent attention.
    latent("deepseek2", Attention),
    latent("mistral4", Attention),
    // Drafts for other models.
    drafting(windowed("dflash", Attention, Sliding(KeyIfAny, ListedOrAllWith("hyper_connection.count")))),
    drafting(plain("eagle3", Attention)),
    drafting(Architecture {
        sharing: Sharing::Target,
        ..windowed("gemma4-assistant", Attention, Sliding(Key, Listed))
    }),
    // Layers that a token passes several times.
    with(Caches::OnePerPass, plain("hrm_text", Attention)),
    with(Caches::EachLoop, plain("nanbeige", Attention)),
    // A router after the layers.
    with(Caches::Router, plain("graniteswitch", Attention)),
    // Sparse attention: an index beside the keys, or keys of many tokens together.
    with(Caches::Index(Indexed::All, IndexRow::Key), latent("deepseek32", Attention)),
    with(Caches::Compressed, windowed("deepseek4", Attention, Sliding(Key, AllThatAttend))),
    with(
        Caches::Index(Indexed::Listed, IndexRow::Key),
        Architecture { latent: true, ..windowed("dots3note", Attention, Sliding(Key, Listed)) },
    ),
    with(Caches::Index(Indexed::ListedOrByContext(1 << 20), IndexRow::Key), latent("glm-dsa", Attention)),
    with(Caches::Index(Indexed::Listed, IndexRow::Key), latent("hy_v4", Attention)),
    with(Caches::Index(Indexed::NotDense, IndexRow::KeyAndValue), plain("minimax-m3", Attention)),
    // Measured without pooled keys; with them the source says that keys take twice as much.
    with(Caches::PooledIndex, plain("qwen4exp", Hybrid(LastOfEvery(4), GroupedMamba))),
    // The same, not measured: no build of llama.cpp was at hand that knows it, but its source is plain.
    Architecture {
        is_measured: false,
        ..with(
            Caches::Index(Indexed::ListedOrAll, IndexRow::KeyGateAndPooled),
            latent("glm5-next", Hybrid(NoHeads, DeltaAttention)),
        )
    },
    // No attention.
    plain("arwkv7", Recurrent(Rwkv)),
    plain("mamba", Recurrent(Mamba)),
    plain("mamba2", Recurrent(GroupedMamba)),
    plain("rwkv6", Recurrent(Rwkv)),
    plain("rwkv6qwen2", Recurrent(Rwkv)),
    plain("rwkv7", Recurrent(Rwkv)),
    // Attention in some layers, a state in others.
    latent("bailingmoe3", Hybrid(NoHeads, DeltaAttention)),
    plain("falcon-h1", Hybrid(Both, GroupedMamba)),
    plain("granitehybrid", Hybrid(NoHeads, GroupedMamba)),
    plain("jamba", Hybrid(NoHeads, Mamba)),
    latent("kimi-k3", Hybrid(NoHeads, DeltaAttention)),
    latent("kimi-linear", Hybrid(NoHeads, DeltaAttention)),
    windowed("lfm2", Hybrid(NoHeads, ShortConvolution), Sliding(KeyIfAny, AllThatAttend)),
    plain("lfm2moe", Hybrid(NoHeads, ShortConvolution)),
    plain("minimax-01", Hybrid(LastOfEvery(8), LightningAttention)),
    plain("nemotron_h", Hybrid(NoHeadsNorFeedForward, GroupedMamba)),
    plain("nemotron_h_moe", Hybrid(NoHeadsNorFeedForward, GroupedMamba)),
    plain("plamo2", Hybrid(NoHeads, GroupedMamba)),
    plain("qwen35", Hybrid(LastOfEvery(4), GroupedMamba)),
    plain("qwen35moe", Hybrid(LastOfEvery(4), GroupedMamba)),
    plain("qwen3next", Hybrid(LastOfEvery(4), GroupedMamba)),
    // Encoders, and models that write all of a text at once.
    encoder("bert", AttentionWindow::None),
    plain("dream", Nothing),
    plain("eurobert", Nothing),
    windowed("gemma-embedding", Nothing, Sliding(Key, LastSeesAll(6))),
    encoder("jina-bert-v2", AttentionWindow::None),
    encoder("jina-bert-v3", AttentionWindow::None),
    plain("llada", Nothing),
    plain("llada-moe", Nothing),
    encoder("modern-bert", Sliding(KeyIfAny, FirstSeesAll(3))),
    encoder("neo-bert", AttentionWindow::None),
    encoder("nomic-bert", AttentionWindow::None),
    encoder("nomic-bert-moe", AttentionWindow::None),
    plain("rnd1", Nothing),
];

/// What is taken of a family that the table does not have: keys and values of every head in every layer, without windows or
/// sharing. A family that keeps less is overestimated; one that keeps something else besides may need more.
pub(super) const GENERIC: Architecture = plain("", Attention);

/// The row of this architecture.
pub(super) fn find(name: &str) -> Option<&'static Architecture> {
    ARCHITECTURES.iter().find(|row| row.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_architecture_has_one_row() {
        let mut names: Vec<&str> = ARCHITECTURES.iter().map(|row| row.name).collect();
        names.sort_unstable();
        let before = names.len();
        names.dedup();
        assert_eq!(names.len(), before);
    }
}
