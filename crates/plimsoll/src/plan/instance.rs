//! What shall run.

use super::footprint::Footprint;

/// An instance that shall run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedInstance {
    /// Its name, one of its kind in a plan.
    pub id: String,
    /// How much memory it may use, in bytes, if that is said.
    pub limit_bytes: Option<u64>,
    /// What its model takes.
    pub footprint: Footprint,
}
