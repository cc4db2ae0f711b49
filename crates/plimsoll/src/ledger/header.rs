//! The header of a ledger, by which it is known.

use std::{fs::File, io, os::unix::fs::FileExt};

use rustix::fs::fstat;

use super::{
    identity::{boot_id, now_ns},
    layout::{FILE_BYTES, HEADER_WORDS, MAGIC, ORDER, SLOT_BYTES, SLOT_COUNT, VERSION, checksum},
};

/// What a file is that has the ledger's name.
pub(super) enum Kind {
    Good,
    /// Of an earlier start of the board.
    Stale,
    /// Of no use, and why.
    Useless(String),
}

fn header() -> io::Result<[u64; HEADER_WORDS]> {
    let [first, second] = boot_id()?;
    let sizes = SLOT_COUNT as u64 | (SLOT_BYTES as u64) << 32;
    let words = [MAGIC, u64::from(VERSION) | u64::from(ORDER) << 32, sizes, first, second, now_ns()];
    let [magic, version, sizes, first, second, now] = words;
    Ok([magic, version, sizes, first, second, now, checksum(&words)])
}

/// The header of a ledger that is made now; or the call that failed.
pub(super) fn header_bytes() -> std::result::Result<Vec<u8>, (&'static str, io::Error)> {
    let words = header().map_err(|error| ("boot_id", error))?;
    Ok(words.iter().flat_map(|word| word.to_ne_bytes()).collect())
}

/// What that file is.
///
/// # Errors
///
/// Where the board does not say which start of it this is.
pub(super) fn kind(file: &File) -> io::Result<Kind> {
    let mut bytes = [0; HEADER_WORDS * 8];
    let is_whole = fstat(file).is_ok_and(|stat| stat.st_size.cast_unsigned() >= FILE_BYTES as u64);
    if !is_whole || file.read_exact_at(&mut bytes, 0).is_err() {
        return Ok(Kind::Useless("it is cut short".to_owned()));
    }
    let mut words = [0; HEADER_WORDS];
    for (word, part) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = u64::from_ne_bytes(part.try_into().unwrap_or_default());
    }
    let [magic, version, sizes, boot @ .., _, sum] = words;
    let [_, own_version, own_sizes, own_first, own_second, ..] = header()?;
    if magic != MAGIC {
        return Ok(Kind::Useless("it is no ledger of plimsoll's".to_owned()));
    }
    if version != own_version || sizes != own_sizes {
        let found = version as u32;
        return Ok(Kind::Useless(format!(
            "it is of version {found} of the format and this package has version {VERSION}: use one version of plimsoll on the \
             board"
        )));
    }
    if words.split_last().is_none_or(|(_, rest)| checksum(rest) != sum) {
        return Ok(Kind::Useless("its header is damaged".to_owned()));
    }
    Ok(if boot == [own_first, own_second] { Kind::Good } else { Kind::Stale })
}
