//! One happening, before any recording has it.

use super::event::{EventKind, Refused};

/// One happening, as it is written into every recording.
#[derive(Debug, Clone, Copy)]
pub(in crate::budget) struct Note<'a> {
    pub(in crate::budget) kind: EventKind,
    pub(in crate::budget) id: u64,
    pub(in crate::budget) label: &'a str,
    pub(in crate::budget) bytes: u64,
    /// Of a request that was refused: what there was, and why not more.
    pub(in crate::budget) refused: Option<&'a Refused>,
}
