//! How ordinary RAM is taken.

/// How ordinary RAM is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct HostOptions {
    /// What is mapped.
    pub source: HostSource,
    /// Whether in huge pages.
    pub huge_pages: HugePageUse,
    /// Whether slabs are locked in RAM, so that nothing of them is ever swapped out. All their pages are then taken at
    /// once, and stay until the slab is freed.
    pub lock: bool,
}

/// What of the ordinary RAM is mapped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum HostSource {
    /// Memory of this process alone.
    #[default]
    Anonymous,
    /// A memory file (memfd), which can be handed to other processes; the system counts it as shared memory.
    MemoryFile,
}

/// Whether memory is taken in huge pages, which cost the processor fewer look-ups of addresses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum HugePageUse {
    /// Pages of the usual size, unless the system decides otherwise.
    #[default]
    None,
    /// Huge ones wherever the system finds them.
    Transparent,
    /// Huge ones of 2 MiB from the pool set aside for them, transparent ones where that has too few left: the back end
    /// then says so among its [`remarks`](crate::device::Backend::remarks).
    Explicit,
    /// Huge ones of 2 MiB from the pool set aside for them, or none.
    ExplicitOnly,
}

names!(HugePageUse {
    None => "none",
    Transparent => "transparent",
    Explicit => "explicit",
    ExplicitOnly => "explicit-only",
});

impl HugePageUse {
    /// Whether the pool is asked first.
    pub(super) const fn explicit(self) -> bool {
        matches!(self, Self::Explicit | Self::ExplicitOnly)
    }
}
