//! `/proc/meminfo`.

use super::{
    root::Reason,
    text::{kib_field, text},
};

/// The machine's memory as the kernel counts it, in bytes. Source: `proc_meminfo(5)`.
///
/// A figure that the kernel does not give, or that contradicts the total, is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemInfo {
    /// RAM the kernel manages (`MemTotal`). Less than the board is sold with: firmware keeps a part.
    pub total_bytes: u64,
    /// RAM that programs could take without swapping (`MemAvailable`), by the kernel's estimate. It counts free CMA
    /// pages, which most allocations cannot use.
    pub available_bytes: u64,
    /// Unused RAM (`MemFree`).
    pub free_bytes: Option<u64>,
    /// Set aside for contiguous allocations (`CmaTotal`).
    pub cma_total_bytes: Option<u64>,
    /// Free in that area (`CmaFree`).
    pub cma_free_bytes: Option<u64>,
    /// Shared memory, tmpfs and most driver memory (`Shmem`).
    pub shmem_bytes: Option<u64>,
    /// Pages that some process has mapped (`Mapped`): of files, and of shared memory too.
    pub mapped_bytes: Option<u64>,
    /// What of it is shared memory, at most, as the processes say; `None` where they were not asked, and all of `Shmem` may
    /// be. No figure of `/proc/meminfo`.
    pub mapped_shmem_bytes: Option<u64>,
    /// Page cache of files (`Active(file)` and `Inactive(file)`): what `MemAvailable` takes for reclaimable of it.
    pub file_cache_bytes: Option<u64>,
    /// Kernel memory that cannot be reclaimed (`SUnreclaim`).
    pub unreclaimable_slab_bytes: Option<u64>,
    /// Swap, compressed RAM included (`SwapTotal`).
    pub swap_total_bytes: Option<u64>,
    /// Free swap (`SwapFree`). Never headroom: on zram it is paid for with RAM.
    pub swap_free_bytes: Option<u64>,
    /// Held by GPU and engines of a Jetson, all processes (`NvMapMemUsed`); absent on Thor.
    pub nvmap_used_bytes: Option<u64>,
}

impl MemInfo {
    /// Parses the text of `/proc/meminfo`.
    ///
    /// # Errors
    ///
    /// [`Reason::Malformed`] when `MemTotal` or `MemAvailable` is missing or unreadable, or more is available than
    /// there is.
    pub fn parse(bytes: &[u8]) -> Result<Self, Reason> {
        let text = text(bytes)?;
        let total_bytes = kib_field(text, "MemTotal")
            .filter(|total| *total > 0)
            .ok_or(Reason::Malformed("a line \"MemTotal: N kB\""))?;
        let up_to_total = |name| kib_field(text, name).filter(|bytes| *bytes <= total_bytes);
        let available_bytes = up_to_total("MemAvailable")
            .ok_or(Reason::Malformed("a line \"MemAvailable: N kB\" of at most MemTotal"))?;
        let cma_total_bytes = up_to_total("CmaTotal");
        let swap_total_bytes = kib_field(text, "SwapTotal");
        let part_of = |name, whole: Option<u64>| kib_field(text, name).filter(|bytes| Some(*bytes) <= whole);
        Ok(Self {
            total_bytes,
            available_bytes,
            free_bytes: up_to_total("MemFree"),
            cma_total_bytes,
            cma_free_bytes: part_of("CmaFree", cma_total_bytes),
            shmem_bytes: up_to_total("Shmem"),
            mapped_bytes: up_to_total("Mapped"),
            mapped_shmem_bytes: None,
            file_cache_bytes: up_to_total("Active(file)")
                .zip(up_to_total("Inactive(file)"))
                .map(|(active, inactive)| active.saturating_add(inactive)),
            unreclaimable_slab_bytes: up_to_total("SUnreclaim"),
            swap_total_bytes,
            swap_free_bytes: part_of("SwapFree", swap_total_bytes),
            nvmap_used_bytes: up_to_total("NvMapMemUsed"),
        })
    }

    /// What ordinary allocations could take: available less free CMA pages, in bytes.
    #[must_use]
    pub fn allocatable_bytes(&self) -> u64 {
        self.available_bytes.saturating_sub(self.cma_free_bytes.unwrap_or(0))
    }

    /// Pages of files that live processes have mapped, in bytes: the weights of servers that map their models.
    /// `MemAvailable` takes them for free, and whoever takes them makes those servers read their files again and again.
    ///
    /// The kernel counts mapped pages of files and of shared memory together. Shared memory has left `MemAvailable`
    /// already, so it comes off: what the processes have mapped of it, and all there is where they cannot be asked. So this
    /// tells less than there is where much of that is not mapped, never more. Nor is it ever more than the page cache, which
    /// is all that `MemAvailable` counts: pages locked in memory have left it.
    #[must_use]
    pub fn mapped_file_bytes(&self) -> u64 {
        let shared = self.mapped_shmem_bytes.or(self.shmem_bytes).unwrap_or(0);
        let mapped = self.mapped_bytes.unwrap_or(0).saturating_sub(shared);
        mapped.min(self.file_cache_bytes.unwrap_or(self.available_bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::KIB;

    const TEXT: &str = "MemTotal:        1000 kB\nMemFree:          100 kB\nMemAvailable:     600 kB\nSwapTotal:  50 kB\n\
                        SwapFree: 60 kB\nShmem: 9 kB\nCmaTotal: 300 kB\nCmaFree: 200 kB\nNvMapMemUsed: 70 kB\n";

    #[test]
    fn figures_are_read_in_bytes_and_nonsense_among_them_is_absent() {
        let memory = MemInfo::parse(TEXT.as_bytes()).unwrap();
        assert_eq!((memory.total_bytes, memory.available_bytes), (1000 * KIB, 600 * KIB));
        assert_eq!(memory.allocatable_bytes(), 400 * KIB);
        assert_eq!(memory.nvmap_used_bytes, Some(70 * KIB));
        assert_eq!(memory.swap_free_bytes, None, "more free than there is");
        assert_eq!(memory.unreclaimable_slab_bytes, None);
    }

    #[test]
    fn mapped_files_are_what_is_mapped_less_shared_memory_and_never_more_than_the_cache() {
        let mapped = |text: &str| {
            let text = format!("MemTotal: 1000 kB\nMemAvailable: 600 kB\n{text}");
            MemInfo::parse(text.as_bytes()).unwrap().mapped_file_bytes() / KIB
        };
        assert_eq!(
            mapped("Mapped: 300 kB\nShmem: 40 kB\nActive(file): 100 kB\nInactive(file): 400 kB\n"),
            260
        );
        // 200 kB of it are locked, and neither cache nor available any more.
        assert_eq!(mapped("Mapped: 300 kB\nShmem: 0 kB\nActive(file): 60 kB\nInactive(file): 40 kB\n"), 100);
        assert_eq!(mapped("Mapped: 30 kB\nShmem: 40 kB\nActive(file): 100 kB\nInactive(file): 400 kB\n"), 0);
        assert_eq!(mapped("Mapped: 700 kB\n"), 600, "never more than is available");
        assert_eq!(mapped("Mapped: 2000 kB\n"), 0, "more than there is tells nothing");
        assert_eq!(mapped(""), 0);
    }

    #[test]
    fn without_total_or_available_there_is_no_reading() {
        for text in [
            "",
            "MemTotal: 10 kB\n",
            "MemAvailable: 10 kB\n",
            "MemTotal: 0 kB\nMemAvailable: 0 kB\n",
            "MemTotal: 10 kB\nMemAvailable: 11 kB\n",
            "MemTotal: 10 kB\nMemAvailable: -1 kB\n",
        ] {
            assert!(matches!(MemInfo::parse(text.as_bytes()), Err(Reason::Malformed(_))), "{text:?}");
        }
        assert!(MemInfo::parse(b"\xff\xfe").is_err());
    }
}
