//! Groups 1 to 5: the 24 bytes at the start.

use crate::{common::Builder, parse, parse_with, refused, refused_by, unlimited};

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

/// Begins as files do that people take for GGUF files.
#[test]
fn what_is_no_gguf_file_says_what_it_is_and_what_to_do() {
    let json = br#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    let safetensors = [&(json.len() as u64).to_le_bytes()[..], json, &[0; 4]].concat();
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 4368439584\n";
    let cases: [(&[u8], &str, &str); 16] = [
        (pointer, "a Git LFS pointer", "git lfs pull"),
        (b"<!DOCTYPE html>\n<html>", "a web page", "/resolve/"),
        (b"\r\n <HTML lang=de>", "a web page", "/resolve/"),
        (b"Entry not found", "the error message of a server", "address"),
        (b"{\"error\":\"Invalid username or password.\"}", "the error message", "token"),
        (b"tjgg\x03\0\0\0 and more", "before August 2023", "convert"),
        (b"lmgg and more", "before August 2023", "convert"),
        (b"fmgg\x01\0\0\0", "before August 2023", "convert"),
        (b"algg\x01\0\0\0", "before August 2023", "convert"),
        (b"MZqFpD='\n and a shell script", "a llamafile", "unzip"),
        (b"PK\x03\x04 and so on", "a zip archive", "unpack"),
        (b"\x80\x02\x8a\x0al\xfc\x9cF", "a Python pickle", "convert_hf_to_gguf"),
        (b"\x1f\x8b\x08 and so on", "a compressed file", "decompress"),
        (b"\x28\xb5\x2f\xfd and so on", "a compressed file", "decompress"),
        (&[0; 4096], "empty so far", "download"),
        (&safetensors, "a safetensors file", "convert_hf_to_gguf"),
    ];
    for (bytes, what, remedy) in cases {
        refused(bytes, "bad-magic", 0, &["it looks like", what, remedy]);
    }
    // No guess where nothing is known.
    for bytes in [&b"\x89PNG\r\n\x1a\n and more"[..], b"=\0\0\0\0\0\0\0nothing", b"FUGG\x03\0\0\0"] {
        let error = parse(bytes).unwrap_err();
        assert!(!error.to_string().contains("looks like"), "{error}");
    }
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

/// However much somebody allows, the file has to be there for it.
#[test]
fn count_exceeds_file_under_raised_limits() {
    for count in [1 << 30, 1 << 24, u64::from(u32::MAX)] {
        let entries = Builder { metadata_count: Some(count), ..Builder::new() }.data(76).build();
        let values = [&format!("{count} metadata entries")[..], "76 bytes"];
        refused_by(parse_with(&entries, &unlimited()), "count-exceeds-file", 16, &values);
        let tensors = Builder { tensor_count: Some(count), ..Builder::new() }.data(76).build();
        let values = [&format!("{count} tensors")[..], "76 bytes"];
        refused_by(parse_with(&tensors, &unlimited()), "count-exceeds-file", 8, &values);
    }
    for count in [u64::MAX, i64::MAX as u64, 1 << 40] {
        let entries = Builder { metadata_count: Some(count), ..Builder::new() }.data(76).build();
        refused_by(parse_with(&entries, &unlimited()), "metadata-count-limit", 16, &[&count.to_string()]);
        let tensors = Builder { tensor_count: Some(count), ..Builder::new() }.data(76).build();
        refused_by(parse_with(&tensors, &unlimited()), "tensor-count-limit", 8, &[&count.to_string()]);
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
