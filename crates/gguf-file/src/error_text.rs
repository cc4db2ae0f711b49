//! The messages of errors that say more than their fields.

// thiserror passes each field by reference.
#![allow(clippy::ref_option, clippy::ref_option_ref, clippy::trivially_copy_pass_by_ref)]

use std::{fmt, io};

use crate::{Foreign, ForkType, fork::whose};

pub(crate) fn bad_magic(
    found: &[u8; 4],
    foreign: &Option<Foreign>,
    formatter: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    let found = found.escape_ascii();
    write!(formatter, "not a GGUF file: expected it to begin with \"GGUF\", found \"{found}\"")?;
    match foreign {
        Some(foreign) => write!(formatter, "; it looks like {foreign}: {}", foreign.remedy()),
        None => Ok(()),
    }
}

pub(crate) fn removed_type(
    offset: &u64,
    tensor: &str,
    type_id: &u32,
    removed_name: &&'static str,
    is_removed: &bool,
    fork: &Option<&'static ForkType>,
    formatter: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    write!(formatter, "tensor {tensor:?} has type {type_id} at byte {offset}, ")?;
    match (fork, is_removed) {
        (None, _) => write!(
            formatter,
            "{removed_name}, which was removed from the format; quantise the model again with current tools"
        ),
        (Some(ForkType { name, fork, .. }), true) => write!(
            formatter,
            "{removed_name}, which was removed from the format, or {name} of {fork}; quantise the model again \
             with current tools if it is the first, and get it in a type of ggml's if it is the second"
        ),
        (Some(ForkType { name, fork, .. }), false) => write!(
            formatter,
            "{name} of {fork} (and not {removed_name}, which ggml once had under this id); no current tool \
             quantises that anew, so get the model in a type of ggml's, or use {fork}"
        ),
    }
}

pub(crate) fn unknown_type(
    offset: &u64,
    tensor: &str,
    type_id: &u32,
    formatter: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    write!(
        formatter,
        "tensor {tensor:?} has the unknown type {type_id} at byte {offset}; ids up to 42 are known"
    )?;
    match whose(*type_id).as_str() {
        "" => Ok(()),
        forks => write!(formatter, ", and this one is {forks}"),
    }
}

pub(crate) fn io(
    offset: &Option<u64>,
    source: &io::Error,
    formatter: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    match offset {
        Some(offset) => write!(formatter, "reading at byte {offset} failed: {source}"),
        None => write!(formatter, "opening failed: {source}"),
    }
}
