//! Free pages by the size of their run, huge pages, and the kernel's count of kills.

use super::{
    root::{Probe, Reason, SystemRoot, Unavailable},
    text::{count_field, kib, number, text},
};
use crate::sorting::sort_by_key;
use crate::units::MAX_BYTES;

/// The largest contiguous run of free pages by the text of `/proc/buddyinfo`, in bytes.
///
/// Column N counts free runs of 2^N pages. Source: `proc_buddyinfo(5)`.
///
/// # Errors
///
/// [`Reason::Malformed`] when there is no zone, or a column is no number.
pub fn largest_free_run_bytes(bytes: &[u8], page_bytes: u64) -> Result<u64, Reason> {
    let zones = free_runs(bytes, page_bytes)?;
    let free = zones.iter().flatten().filter(|run| run.count > 0);
    Ok(free.map(|run| run.bytes).max().unwrap_or(0))
}

/// How many free blocks of 2 MiB, each at a multiple of its size, the text of `/proc/buddyinfo` tells: what a driver that
/// maps such blocks can get without moving other pages. Longer runs count as the blocks that they hold.
///
/// # Errors
///
/// As [`largest_free_run_bytes`].
pub fn free_huge_block_count(bytes: &[u8], page_bytes: u64) -> Result<u64, Reason> {
    const BLOCK_BYTES: u64 = 2 << 20;
    let zones = free_runs(bytes, page_bytes)?;
    let blocks = zones.iter().flatten().map(|run| (run.bytes / BLOCK_BYTES).saturating_mul(run.count));
    Ok(blocks.fold(0, u64::saturating_add))
}

/// The free runs of one length in a zone.
struct FreeRuns {
    bytes: u64,
    count: u64,
}

fn free_runs(bytes: &[u8], page_bytes: u64) -> Result<Vec<Vec<FreeRuns>>, Reason> {
    const EXPECTED: Reason = Reason::Malformed("lines \"Node N, zone NAME\" with a count for each order");
    let run_of = |order: usize| {
        let run = 1_u64.checked_shl(order as u32)?.checked_mul(page_bytes)?;
        Some(run).filter(|run| *run <= MAX_BYTES)
    };
    let zone = |line: &str| {
        let counts = line.split_once(" zone ")?.1.split_ascii_whitespace().skip(1);
        let runs = counts.enumerate().map(|(order, count)| match number(count)? {
            // No machine has runs of orders that are beyond all memory.
            0 => Some(FreeRuns { bytes: run_of(order).unwrap_or(0), count: 0 }),
            count => Some(FreeRuns { bytes: run_of(order)?, count }),
        });
        runs.collect::<Option<Vec<_>>>()
    };
    let lines = text(bytes)?.lines().filter(|line| !line.trim().is_empty());
    let zones = lines.map(zone).collect::<Option<Vec<_>>>().ok_or(EXPECTED)?;
    if zones.is_empty() { Err(EXPECTED) } else { Ok(zones) }
}

/// Free pages that the kernel keeps apart for each processor, by the text of `/proc/zoneinfo`: neither `MemFree` nor
/// `MemAvailable` counts them. They come and go by tens of MiB; since Linux 6.7 their number is tuned by the kernel, up to an
/// eighth of a zone. Source: `proc_zoneinfo(5)`, under `pagesets`; `mm/page_alloc.c`.
pub(super) fn kept_page_count(bytes: &[u8]) -> Result<u64, Reason> {
    let counts = text(bytes)?.lines().filter_map(|line| number(line.trim_start().strip_prefix("count:")?));
    Ok(counts.fold(0, u64::saturating_add))
}

/// Kills by the OOM killer since the start, by the text of `/proc/vmstat`.
///
/// # Errors
///
/// [`Reason::Malformed`] on kernels before 4.13, which do not count them.
pub fn oom_kill_count(bytes: &[u8]) -> Result<u64, Reason> {
    count_field(text(bytes)?, "oom_kill").ok_or(Reason::Malformed("a line \"oom_kill N\""))
}

/// A pool of huge pages of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HugePages {
    /// The size of one page, in bytes.
    pub page_bytes: u64,
    /// Pages set aside.
    pub total_count: u64,
    /// Pages of these that are free.
    pub free_count: u64,
    /// Free pages of these that are promised to maps which have not touched them yet.
    pub reserved_count: u64,
}

impl HugePages {
    /// The pools of this machine, smallest pages first; usually empty ones.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] when the kernel has none, or a pool cannot be read.
    pub fn read(root: &SystemRoot) -> Probe<Vec<Self>> {
        const FOLDER: &str = "/sys/kernel/mm/hugepages";
        let size = |name: &String| kib(name.strip_prefix("hugepages-")?.strip_suffix("kB")?);
        let mut pools = Vec::new();
        let folders = root.folders_in(FOLDER)?;
        for (name, page_bytes) in folders.iter().filter_map(|name| Some((name, size(name)?))) {
            let count = |file: &str| {
                let path = format!("{FOLDER}/{name}/{file}");
                let possible =
                    |count: &u64| count.checked_mul(page_bytes).is_some_and(|all| all <= MAX_BYTES);
                let count = number(&root.read_text(&path)?).filter(possible);
                count
                    .ok_or_else(|| Unavailable::new(root.path(&path), Reason::Malformed("a number of pages")))
            };
            let total_count = count("nr_hugepages")?;
            let free_count = count("free_hugepages")?.min(total_count);
            let reserved_count = count("resv_hugepages")?.min(free_count);
            pools.push(Self { page_bytes, total_count, free_count, reserved_count });
        }
        if pools.is_empty() {
            return Err(Unavailable::new(root.path(FOLDER), Reason::Missing));
        }
        sort_by_key(&mut pools, |pool| pool.page_bytes);
        Ok(pools)
    }
}

/// When transparent huge pages are used: the word in brackets in
/// `/sys/kernel/mm/transparent_hugepage/enabled`, such as `madvise`.
///
/// # Errors
///
/// [`Unavailable`] when the kernel has none, or no word is chosen.
pub fn transparent_huge_pages(root: &SystemRoot) -> Probe<String> {
    const PATH: &str = "/sys/kernel/mm/transparent_hugepage/enabled";
    let text = root.read_text(PATH)?;
    let chosen = text.split_ascii_whitespace().find_map(|word| word.strip_prefix('[')?.strip_suffix(']'));
    chosen
        .map(str::to_owned)
        .ok_or_else(|| Unavailable::new(root.path(PATH), Reason::Malformed("a word in brackets")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const BUDDYINFO: &str = "Node 0, zone      DMA      1      1      1      0      2      1      1      0      1      1      3 \n\
                             Node 0, zone   Normal    216     55    189    101     84     38     37     27      5      0      0 \n";

    #[test]
    fn the_largest_run_is_that_of_the_last_column_with_a_count_in_any_zone() {
        assert_eq!(largest_free_run_bytes(BUDDYINFO.as_bytes(), 4096), Ok(4096 << 10));
        let normal = BUDDYINFO.lines().nth(1).unwrap();
        assert_eq!(largest_free_run_bytes(normal.as_bytes(), 4096), Ok(4096 << 8));
        assert_eq!(largest_free_run_bytes(b"Node 0, zone DMA 0 0 0\n", 4096), Ok(0));
        for text in ["", "\n", "Node 0", "Node 0, zone DMA 1 x", "Node 0, zone DMA -1"] {
            assert!(largest_free_run_bytes(text.as_bytes(), 4096).is_err(), "{text:?}");
        }
        let endless = format!("Node 0, zone DMA {}", "1 ".repeat(100));
        assert!(largest_free_run_bytes(endless.as_bytes(), 4096).is_err());
    }

    #[test]
    fn blocks_of_2_mib_are_counted_in_every_zone_and_in_longer_runs() {
        let count = |text: &str, page_bytes| free_huge_block_count(text.as_bytes(), page_bytes);
        // Orders 9 and 10 of pages of 4 KiB: 1 + 2 x 3 in DMA, 0 + 0 in Normal.
        assert_eq!(count(BUDDYINFO, 4096), Ok(7));
        assert_eq!(count("Node 0, zone DMA 9 9 9 9 9 9 9 9 9 0 0\n", 4096), Ok(0), "none is whole");
        // Of pages of 16 KiB order 7 is the first that is large enough.
        assert_eq!(count("Node 0, zone DMA 0 0 0 0 0 0 5 3 1 0 0\n", 16384), Ok(3 + 2));
        assert!(count("Node 0, zone DMA x", 4096).is_err());
    }

    #[test]
    fn pages_that_processors_keep_are_summed_over_zones_and_processors() {
        let text = "Node 0, zone      DMA\n  pages free     3840\n        high     37\n  pagesets\n    cpu: 0\n\
                                  count:    12\n              high:     0\n    cpu: 1\n              count:    30\n\
                    Node 0, zone   Normal\n  pagesets\n    cpu: 0\n              count:    400\n";
        assert_eq!(kept_page_count(text.as_bytes()), Ok(442));
        assert_eq!(kept_page_count(b"count: many\n"), Ok(0));
    }

    #[test]
    fn kills_are_counted_where_the_kernel_counts_them() {
        assert_eq!(oom_kill_count(b"nr_free_pages 1\noom_kill 4\n"), Ok(4));
        assert!(oom_kill_count(b"nr_free_pages 1\n").is_err());
    }

    #[test]
    fn pools_of_huge_pages_are_listed_by_size() {
        let folder = tempfile::tempdir().unwrap();
        let root = SystemRoot::at(folder.path());
        assert!(HugePages::read(&root).unwrap_err().is_absent());
        for (name, total, free, reserved) in [
            ("hugepages-1048576kB", "0", "0", "0"),
            ("hugepages-2048kB", "8\n", "3\n", "2\n"),
            ("x", "", "", ""),
        ] {
            let pool = folder.path().join("sys/kernel/mm/hugepages").join(name);
            fs::create_dir_all(&pool).unwrap();
            fs::write(pool.join("nr_hugepages"), total).unwrap();
            fs::write(pool.join("free_hugepages"), free).unwrap();
            fs::write(pool.join("resv_hugepages"), reserved).unwrap();
        }
        let pools = HugePages::read(&root).unwrap();
        let expected = HugePages { page_bytes: 2 << 20, total_count: 8, free_count: 3, reserved_count: 2 };
        assert_eq!(pools[0], expected);
        assert_eq!(pools[1].page_bytes, 1 << 30);
        fs::write(folder.path().join("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"), "many")
            .unwrap();
        assert!(HugePages::read(&root).unwrap_err().to_string().contains("a number of pages"));
    }
}
