//! Hostile files, made here byte by byte, and the rule each must break. README.md in this folder says what
//! each does to parsers that fall for it.

#![allow(clippy::expect_used, clippy::panic, reason = "a test may panic; its helpers fail with it")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/measured.rs"]
mod measured;

mod data;
mod groups;
mod header;
mod metadata;
mod tensor_infos;
mod whole_file;

use gguf_file::{Error, GgufFile, Limits, Options};
use measured::MIB;

/// Parses a file of this folder: refused or accepted, none may cost more than this.
#[track_caller]
fn parse_with(bytes: &[u8], options: &Options) -> Result<GgufFile, Error> {
    measured::bounded(16 * MIB, || GgufFile::from_bytes(bytes, options))
}

#[track_caller]
fn parse(bytes: &[u8]) -> Result<GgufFile, Error> {
    parse_with(bytes, &Options::default())
}

#[track_caller]
fn parse_header_only(bytes: &[u8]) -> Result<GgufFile, Error> {
    parse_with(bytes, &Options { header_only: true, ..Options::default() })
}

#[track_caller]
fn parse_strict(bytes: &[u8]) -> Result<GgufFile, Error> {
    parse_with(bytes, &Options { strict: true, ..Options::default() })
}

/// Somebody's options with no limits of their own.
fn unlimited() -> Options {
    let limits = Limits {
        key_bytes: u32::MAX,
        name_bytes: u32::MAX,
        string_bytes: u32::MAX,
        metadata_entries: u32::MAX,
        tensors: u32::MAX,
        header_bytes: u32::MAX,
        split_count: u32::MAX,
        ..Limits::default()
    };
    Options { limits, ..Options::default() }
}

/// The file is refused: for this rule, at this byte, with these values in the message.
#[track_caller]
fn refused(bytes: &[u8], rule: &str, offset: u64, values: &[&str]) {
    refused_by(parse(bytes), rule, offset, values);
}

#[track_caller]
fn refused_by(result: Result<GgufFile, Error>, rule: &str, offset: u64, values: &[&str]) {
    let error = result.expect_err("a hostile file is refused");
    let message = error.to_string();
    assert_eq!(error.rule(), rule, "{message}");
    assert_eq!(error.offset_bytes(), Some(offset), "{message}");
    for value in values {
        assert!(message.contains(value), "the message names {value}: {message}");
    }
}
