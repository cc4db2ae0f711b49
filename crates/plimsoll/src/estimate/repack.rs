//! Weights that llama.cpp keeps a second time, in the order that the processor multiplies fastest.
//!
//! Which those are is the [`Processor`]'s. A matrix that is multiplied is repacked; one whose rows are only looked up is not.
//! `npm run test:llama` compares with the tensors that llama.cpp says it packs.

use gguf_file::GgufFile;

use super::{
    architecture::Architecture,
    placement::{ComputeDevice, Offload},
    processor::Processor,
    weights::block_of,
};

/// Weights in the processor's own order.
// Every size's name ends in its unit.
#[allow(clippy::struct_field_names)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Repacked {
    /// All of them, in the processor's order.
    pub(super) size_bytes: u64,
    /// What that order takes on top of the file's, of all but the token embeddings.
    pub(super) added_bytes: u64,
    /// Of these the token embeddings, where they are the output matrix too: they are looked up in the file's order, so
    /// they are there twice whether the file is mapped or not. In the processor's order.
    pub(super) embedding_bytes: u64,
    /// The largest of them, as the file has it.
    pub(super) largest_bytes: u64,
}

/// What is packed anew of the layers that the processor computes, and of the output matrix if it does.
pub(super) fn repacked(
    files: &[&GgufFile],
    architecture: &Architecture,
    processor: Processor,
    offload: Offload<'_>,
) -> Repacked {
    let tensors = || files.iter().flat_map(|file| file.tensors());
    let is_tied = architecture.has_output && !tensors().any(|tensor| tensor.name() == "output.weight");
    let mut repacked = Repacked::default();
    for tensor in tensors().filter(|tensor| tensor.name().ends_with(".weight")) {
        let Some(packed_bytes) = processor.packed_bytes(&tensor) else { continue };
        let is_embedding = tensor.name() == "token_embd.weight";
        let is_multiplied = match tensor.name() {
            // A family that keeps them twice has its output matrix already.
            "token_embd.weight" => {
                is_tied && !architecture.embeds_twice && offload.output() == ComputeDevice::Cpu
            }
            "output.weight" => offload.output() == ComputeDevice::Cpu,
            name => block_of(name).is_some() && offload.tensor(name) == Some(ComputeDevice::Cpu),
        };
        if !is_multiplied {
            continue;
        }
        repacked.size_bytes = repacked.size_bytes.saturating_add(packed_bytes);
        repacked.largest_bytes = repacked.largest_bytes.max(tensor.size_bytes());
        if is_embedding {
            repacked.embedding_bytes = packed_bytes;
        } else {
            let added_bytes = packed_bytes.saturating_sub(tensor.size_bytes());
            repacked.added_bytes = repacked.added_bytes.saturating_add(added_bytes);
        }
    }
    repacked
}
