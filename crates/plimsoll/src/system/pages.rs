//! Free pages by the size of their run, huge pages, and the kernel's count of kills.

use super::{
    root::{Probe, Reason, SystemRoot, Unavailable},
    text::{count_field, kib, number, text},
};
use crate::units::MAX_BYTES;

/// The largest contiguous run of free pages by the text of `/proc/buddyinfo`, in bytes.
///
/// Column N counts free runs of 2^N pages. Source: `proc_buddyinfo(5)`.
///
/// # Errors
///
/// [`Reason::Malformed`] when there is no zone, or a column is no number.
pub fn largest_free_run_bytes(bytes: &[u8], page_bytes: u64) -> Result<u64, Reason> {
    const EXPECTED: Reason = Reason::Malformed("lines \"Node N, zone NAME\" with a count for each order");
    let mut largest: Option<u64> = None;
    for line in text(bytes)?.lines().filter(|line| !line.trim().is_empty()) {
        let (_, zone) = line.split_once(" zone ").ok_or(EXPECTED)?;
        let counts =
            zone.split_ascii_whitespace().skip(1).map(number).collect::<Option<Vec<_>>>().ok_or(EXPECTED)?;
        let order = counts.iter().rposition(|count| *count > 0);
        let run_of = |order: usize| {
            let run = 1_u64.checked_shl(order as u32)?.checked_mul(page_bytes)?;
            Some(run).filter(|run| *run <= MAX_BYTES)
        };
        let run = order.map_or(Some(0), run_of).ok_or(EXPECTED)?;
        largest = largest.max(Some(run));
    }
    largest.ok_or(EXPECTED)
}

/// Kills by the kernel's killer since the start, by the text of `/proc/vmstat`.
///
/// # Errors
///
/// [`Reason::Malformed`] on kernels before 4.13, which do not count them.
pub fn oom_kill_count(bytes: &[u8]) -> Result<u64, Reason> {
    count_field(text(bytes)?, "oom_kill").ok_or(Reason::Malformed("a line \"oom_kill N\""))
}

/// A pool of huge pages of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
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
        pools.sort_unstable_by_key(|pool| pool.page_bytes);
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
