//! The versions of llama.cpp whose memory is known.

/// A version of llama.cpp whose own figures an estimate was held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LlamaCppVersion {
    /// 0.5.0, which node-llama-cpp 3.22 has.
    V0_5,
    /// 0.6.0.
    V0_6,
}

names!(LlamaCppVersion {
    V0_5 => "0.5",
    V0_6 => "0.6",
});

/// Families whose batches are of tokens or of embeddings, never of both (`llm_arch_supports_mixed_batch`).
const UNMIXED: [&str; 6] = ["cogvlm", "deepseek4", "dflash", "eagle3", "gemma4-assistant", "granite-switch"];

/// Whether the family's batches may mix both, where the version's may.
pub(super) fn may_mix(family: &str) -> bool {
    !UNMIXED.contains(&family)
}

impl LlamaCppVersion {
    /// The oldest one.
    pub(super) const FIRST: Self = Self::V0_5;

    /// Since then a graph has room for a batch that mixes tokens and embeddings (`llm_graph_context::build_inp_embd`).
    pub(super) const MIXES_BATCHES: Self = Self::V0_6;

    /// Since then a layer reads the states of all slots but the first once more (`llm_graph_context::build_rs`).
    pub(super) const GATHERS_FURTHER_STATES: Self = Self::V0_6;

    /// Those that a run may be of: the one that was named, or all of them, the one that guesses are of first.
    pub(super) const fn meant(named: Option<Self>) -> &'static [Self] {
        match named {
            None => Self::ALL,
            Some(Self::V0_5) => &[Self::V0_5],
            Some(Self::V0_6) => &[Self::V0_6],
        }
    }
}
