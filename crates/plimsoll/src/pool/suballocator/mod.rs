//! Offsets within one slab: which of its bytes are used. Knows no device and touches no memory but its own.
//!
//! ```text
//!   slab    0                                                                    size
//!           | weights | weights |   hole    | weights |        hole        | KV | tmp |
//!             End::Low ->                                                <- End::High
//!
//!   nodes   one for each block, used or free, linked with those below and above it: a
//!           block that is released becomes one with its free neighbours at once
//!
//!   bins    free blocks by size, 32 bins to each doubling, and a bit for each bin:
//!
//!           size    ...   62   63   64   66   68   70   72   74   76   78   80  ...
//!           bit     ...    0    0    1    0    0    0    1    0    0    0    1  ...
//!                                    |                   |                   |
//!                                   65 - 64              73                 81 - 80 - 81
//!
//!           a request for 65 looks at the first block of bin 64, which may be too short,
//!           and if it is, takes the first of the next bin that has any, which cannot be
//! ```
//!
//! Taking and releasing are a handful of steps, whatever the number of blocks. A free block lies in the bin of its
//! size rounded down, so rounding a request up as well would put the upper part of each free block out of reach: a
//! slab of 12345 granules could not give 12345. Looking at the bin of the request's own size first cures most of that.
//! The rest is cured before a request fails: only when no larger bin has a block are all blocks of that one bin looked
//! at. So **a request fails only if no free block can hold it**, and that last look is rare: it needs a request within
//! 1/32 of the largest free block. Each bin keeps a bound of its sizes, so that a request that is too large is refused,
//! and the size of the largest free block known, without a look. Only after a block as long as the bound has gone are the
//! others of the bin looked at, until one is found that is as long; if none is, their longest becomes the bound. Where `k`
//! of `n` blocks are the longest, one in `n / k` that goes is such, and `n / k` are looked at: one for each, by and large.
//!
//! The ideas are known ones: two-level segregated fit, with lists of free blocks by size under a bitmap (M. Masmano,
//! I. Ripoll, A. Crespo and J. Real, 2004), sizes binned as small floats with the metadata outside of the memory
//! (S. Aaltonen's `OffsetAllocator`, 2023), and boundary links to coalesce (D. Knuth, 1973).

#![deny(unsafe_code)]

mod allocator;
mod bins;
mod blocks;
mod nodes;

pub use allocator::{GRANULE_BYTES, SubAllocator};
pub use blocks::{Block, End, NodeId, Span, StaleNode};

#[cfg(test)]
mod tests;
