//! What was found.

use super::{configuration::Configuration, trades::Trade};
use crate::estimate::model_memory::ModelMemoryEstimate;

/// The best configuration, or the smallest if none fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fit {
    /// Whether it stays within every limit.
    pub fits: bool,
    /// The best one that fits; where none does, the one with the smallest needs.
    pub configuration: Configuration,
    /// What it needs.
    pub estimate: ModelMemoryEstimate,
    /// Why it is no larger, or why it does not fit: sentences.
    pub reasons: Vec<String>,
    /// What else could be had, the largest gain first; empty where nothing fits.
    pub trades: Vec<Trade>,
    /// What the budget has left beside it: room for a server's cache of prompts and checkpoints.
    pub spare_bytes: u64,
}
