//! Any bytes as each of the texts of /proc and /sys that tell of memory: a figure, or a reason, and no wrong figure.

#![no_main]

use libfuzzer_sys::fuzz_target;
use plimsoll::system::{
    DarkMemory, MemInfo, Pressure, ProcessMemory, Zram, free_huge_block_count, largest_free_run_bytes,
    oom_kill_count,
};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(memory) = MemInfo::parse(bytes) {
        assert!(memory.total_bytes > 0 && memory.available_bytes <= memory.total_bytes);
        assert!(memory.allocatable_bytes() <= memory.available_bytes);
        assert!(memory.cma_free_bytes <= memory.cma_total_bytes.or(memory.cma_free_bytes));
        assert!(memory.swap_free_bytes <= memory.swap_total_bytes.or(memory.swap_free_bytes));
    }
    if let Ok(pressure) = Pressure::parse(bytes) {
        for stall in [pressure.some, pressure.full] {
            assert!(
                [stall.avg10_percent, stall.avg60_percent, stall.avg300_percent]
                    .iter()
                    .all(|p| (0.0..=100.0).contains(p))
            );
        }
    }
    if let Ok(process) = ProcessMemory::parse(bytes) {
        assert!(process.peak_rss_bytes >= process.rss_bytes);
    }
    if let (Ok(dark), Ok(memory)) = (DarkMemory::parse(bytes), MemInfo::parse(bytes)) {
        assert!(dark.bytes <= memory.total_bytes);
    }
    let _ = (
        Zram::parse(bytes),
        free_huge_block_count(bytes, 4096),
        largest_free_run_bytes(bytes, 4096),
        largest_free_run_bytes(bytes, 65536),
        oom_kill_count(bytes),
    );
});
