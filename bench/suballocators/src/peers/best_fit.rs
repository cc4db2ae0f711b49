use std::collections::{BTreeMap, BTreeSet};

use plimsoll::pool::GRANULE_BYTES;

use super::Peer;

/// The smallest free part that fits, the lowest of several: the plain way, with two trees of the standard library.
#[derive(Default)]
pub struct BestFit {
    by_size: BTreeSet<(u64, u64)>,
    by_start: BTreeMap<u64, u64>,
}

impl BestFit {
    fn insert(&mut self, start: u64, len: u64) {
        self.by_size.insert((len, start));
        self.by_start.insert(start, len);
    }

    fn remove(&mut self, start: u64, len: u64) {
        self.by_size.remove(&(len, start));
        self.by_start.remove(&start);
    }
}

impl Peer for BestFit {
    const NAME: &'static str = "BTree best fit";
    type Handle = (u64, u64);

    fn new(size_bytes: u64, _live: u32) -> Self {
        let mut this = Self::default();
        this.insert(0, size_bytes / GRANULE_BYTES);
        this
    }

    fn allocate(&mut self, bytes: u64) -> Option<(u64, u64)> {
        let wanted = bytes.div_ceil(GRANULE_BYTES);
        let (len, start) = *self.by_size.range((wanted, 0)..).next()?;
        self.remove(start, len);
        if len > wanted {
            self.insert(start + wanted, len - wanted);
        }
        Some((start, wanted))
    }

    fn free(&mut self, (mut start, mut len): (u64, u64)) {
        let above = self.by_start.range(start..).next().map(|(start, len)| (*start, *len));
        if let Some((above, above_len)) = above.filter(|(above, _)| *above == start + len) {
            self.remove(above, above_len);
            len += above_len;
        }
        let below = self.by_start.range(..start).next_back().map(|(start, len)| (*start, *len));
        if let Some((below, below_len)) = below.filter(|(below, below_len)| below + below_len == start) {
            self.remove(below, below_len);
            (start, len) = (below, below_len + len);
        }
        self.insert(start, len);
    }
}
