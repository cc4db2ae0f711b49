//! Tensors whose values are no numbers.

use std::path::PathBuf;

use super::{plan::PlannedChunk, selection::TensorPart};
use crate::error::{Error, Result};

/// Refuses a chunk with a value that is NaN or infinite. Whole numbers are always finite. `named` gives the file and the tensor.
pub(super) fn expect_finite(
    part: &TensorPart,
    planned: &PlannedChunk,
    stored: &[u8],
    named: impl FnOnce() -> (PathBuf, String),
) -> Result<()> {
    let Some(format) = part.format else { return Ok(()) };
    let found = gguf_dequant::first_non_finite(format, stored);
    let found = found.map_err(|_| Error::internal("a chunk was planned that does not end on a block"))?;
    let Some(place) = found else { return Ok(()) };
    let block = planned.chunk.bytes.start / part.stored_block_bytes + place as u64;
    let (path, tensor) = named();
    Err(Error::InvalidTensor { path, tensor, block, block_elements: part.block_elements })
}
