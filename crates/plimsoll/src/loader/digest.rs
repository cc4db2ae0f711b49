//! The SHA-256 of what was read, tensor by tensor.

use sha2::{Digest, Sha256};

/// The SHA-256 of a tensor's bytes, as the file holds them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorDigest {
    /// The tensor's index in the model.
    pub tensor: usize,
    /// The digest.
    pub sha256: [u8; 32],
}

/// Digests under way. Tensors come whole, one after the other.
#[derive(Default)]
pub(super) struct Digests {
    open: Sha256,
}

impl Digests {
    /// Adds bytes of a tensor; its digest, if they are its last.
    pub fn add(&mut self, tensor: usize, bytes: &[u8], is_last: bool) -> Option<TensorDigest> {
        self.open.update(bytes);
        is_last.then(|| TensorDigest { tensor, sha256: self.open.finalize_reset().into() })
    }
}
