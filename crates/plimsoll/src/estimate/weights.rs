//! What the weights take, out of the tensor infos.

use crate::sorting::sort_by_key;
use gguf_file::{GgufFile, Tensor, TensorType};

use super::{architecture::Caches, hyperparameters::Hyperparameters};
use crate::error::{Error, Result};

/// What the weights take in memory, divided in two ways.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WeightBytes {
    /// The matrix of token embeddings; twice where the architecture keeps it twice.
    pub token_embedding_bytes: u64,
    /// The output matrix and its bias; 0 where the token embeddings serve as it.
    pub output_bytes: u64,
    /// Norms that belong to no layer.
    pub norms_bytes: u64,
    /// All layers.
    pub layers_bytes: u64,
    /// What is none of these: factors of the rotation, positions, projections beside the layers.
    pub other_bytes: u64,
    /// Tensors that stand in the file and are not loaded: the blocks that predict further tokens. Not in any other figure.
    pub left_out_bytes: u64,
    /// The same total by how the tensors are stored, the largest first; empty where that is not known.
    pub by_type: Vec<TypeBytes>,
}

/// What the tensors of one type take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TypeBytes {
    /// How they are stored.
    pub tensor_type: TensorType,
    /// How many there are.
    pub tensors: u64,
    /// Bytes of all of them.
    pub size_bytes: u64,
}

/// What the tensors of one block take.
// Every size's name ends in its unit.
#[allow(clippy::struct_field_names)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct BlockBytes {
    pub(super) all_bytes: u64,
    /// Of these the matrices of experts.
    pub(super) expert_bytes: u64,
}

/// The weights of a model, and those of each block: of its layers, or of those that predict further tokens too.
pub(super) fn weights(
    files: &[&GgufFile],
    model: &Hyperparameters<'_>,
    loads_all: bool,
) -> Result<(WeightBytes, Vec<BlockBytes>)> {
    let mut weights = WeightBytes::default();
    let mut blocks = vec![BlockBytes::default(); model.blocks];
    let mut has_block = vec![false; model.blocks];
    for tensor in files.iter().flat_map(|file| file.tensors()) {
        let bytes = tensor.size_bytes();
        let block = block_of(tensor.name()).map(|block| place_of(block, model)).transpose()?;
        if let Some(has) = block.and_then(|block| has_block.get_mut(block)) {
            *has = true;
        }
        // Of a model that is not known nobody can say what is not loaded.
        if model.is_known && !loads_all && block.is_some_and(|block| block >= model.layers) {
            add(&mut weights.left_out_bytes, bytes)?;
            continue;
        }
        if let Some(block) = block.and_then(|block| blocks.get_mut(block)) {
            add(&mut block.all_bytes, bytes)?;
            if is_expert(tensor.name()) {
                add(&mut block.expert_bytes, bytes)?;
            }
        }
        let copies =
            if model.architecture.embeds_twice && tensor.name() == "token_embd.weight" { 2 } else { 1 };
        for _ in 0..copies {
            weights.count(&tensor, block.is_some())?;
        }
    }
    check_blocks(&has_block, model)?;
    sort_by_key(&mut weights.by_type, |of_type| std::cmp::Reverse(of_type.size_bytes));
    Ok((weights, blocks))
}

impl WeightBytes {
    /// All that is loaded.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        let parts = [self.token_embedding_bytes, self.output_bytes, self.norms_bytes, self.layers_bytes];
        parts.iter().sum::<u64>() + self.other_bytes
    }

    /// Gives each part its share of another total, and the embeddings what rounding leaves.
    pub(super) fn scale(&mut self, total_bytes: u64, blocks: &[BlockBytes], share: impl Fn(u64) -> u64) {
        self.layers_bytes = blocks.iter().map(|block| block.all_bytes).sum();
        for part in [&mut self.output_bytes, &mut self.norms_bytes, &mut self.other_bytes] {
            *part = share(*part);
        }
        let others = self.layers_bytes + self.output_bytes + self.norms_bytes + self.other_bytes;
        self.token_embedding_bytes = total_bytes.saturating_sub(others);
        self.by_type.clear();
    }

    fn count(&mut self, tensor: &Tensor<'_>, is_in_block: bool) -> Result<()> {
        let bytes = tensor.size_bytes();
        let part = match tensor.name() {
            _ if is_in_block => &mut self.layers_bytes,
            "token_embd.weight" => &mut self.token_embedding_bytes,
            "output.weight" | "output.bias" => &mut self.output_bytes,
            name if name.contains("_norm") => &mut self.norms_bytes,
            _ => &mut self.other_bytes,
        };
        add(part, bytes)?;
        let tensor_type = tensor.tensor_type();
        let known = self.by_type.iter_mut().find(|of_type| of_type.tensor_type == tensor_type);
        if let Some(of_type) = known {
            of_type.tensors += 1;
            return add(&mut of_type.size_bytes, bytes);
        }
        self.by_type.push(TypeBytes { tensor_type, tensors: 1, size_bytes: bytes });
        Ok(())
    }
}

/// The number in `blk.<number>.`, if the name begins so.
pub(super) fn block_of(name: &str) -> Option<u64> {
    let (number, _) = name.strip_prefix("blk.")?.split_once('.')?;
    number.parse().ok()
}

/// Whether the tensor holds matrices of experts, one behind the other (`LLM_FFN_EXPS_REGEX` in `common.h`).
pub(super) fn is_expert(name: &str) -> bool {
    let part = name.splitn(3, '.').nth(2).unwrap_or_default();
    part.starts_with("ffn_") && (part.contains("_exps.") || part.contains("_chexps."))
}

fn place_of(block: u64, model: &Hyperparameters<'_>) -> Result<usize> {
    usize::try_from(block).ok().filter(|block| *block < model.blocks).ok_or_else(|| {
        let expected = format!("above every block that has tensors, blk.{block} among them");
        Error::invalid_model(format!("{}.block_count", model.name), expected, model.blocks.to_string())
    })
}

/// Every layer has a tensor, or none has: a file may hold the blocks that predict further tokens alone, and a family may name
/// its blocks otherwise, or pass some several times.
fn check_blocks(has_block: &[bool], model: &Hyperparameters<'_>) -> Result<()> {
    let layers = has_block.get(..model.layers).unwrap_or_default();
    match layers.iter().position(|has| !has) {
        Some(missing) if layers.contains(&true) && model.architecture.caches != Caches::OnePerPass => {
            let expected = format!("the number of blocks with tensors, and blk.{missing} has none");
            Err(Error::invalid_model(
                format!("{}.block_count", model.name),
                expected,
                model.blocks.to_string(),
            ))
        }
        _ => Ok(()),
    }
}

fn add(sum: &mut u64, bytes: u64) -> Result<()> {
    let next = sum.checked_add(bytes).filter(|sum| *sum <= gguf_file::MAX_EXACT);
    *sum = next.ok_or_else(|| {
        let expected = format!("files of at most {} bytes together", gguf_file::MAX_EXACT);
        Error::invalid_model("split.count", expected, "more")
    })?;
    Ok(())
}
