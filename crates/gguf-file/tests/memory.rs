//! What parsing costs in memory, measured by an allocator that counts.

// Only an allocator can see allocations, and `GlobalAlloc` is unsafe to implement; this one forwards to the
// system's.
#![allow(unsafe_code)]

mod common;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use common::{Builder, array, nested_arrays, parse, string};

struct Counting;

// Each test measures on its own thread, where the parser does all its work. A block freed on another thread than it
// was taken on would count there; the tests hand none over.
thread_local! {
    static LIVE: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

fn grow(bytes: usize) {
    let live = LIVE.get().wrapping_add(bytes);
    LIVE.set(live);
    PEAK.set(PEAK.get().max(live));
}

fn shrink(bytes: usize) {
    LIVE.set(LIVE.get().wrapping_sub(bytes));
}

// SAFETY: every call is passed on to the system's allocator with what it was given.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        shrink(layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    // A moved block counts with both its places, although large ones are remapped rather than copied.
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        grow(size);
        shrink(layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MIB: usize = 1 << 20;

/// The most that was live at once while `work` ran, over what was live before.
fn peak_of<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let before = LIVE.get();
    PEAK.set(before);
    let result = work();
    (PEAK.get() - before, result)
}

#[track_caller]
fn refused_cheaply(file: &[u8]) {
    let (peak, result) = peak_of(|| parse(file).map(drop));
    assert!(result.is_err());
    assert!(peak < 16 * MIB, "{peak} bytes for a file of {}: {result:?}", file.len());
}

#[test]
fn counts_that_cannot_be_true_cost_nothing() {
    for count in [u64::MAX, i64::MAX as u64, 1 << 40, 1 << 30, 1 << 24, 1_000_000, 100_000] {
        refused_cheaply(&Builder { tensor_count: Some(count), ..Builder::new() }.data(76).build());
        refused_cheaply(&Builder { metadata_count: Some(count), ..Builder::new() }.data(76).build());
    }
}

#[test]
fn lengths_that_cannot_be_true_cost_nothing() {
    for length in [u64::MAX, i64::MAX as u64, (1 << 30) + 1, (1 << 30) - 1, 64 << 20, 60_000, 101] {
        let length_alone = length.to_le_bytes();
        refused_cheaply(&Builder::new().raw_entry(&length_alone).data(100).build());
        refused_cheaply(&Builder::new().entry("k", 8, length_alone).data(100).build());
        refused_cheaply(&Builder::new().raw_tensor(&length_alone).data(100).build());
        for element_type in [0, 7, 8, 9, 10] {
            refused_cheaply(&Builder::new().entry("k", 9, array(element_type, length, [])).data(100).build());
        }
    }
}

#[test]
fn arrays_nested_a_million_deep_cost_nothing() {
    let file = Builder::new().entry("k", 9, nested_arrays(2_000_000)).build();
    let (peak, result) = peak_of(|| parse(&file).map(drop));
    assert!(result.is_err());
    assert!(peak < 16 * MIB, "{peak} bytes");
}

#[test]
fn a_hundred_thousand_empty_arrays_cost_no_more_than_their_bytes() {
    let value = array(9, 100_000, array(0, 0, []).repeat(100_000));
    let file = Builder::new().entry("k", 9, value).build();
    let (peak, result) = peak_of(|| parse(&file).map(drop));
    assert!(result.is_ok());
    assert!(peak < 3 * file.len(), "{peak} bytes for a file of {}", file.len());
}

#[test]
fn an_array_of_64_mib_costs_less_than_80_mib() {
    let value = array(0, 64 * MIB as u64, vec![7; 64 * MIB]);
    let file = Builder::new().entry("bytes", 9, value).text("after", "it").u32("and", 1).build();
    let (peak, result) = peak_of(|| parse(&file));
    let array = result.as_ref().unwrap().metadata().get("bytes").unwrap().as_array().unwrap();
    assert_eq!(array.as_le_bytes().map(<[u8]>::len), Some(64 * MIB));
    assert!(peak < 80 * MIB, "{peak} bytes");
}

#[test]
fn a_parsed_file_keeps_little_more_than_its_header() {
    let tokens: Vec<u8> = (0..100_000).flat_map(|index| string(format!("token {index}"))).collect();
    let file = Builder::new().entry("tokens", 9, array(8, 100_000, tokens)).build();
    let (peak, result) = peak_of(|| {
        let before = LIVE.get();
        let result = parse(&file);
        (LIVE.get() - before, result)
    });
    let (kept, result) = result;
    assert!(result.is_ok());
    assert!(kept < file.len() + 1024, "{kept} bytes kept of a header of {}", file.len());
    assert!(peak < 3 * file.len(), "{peak} bytes");
}
