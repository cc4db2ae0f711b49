//! RAM that no counter owns: what drivers have taken for devices, which stands in no process and no control group.
//!
//! ```text
//!   MemTotal = MemFree + pages of programs and files + kernel memory that is counted + dark
//! ```
//!
//! On boards whose accelerators share the RAM the dark part is where a model goes: pages that a driver took by itself.

use super::{
    root::Reason,
    text::{field, kib_field, number, text},
};

/// RAM that no counter owns, at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct DarkMemory {
    /// All of it, in bytes: the total less everything that `/proc/meminfo` names, less what zram takes and the free pages
    /// that processors keep apart. A few hundred MiB are the kernel's own; it is the growth that tells.
    pub bytes: u64,
    /// How fast it has grown since the reading before, in bytes a second, below 0 where it shrank; `None` at the first.
    pub growth_bytes_per_second: Option<f64>,
}

/// Kernel memory that no other of these lines counts. `KernelStack` is not among them: stacks are part of `VmallocUsed` on
/// kernels that map them (the larger of both is taken), and `SwapCached` pages are in the lists of pages.
const OF_KERNEL: [&str; 15] = [
    "Slab",
    "PageTables",
    "SecPageTables",
    "Percpu",
    "Bounce",
    "WritebackTmp",
    "Zswap",
    "HardwareCorrupted",
    "Balloon",
    // Newer kernels count the pages of GPU drivers that use TTM.
    "GPUActive",
    "GPUReclaim",
    // Jetson's driver: what it has given out, and what it keeps for the next.
    "NvMapMemUsed",
    "NvMapMemFree",
    "ION_heap",
    "ION_heap_pool",
];

impl DarkMemory {
    /// From the text of `/proc/meminfo`. No page is subtracted twice: `Cached` holds `Shmem`, `MemFree` holds `CmaFree`, and
    /// of the two ways to count the pages of programs and files, by kind and by list, the larger is taken. Source:
    /// `proc_meminfo(5)`, and `meminfo_proc_show` of the kernel.
    ///
    /// # Errors
    ///
    /// [`Reason::Malformed`] where one of the lines is missing without which nothing can be told, or the lines add up to
    /// more than there is: they are not all of one machine, as in a container with lxcfs.
    pub fn parse(bytes: &[u8]) -> Result<Self, Reason> {
        const NEEDED: Reason = Reason::Malformed(
            "lines \"MemTotal\", \"MemFree\", \"Buffers\", \"Cached\", \"AnonPages\" and \"Slab\"",
        );
        const NOT_ONE: Reason = Reason::Malformed("lines that add up to no more than \"MemTotal\"");
        let text = text(bytes)?;
        let needed = |name| kib_field(text, name).ok_or(NEEDED);
        let or_none = |name| kib_field(text, name).unwrap_or(0);
        let total = needed("MemTotal")?;
        let by_kind = [needed("Buffers")?, needed("Cached")?, needed("AnonPages")?];
        let by_list = ["Active", "Inactive", "Unevictable"].map(or_none);
        needed("Slab")?;
        // Reclaimable kernel memory that is no slab.
        let other_reclaimable = or_none("KReclaimable").saturating_sub(or_none("SReclaimable"));
        let named = [
            needed("MemFree")?,
            sum(by_kind).max(sum(by_list)),
            sum(OF_KERNEL.map(or_none)),
            other_reclaimable,
            or_none("VmallocUsed").max(or_none("KernelStack")),
            huge_pages(text),
        ];
        let named = sum(named);
        // The lines are read one after the other, and some of them are kept in parts by each processor.
        let apart = named.saturating_sub(total);
        if apart > total / 64 {
            return Err(NOT_ONE);
        }
        Ok(Self { bytes: total.saturating_sub(named), growth_bytes_per_second: None })
    }

    /// Less what is known elsewhere and is in none of those lines.
    pub(super) fn less(self, bytes: u64) -> Self {
        Self { bytes: self.bytes.saturating_sub(bytes), ..self }
    }

    /// With the growth since an earlier reading.
    pub(super) fn since(self, before: &Self, elapsed_seconds: f64) -> Self {
        // Two readings at once tell no growth.
        let measured = elapsed_seconds > 1e-3;
        let grown = self.bytes as f64 - before.bytes as f64;
        let growth = measured.then(|| grown / elapsed_seconds).or(before.growth_bytes_per_second);
        Self { growth_bytes_per_second: growth, ..self }
    }
}

/// All huge pages that are set aside, used or not. Kernels before 4.19 give the pool of one size only.
fn huge_pages(text: &str) -> u64 {
    let of_one_size = || {
        let count = field(text, "HugePages_Total", ':').and_then(number).unwrap_or(0);
        count.saturating_mul(kib_field(text, "Hugepagesize").unwrap_or(0))
    };
    kib_field(text, "Hugetlb").unwrap_or_else(of_one_size)
}

fn sum<const N: usize>(parts: [u64; N]) -> u64 {
    parts.into_iter().fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::MIB;

    /// A machine of 8 GiB by the names and MiB of its lines.
    fn dark(lines: &[(&str, u64)]) -> Result<u64, Reason> {
        let mut all = vec![("MemTotal", 8192), ("MemFree", 1000), ("Buffers", 100), ("Cached", 2000)];
        all.extend([("AnonPages", 3000), ("Slab", 200)]);
        all.retain(|(name, _)| lines.iter().all(|(other, _)| other != name));
        all.extend_from_slice(lines);
        let lines: Vec<_> = all.iter().map(|(name, mib)| format!("{name}: {} kB", mib * 1024)).collect();
        DarkMemory::parse(lines.join("\n").as_bytes()).map(|dark| dark.bytes / MIB)
    }

    #[test]
    fn what_is_named_comes_off_the_total_once() {
        assert_eq!(dark(&[]), Ok(1892));
        assert_eq!(dark(&[("Shmem", 500), ("Mapped", 900), ("CmaFree", 100), ("SwapCached", 50)]), Ok(1892));
        assert_eq!(dark(&[("SReclaimable", 120), ("SUnreclaim", 80), ("KReclaimable", 150)]), Ok(1862));
        assert_eq!(dark(&[("VmallocUsed", 60), ("KernelStack", 20)]), Ok(1832));
        assert_eq!(dark(&[("VmallocUsed", 0), ("KernelStack", 20)]), Ok(1872));
        assert_eq!(dark(&[("Active", 4000), ("Inactive", 1000), ("Unevictable", 200)]), Ok(1792));
        assert_eq!(dark(&[("Active", 4000), ("Inactive", 1000)]), Ok(1892), "lists lag behind");
        assert_eq!(dark(&[("PageTables", 30), ("Percpu", 10), ("NvMapMemUsed", 800)]), Ok(1052));
        assert_eq!(dark(&[("Hugetlb", 1024), ("Hugepagesize", 2)]), Ok(868));
    }

    #[test]
    fn huge_pages_of_older_kernels_are_counted_by_their_number() {
        let text = "HugePages_Total:     512\nHugepagesize:       2048 kB\n";
        assert_eq!(huge_pages(text), 1024 * MIB);
        assert_eq!(huge_pages("HugePages_Total: many\n"), 0);
    }

    #[test]
    fn lines_that_are_missing_or_of_several_machines_tell_nothing() {
        assert!(DarkMemory::parse(b"MemTotal: 10 kB\nMemAvailable: 5 kB\n").is_err());
        assert!(DarkMemory::parse(b"\xff").is_err());
        assert_eq!(dark(&[("MemFree", 2900)]), Ok(0), "8 MiB apart");
        assert!(dark(&[("MemFree", 8000)]).is_err());
        assert!(dark(&[("Cached", u64::MAX >> 20)]).is_err());
    }

    #[test]
    fn growth_is_by_the_second_and_has_a_sign() {
        let at = |mib: u64| DarkMemory { bytes: mib * MIB, growth_bytes_per_second: None };
        let grown = at(300).since(&at(100), 0.5);
        assert_eq!(grown.growth_bytes_per_second, Some(400.0 * MIB as f64));
        assert_eq!(at(100).since(&grown, 2.0).growth_bytes_per_second, Some(-100.0 * MIB as f64));
        assert_eq!(at(0).since(&grown, 0.0).growth_bytes_per_second, grown.growth_bytes_per_second);
        assert_eq!(at(5).less(9 * MIB).bytes, 0);
    }

    #[test]
    fn of_this_machine_it_is_a_part() {
        let text = std::fs::read("/proc/meminfo").unwrap();
        // Where the lines do not add up, as in some containers, it says so.
        if let Ok(dark) = DarkMemory::parse(&text) {
            assert!(dark.bytes < kib_field(std::str::from_utf8(&text).unwrap(), "MemTotal").unwrap());
        }
    }
}
