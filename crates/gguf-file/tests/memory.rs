//! What parsing costs in memory, measured by an allocator that counts.

mod common;
#[path = "common/measured.rs"]
mod measured;

use common::{Builder, array, nested_arrays, parse, string};
use measured::{MIB, bounded, live_bytes, peak_of};

#[track_caller]
fn refused_cheaply(file: &[u8]) {
    assert!(bounded(16 * MIB, || parse(file).map(drop)).is_err());
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
    refused_cheaply(&file);
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
    let file = bounded(80 * MIB, || parse(&file)).unwrap();
    let array = file.metadata().get("bytes").unwrap().as_array().unwrap();
    assert_eq!(array.as_le_bytes().map(<[u8]>::len), Some(64 * MIB));
}

#[test]
fn a_parsed_file_keeps_little_more_than_its_header() {
    let tokens: Vec<u8> = (0..100_000).flat_map(|index| string(format!("token {index}"))).collect();
    let file = Builder::new().entry("tokens", 9, array(8, 100_000, tokens)).build();
    let (peak, result) = peak_of(|| {
        let before = live_bytes();
        let result = parse(&file);
        (live_bytes() - before, result)
    });
    let (kept, result) = result;
    assert!(result.is_ok());
    assert!(kept < file.len() + 1024, "{kept} bytes kept of a header of {}", file.len());
    assert!(peak < 3 * file.len(), "{peak} bytes");
}
