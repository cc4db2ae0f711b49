//! The 24 bytes every file begins with: magic, version, counts.

use super::{metadata, reader::HeaderReader, tensors};
use crate::{Error, Foreign, Limits};

const MAGIC: [u8; 4] = *b"GGUF";
const TENSOR_COUNT_OFFSET: u64 = 8;
const METADATA_COUNT_OFFSET: u64 = 16;

pub(super) struct Fixed {
    pub(super) version: u32,
    pub(super) tensors: usize,
    pub(super) metadata_entries: usize,
}

pub(super) fn read(reader: &mut HeaderReader<'_>, limits: &Limits) -> Result<Fixed, Error> {
    reader.claim("magic and version", 8, 0)?;
    expect_magic(reader)?;
    let version = reader.u32()?;
    expect_version(version)?;
    reader.claim("the counts of tensors and metadata entries", 16, 0)?;
    let tensors = reader.u64()?;
    let metadata_entries = reader.u64()?;
    expect_counts(tensors, metadata_entries, limits)?;
    reader.claim_entries(
        "metadata entries",
        METADATA_COUNT_OFFSET,
        metadata_entries,
        metadata::MINIMUM_BYTES,
    )?;
    reader.claim_entries("tensors", TENSOR_COUNT_OFFSET, tensors, tensors::MINIMUM_BYTES)?;
    Ok(Fixed { version, tensors: tensors as usize, metadata_entries: metadata_entries as usize })
}

fn expect_magic(reader: &mut HeaderReader<'_>) -> Result<(), Error> {
    let found = reader.word()?;
    if found == MAGIC {
        return Ok(());
    }
    let beginning = reader.beginning(Foreign::LOOKED_AT)?;
    Err(Error::BadMagic { found, foreign: Foreign::of(&beginning, reader.file_bytes()) })
}

/// The byte order is not written down; a version whose low half is zero can only be one of the other order.
fn expect_version(version: u32) -> Result<(), Error> {
    match version {
        2 | 3 => Ok(()),
        1 => Err(Error::Version1),
        _ if version != 0 && version.trailing_zeros() >= 16 => {
            Err(Error::BigEndian { version: version.swap_bytes() })
        }
        _ => Err(Error::UnsupportedVersion { version }),
    }
}

fn expect_counts(tensors: u64, metadata_entries: u64, limits: &Limits) -> Result<(), Error> {
    let limit = u64::from(limits.tensors);
    if tensors > limit {
        return Err(Error::TensorCountLimit { offset: TENSOR_COUNT_OFFSET, count: tensors, limit });
    }
    let limit = u64::from(limits.metadata_entries);
    if metadata_entries > limit {
        return Err(Error::MetadataCountLimit {
            offset: METADATA_COUNT_OFFSET,
            count: metadata_entries,
            limit,
        });
    }
    Ok(())
}
