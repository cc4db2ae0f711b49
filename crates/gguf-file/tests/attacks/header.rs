//! Groups 1 to 5: the 24 bytes at the start.

use crate::{
    common::{Builder, parse},
    refused,
};

const HUGE_COUNTS: [u64; 5] = [u64::MAX, i64::MAX as u64, 1 << 40, 1 << 30, 1 << 24];

#[test]
fn truncated_before_the_header_is_whole() {
    refused(b"", "truncated", 0, &["8 bytes", "0 are left"]);
    refused(b"GGU", "truncated", 0, &["8 bytes", "3 are left"]);
    refused(b"GGUF", "truncated", 0, &["8 bytes", "4 are left"]);
    for cut in 8..24 {
        let left = format!("{} are left", cut - 8);
        refused(&Builder::new().build()[..cut], "truncated", 8, &["16 bytes", &left]);
    }
}

#[test]
fn bad_magic() {
    refused(&Builder { magic: *b"FUGG", ..Builder::new() }.build(), "bad-magic", 0, &["FUGG"]);
    refused(b"\x89PNG\r\n\x1a\n and more", "bad-magic", 0, &["\\x89PNG"]);
}

#[test]
fn unsupported_version() {
    for version in [0, 4, 5, 0xffff_ffff, 0x0003_0003] {
        let file = Builder { version, ..Builder::new() }.build();
        refused(&file, "unsupported-version", 4, &[&version.to_string()]);
    }
}

#[test]
fn version_1() {
    let file = Builder { version: 1, ..Builder::new() }.build();
    refused(&file, "version-1", 4, &["version 1", "convert"]);
    refused(&file[..16], "version-1", 4, &[]);
}

#[test]
fn big_endian() {
    for version in [2_u32, 3, 4] {
        let file = Builder { version: version.swap_bytes(), ..Builder::new() }.build();
        refused(&file, "big-endian", 4, &[&format!("version {version}")]);
    }
}

#[test]
fn metadata_count_limit() {
    for count in HUGE_COUNTS {
        let file = Builder { metadata_count: Some(count), ..Builder::new() }.data(76).build();
        refused(&file, "metadata-count-limit", 16, &[&count.to_string(), "100000"]);
    }
}

#[test]
fn tensor_count_limit() {
    for count in HUGE_COUNTS {
        let file = Builder { tensor_count: Some(count), ..Builder::new() }.data(76).build();
        refused(&file, "tensor-count-limit", 8, &[&count.to_string(), "1000000"]);
    }
}

#[test]
fn count_exceeds_file() {
    let entries = Builder { metadata_count: Some(6), ..Builder::new() }.data(76).build();
    refused(&entries, "count-exceeds-file", 16, &["6 metadata entries", "14 bytes", "76 bytes"]);
    let tensors = Builder { tensor_count: Some(4), ..Builder::new() }.data(76).build();
    refused(&tensors, "count-exceeds-file", 8, &["4 tensors", "25 bytes", "76 bytes"]);
    let both = Builder { metadata_count: Some(2), tensor_count: Some(2), ..Builder::new() }.data(76).build();
    refused(&both, "count-exceeds-file", 8, &["2 tensors", "48 bytes"]);
}

#[test]
fn a_header_without_tensors_or_metadata_is_accepted() {
    let file = parse(&Builder::new().build()).unwrap();
    assert_eq!((file.tensor_count(), file.metadata().len()), (0, 0));
    assert_eq!((file.header_bytes(), file.data_offset_bytes(), file.data_bytes()), (24, 24, 0));
}
