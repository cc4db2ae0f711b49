//! `/proc/meminfo`.

use super::{
    fault::FileFault,
    root::Reason,
    text::{field, kib_field, number, text},
};

/// The machine's memory as the kernel counts it, in bytes. Source: `proc_meminfo(5)`.
///
/// A figure that the kernel does not give, or that contradicts the total, is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
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
    /// Held by GPU and engines of a Jetson, all processes (`NvMapMemUsed`); absent on Thor, and in a container of lxcfs.
    pub nvmap_used_bytes: Option<u64>,
    /// Set aside as huge pages of every size (`Hugetlb`, before Linux 4.16 `HugePages_Total` of the usual one): no memory
    /// that ordinary allocations get, used or not.
    pub huge_pages_bytes: Option<u64>,
    /// Whose memory it is.
    pub scope: MemoryScope,
    /// What stands for figures that the kernel did not give.
    pub stand_in: Option<StandIn>,
    /// What is the matter with `/proc/meminfo`, where the figures are not taken from it, or it is not the kernel's.
    pub fault: Option<FileFault>,
}

/// Whose memory the figures are about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MemoryScope {
    /// The machine's.
    #[default]
    Machine,
    /// A container's: lxcfs computes them from its control group. What the host has left is not in them, nor is
    /// contiguous memory.
    Container,
}

names!(MemoryScope {
    Machine => "machine",
    Container => "container",
});

/// What stands for a figure that is missing or cannot be believed. It is never more than the figure would be, but for
/// free contiguous memory, which it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StandIn {
    /// `MemFree` and `Inactive(file)` for `MemAvailable`.
    FreeMemory,
    /// The nodes under `/sys/devices/system/node` for all of `/proc/meminfo`.
    Nodes,
    /// `sysinfo(2)` for all of `/proc/meminfo`.
    SystemCall,
}

impl StandIn {
    /// What it is, in words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::FreeMemory => {
                "MemAvailable is missing or above MemTotal; free memory and file pages that were not used for a while \
                 stand for it"
            }
            Self::Nodes => {
                "its figures are taken from /sys/devices/system/node; free memory and file pages that were not used for \
                 a while stand for what is available"
            }
            Self::SystemCall => {
                "its figures are taken from sysinfo(2); free memory alone stands for what is available, so that page \
                 cache counts as used"
            }
        }
    }
}

impl MemInfo {
    /// Parses the text of the kernel's `/proc/meminfo`.
    ///
    /// Where `MemAvailable` is missing (kernels before 3.14) or above `MemTotal`, free memory [stands for
    /// it](StandIn::FreeMemory).
    ///
    /// # Errors
    ///
    /// [`Reason::Malformed`] when `MemTotal` is missing or unreadable, or nothing believable tells what is available.
    pub fn parse(bytes: &[u8]) -> Result<Self, Reason> {
        Self::parse_as(bytes, MemoryScope::Machine)
    }

    /// Parses a `/proc/meminfo` that tells of that.
    ///
    /// In a container lxcfs passes on from the host what it does not know itself: contiguous memory, huge pages and what
    /// drivers hold, which are none of the container's total and in none of its other figures. Source: `proc_meminfo_read` of lxcfs.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse).
    pub(super) fn parse_as(bytes: &[u8], scope: MemoryScope) -> Result<Self, Reason> {
        let text = text(bytes)?;
        let total_bytes = kib_field(text, "MemTotal")
            .filter(|total| *total > 0)
            .ok_or(Reason::Malformed("a line \"MemTotal: N kB\""))?;
        let up_to_total = |name| kib_field(text, name).filter(|bytes| *bytes <= total_bytes);
        let free_bytes = up_to_total("MemFree");
        let (available_bytes, stand_in) = match (up_to_total("MemAvailable"), free_bytes) {
            (Some(available), _) => (available, None),
            (None, Some(free)) => {
                let cache = up_to_total("Inactive(file)").unwrap_or(0);
                (free.saturating_add(cache).min(total_bytes), Some(StandIn::FreeMemory))
            }
            (None, None) => {
                let expected = "a line \"MemAvailable: N kB\" or \"MemFree: N kB\" of at most MemTotal";
                return Err(Reason::Malformed(expected));
            }
        };
        let of_machine = scope == MemoryScope::Machine;
        let cma_total_bytes = up_to_total("CmaTotal").filter(|_| of_machine);
        let swap_total_bytes = kib_field(text, "SwapTotal");
        let part_of = |name, whole: Option<u64>| kib_field(text, name).filter(|bytes| Some(*bytes) <= whole);
        Ok(Self {
            total_bytes,
            available_bytes,
            free_bytes,
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
            nvmap_used_bytes: up_to_total("NvMapMemUsed").filter(|_| of_machine),
            huge_pages_bytes: huge_pages_bytes(text).filter(|bytes| of_machine && *bytes <= total_bytes),
            scope,
            stand_in,
            fault: None,
        })
    }

    /// RAM without what is set aside as huge pages, in bytes: what a line is drawn across.
    #[must_use]
    pub fn ordinary_bytes(&self) -> u64 {
        self.total_bytes.saturating_sub(self.huge_pages_bytes.unwrap_or(0))
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

/// Source: `proc_meminfo(5)`; the kernel's `admin-guide/mm/hugetlbpage.rst`.
fn huge_pages_bytes(text: &str) -> Option<u64> {
    kib_field(text, "Hugetlb").or_else(|| {
        let count = number(field(text, "HugePages_Total", ':')?)?;
        count.checked_mul(kib_field(text, "Hugepagesize")?)
    })
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
    fn without_total_or_anything_available_there_is_no_reading() {
        for text in [
            "",
            "MemTotal: 10 kB\n",
            "MemAvailable: 10 kB\n",
            "MemTotal: 0 kB\nMemAvailable: 0 kB\n",
            "MemTotal: 10 kB\nMemAvailable: 11 kB\n",
            "MemTotal: 10 kB\nMemAvailable: -1 kB\n",
            "MemTotal: 10 kB\nMemFree: 11 kB\nMemAvailable: 11 kB\n",
        ] {
            assert!(matches!(MemInfo::parse(text.as_bytes()), Err(Reason::Malformed(_))), "{text:?}");
        }
        assert!(MemInfo::parse(b"\xff\xfe").is_err());
    }

    #[test]
    fn free_memory_stands_for_what_is_available_where_that_cannot_be_believed() {
        // The figures of a container in nezhahq/nezha#1184; the cause is lxc/lxcfs#670.
        let odd = "MemTotal: 62500 kB\nMemFree: 33500 kB\nMemAvailable: 79273 kB\nCached: 17084 kB\n";
        let memory = MemInfo::parse(odd.as_bytes()).unwrap();
        assert_eq!((memory.total_bytes, memory.available_bytes), (62500 * KIB, 33500 * KIB));
        assert_eq!(memory.stand_in, Some(StandIn::FreeMemory));
        let old = "MemTotal: 1000 kB\nMemFree: 300 kB\nInactive(file): 200 kB\n";
        assert_eq!(MemInfo::parse(old.as_bytes()).unwrap().available_bytes, 500 * KIB);
        let full = "MemTotal: 1000 kB\nMemFree: 900 kB\nInactive(file): 200 kB\n";
        assert_eq!(MemInfo::parse(full.as_bytes()).unwrap().available_bytes, 1000 * KIB);
        assert_eq!(MemInfo::parse(TEXT.as_bytes()).unwrap().stand_in, None);
    }

    #[test]
    fn what_a_container_shows_of_its_host_is_none_of_its_own() {
        let text = format!("{TEXT}Hugetlb: 100 kB\n");
        let host = MemInfo::parse(text.as_bytes()).unwrap();
        assert_eq!((host.allocatable_bytes(), host.ordinary_bytes()), (400 * KIB, 900 * KIB));
        let guest = MemInfo::parse_as(text.as_bytes(), MemoryScope::Container).unwrap();
        assert_eq!((guest.allocatable_bytes(), guest.ordinary_bytes()), (600 * KIB, 1000 * KIB));
        assert_eq!((guest.cma_total_bytes, guest.huge_pages_bytes), (None, None));
        assert_eq!((host.nvmap_used_bytes, guest.nvmap_used_bytes), (Some(70 * KIB), None));
    }

    #[test]
    fn huge_pages_that_are_set_aside_are_told_by_all_pools_or_the_usual_one() {
        let pools = |text: &str| MemInfo::parse(format!("{TEXT}{text}").as_bytes()).unwrap().huge_pages_bytes;
        assert_eq!(pools(""), None);
        assert_eq!(pools("HugePages_Total: 3\nHugepagesize: 100 kB\n"), Some(300 * KIB));
        assert_eq!(pools("HugePages_Total: 3\nHugepagesize: 100 kB\nHugetlb: 700 kB\n"), Some(700 * KIB));
        assert_eq!(pools("HugePages_Total: 0\nHugepagesize: 2048 kB\nHugetlb: 0 kB\n"), Some(0));
        for odd in ["Hugetlb: 1001 kB\n", "HugePages_Total: 9007199254740991\nHugepagesize: 2048 kB\n"] {
            assert_eq!(pools(odd), None, "{odd:?}: more than there is");
        }
    }
}
