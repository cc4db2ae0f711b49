//! What moves `MemAvailable` though nobody took anything.

use std::fs;

use rustix::param::page_size;

/// What the kernel keeps out of `MemAvailable` for a while, in bytes: free pages in the lists of each processor (`count`), which
/// grow to an eighth of a zone, and what a zone reclaims beyond its marks after pages of one kind had to be taken from blocks
/// of another (`boost`), up to one and a half times its upper mark. Source: `mm/page_alloc.c` and `si_mem_available` of 6.12.
pub fn withheld_bytes() -> u64 {
    let text = fs::read_to_string("/proc/zoneinfo").unwrap();
    let figure = |line: &str| {
        let line = line.trim();
        let figure = line.strip_prefix("count:").or_else(|| line.strip_prefix("boost "))?;
        Some(figure.trim().parse::<u64>().unwrap())
    };
    text.lines().filter_map(figure).sum::<u64>() * page_size() as u64
}
