//! The programs that run a model, and what each adds to its model's needs.

use crate::units::{GIB, MIB};

/// The program that will run the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Runtime {
    /// llama.cpp as a library or its command line, and node-llama-cpp.
    #[default]
    LlamaCpp,
    /// llama-server: logits for one token of each slot alone, a cache of prompts, and checkpoints of what a slot cannot
    /// compute back.
    LlamaServer,
    /// Rockchip's RKLLM: weights and caches in buffers of the NPU, each of which one window of 4 GiB must hold.
    Rkllm,
    /// A program that is not known: the weights in memory once, in buffers of its own, keys and values in whole blocks of
    /// cells. A file is not mapped and nothing is repacked.
    Generic,
}

names!(Runtime {
    LlamaCpp => "llama.cpp",
    LlamaServer => "llama-server",
    Rkllm => "rkllm",
    Generic => "generic",
});

impl Runtime {
    /// Bytes that prompts put aside may take; 8,192 MiB in llama-server (`cache_ram_mib` in `common.h`).
    pub(super) const fn prompt_cache_bytes(self) -> u64 {
        match self {
            Self::LlamaServer => 8192 * MIB,
            Self::LlamaCpp | Self::Rkllm | Self::Generic => 0,
        }
    }

    /// Checkpoints of a slot; 32 in llama-server (`n_ctx_checkpoints` in `common.h`).
    pub(super) const fn checkpoints(self) -> u64 {
        match self {
            Self::LlamaServer => 32,
            Self::LlamaCpp | Self::Rkllm | Self::Generic => 0,
        }
    }

    /// Tokens of a batch whose logits are wanted; `None` for all.
    pub(super) const fn outputs(self, slots: u64) -> Option<u64> {
        match self {
            Self::LlamaServer => Some(slots),
            Self::LlamaCpp | Self::Rkllm | Self::Generic => None,
        }
    }

    /// The most that one allocation may have, whatever memory there is: an NPU's addresses have 32 bits.
    pub(super) const fn window_bytes(self) -> Option<u64> {
        match self {
            Self::Rkllm => Some(4 * GIB),
            Self::LlamaCpp | Self::LlamaServer | Self::Generic => None,
        }
    }

    /// Whether it knows how to map a file and to repack weights.
    pub(super) const fn is_llama_cpp(self) -> bool {
        match self {
            Self::LlamaCpp | Self::LlamaServer => true,
            Self::Rkllm | Self::Generic => false,
        }
    }
}
