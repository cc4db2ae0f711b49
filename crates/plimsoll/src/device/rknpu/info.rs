//! What the driver says of itself.

use std::path::PathBuf;

use super::{domains::DomainId, window::Alignment};

/// What the driver says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RknpuInfo {
    /// The device's node.
    pub node: PathBuf,
    /// The driver's version: `[0, 9, 8]`.
    pub driver_version: [u32; 3],
    /// Whether it has sixteen domains, or one.
    pub has_domains: bool,
    /// The domain whose buffers the NPU sees now.
    pub live_domain: DomainId,
    /// Where buffers may start in a domain, at the least strict.
    pub alignment: Alignment,
    /// On-chip memory in all, in bytes, where the driver says so; 0 where the board assigns none.
    pub sram_total_bytes: Option<u64>,
    /// What is free of it, in bytes.
    pub sram_free_bytes: Option<u64>,
}
