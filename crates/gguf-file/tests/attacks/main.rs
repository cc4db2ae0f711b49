//! Hostile files, made here byte by byte, and the rule each must break. README.md in this folder says what
//! each does to parsers that fall for it.

#![allow(clippy::expect_used, reason = "a test may panic; its helpers fail with it")]

#[path = "../common/mod.rs"]
mod common;

mod data;
mod header;
mod metadata;
mod tensor_infos;
mod whole_file;

use gguf_file::{Error, GgufFile};

/// The file is refused: for this rule, at this byte, with these values in the message.
#[track_caller]
fn refused(bytes: &[u8], rule: &str, offset: u64, values: &[&str]) {
    refused_by(common::parse(bytes), rule, offset, values);
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
