//! Where an allocation came from.

use std::sync::Arc;

/// Where an allocation came from, as far as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The kernel's number of the thread that it was granted on.
    pub thread: u32,
    /// Who asked, where the caller told.
    pub stack: Option<Arc<str>>,
}
