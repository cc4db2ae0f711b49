//! What moves `MemAvailable` though nobody took anything.

use std::fs;

use rustix::param::page_size;

/// What the kernel keeps out of `MemAvailable` for a while, in bytes: free pages in the lists of each processor, which grow to
/// an eighth of a zone, and files and caches that it keeps for a boost.
///
/// A boost is what a zone reclaims beyond its marks after pages of one kind had to be taken from blocks of another, up to one
/// and a half times its upper mark. `MemAvailable` leaves the lower marks, boosts included, to files, and again to the kernel's
/// own caches, but never more than half of either: in a machine with few files a boost changes little. Source:
/// `mm/page_alloc.c` and `si_mem_available` of 6.12.
pub fn withheld_bytes() -> u64 {
    let zones = fs::read_to_string("/proc/zoneinfo").unwrap();
    let memory = fs::read_to_string("/proc/meminfo").unwrap();
    let listed = sum(&zones, "count:") * page_size() as u64;
    let (low, boost) = (sum(&zones, "low ") * page_size() as u64, sum(&zones, "boost ") * page_size() as u64);
    let files = (sum(&memory, "Active(file):") + sum(&memory, "Inactive(file):")) * 1024;
    let caches = sum(&memory, "KReclaimable:") * 1024;
    let kept = |bytes: u64| low.min(bytes / 2) - low.saturating_sub(boost).min(bytes / 2);
    listed + kept(files) + kept(caches)
}

/// Of a text of a word and a figure a line, the figures behind one word.
fn sum(text: &str, word: &str) -> u64 {
    let figures = text.lines().filter_map(|line| line.trim().strip_prefix(word));
    figures.map(|figure| figure.trim().trim_end_matches(" kB").parse::<u64>().unwrap()).sum()
}
