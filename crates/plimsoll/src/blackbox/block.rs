//! A block: 4 KiB that are whole or count for nothing.
//!
//! ```text
//!      0  "PLIMSBBX"            24  boot id, 16 bytes          56  payload bytes
//!      8  version               40  since 1970, ms             60  the process
//!     12  what kind of moment   48  since the board            64  when it began to write, ns since the board started
//!     16  sequence                  started, ns                72  checksum over all of it but itself
//!                                                              80  the payload, then zeros
//! ```
//!
//! All numbers are little-endian. The checksum is the first 8 bytes of the SHA-256: a block a second costs nothing, and no
//! other hash is among the dependencies.

use sha2::{Digest, Sha256};

/// Bytes of a block: what disks and file systems write in one piece.
pub const BLOCK_BYTES: usize = 4096;

const MAGIC: [u8; 8] = *b"PLIMSBBX";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 80;
const CHECKSUM_AT: usize = 72;

/// What fits into a block beside its header.
pub(super) const PAYLOAD_BYTES: usize = BLOCK_BYTES - HEADER_BYTES;

/// Why a block was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MomentKind {
    /// The first one of a run.
    Start,
    /// Its time had come.
    Regular,
    /// Something happened that could not wait.
    Urgent,
    /// The last one: the writer was closed.
    End,
}

names!(MomentKind {
    Start => "start",
    Regular => "regular",
    Urgent => "urgent",
    End => "end",
});

/// Who wrote a block and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BlockStamp {
    pub(super) kind: MomentKind,
    /// Counts the blocks of a file; a run begins above all that is there.
    pub(super) sequence: u64,
    pub(super) boot: [u64; 2],
    pub(super) time_ms: u64,
    pub(super) boot_ns: u64,
    pub(super) pid: u32,
    /// When its run began, in nanoseconds since the board started.
    pub(super) began_ns: u64,
}

/// The block; a payload that is too long is cut, which makes it one that nobody can read.
pub(super) fn encoded(stamp: &BlockStamp, payload: &[u8]) -> Vec<u8> {
    let payload = payload.get(..payload.len().min(PAYLOAD_BYTES)).unwrap_or_default();
    let kind = MomentKind::ALL.iter().position(|kind| *kind == stamp.kind).unwrap_or(0);
    let mut block = Vec::with_capacity(BLOCK_BYTES);
    block.extend(MAGIC);
    block.extend(VERSION.to_le_bytes());
    block.extend((kind as u32).to_le_bytes());
    block.extend(stamp.sequence.to_le_bytes());
    block.extend(stamp.boot.iter().flat_map(|word| word.to_le_bytes()));
    block.extend(stamp.time_ms.to_le_bytes());
    block.extend(stamp.boot_ns.to_le_bytes());
    block.extend((payload.len() as u32).to_le_bytes());
    block.extend(stamp.pid.to_le_bytes());
    block.extend(stamp.began_ns.to_le_bytes());
    let sum = checksum(&block, payload);
    block.extend(sum);
    block.extend(payload);
    block.resize(BLOCK_BYTES, 0);
    block
}

/// What stands in a block; none where it is not whole, or of another version.
pub(super) fn decoded(block: &[u8]) -> Option<(BlockStamp, &[u8])> {
    let number = |at: usize| block.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes);
    let small = |at: usize| block.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
    if block.get(..8)? != MAGIC || small(8)? != VERSION {
        return None;
    }
    let payload_bytes = usize::try_from(small(56)?).ok().filter(|bytes| *bytes <= PAYLOAD_BYTES)?;
    let payload = block.get(HEADER_BYTES..HEADER_BYTES + payload_bytes)?;
    let head = block.get(..CHECKSUM_AT)?;
    if block.get(CHECKSUM_AT..HEADER_BYTES)? != checksum(head, payload) {
        return None;
    }
    let stamp = BlockStamp {
        kind: *MomentKind::ALL.get(usize::try_from(small(12)?).ok()?)?,
        sequence: number(16)?,
        boot: [number(24)?, number(32)?],
        time_ms: number(40)?,
        boot_ns: number(48)?,
        pid: small(60)?,
        began_ns: number(64)?,
    };
    Some((stamp, payload))
}

fn checksum(head: &[u8], payload: &[u8]) -> [u8; 8] {
    let whole = Sha256::new().chain_update(head).chain_update(payload).finalize();
    let mut first = [0; 8];
    for (to, from) in first.iter_mut().zip(whole) {
        *to = from;
    }
    first
}
