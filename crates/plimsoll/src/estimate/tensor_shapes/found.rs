//! What a tensor has, and the error that a key says otherwise.

use gguf_file::Tensor;

use crate::{error::Error, estimate::keys::Keys};

/// 1 where the tensor has fewer dimensions.
pub(super) fn dimension(tensor: &Tensor<'_>, index: usize) -> u64 {
    tensor.dims().get(index).copied().unwrap_or(1)
}

/// The error that `key` is not what a tensor has.
pub(super) fn contradicts(
    keys: &Keys<'_>,
    key: &str,
    (what, tensor): (&str, &str),
    found: u64,
    said: String,
) -> Error {
    keys.invalid(key, format!("what makes the {found} {what} of {tensor}"), said)
}
