//! The maps of buffers, and of those that were freed their addresses.
//!
//! Native code of others works by addresses that JavaScript gave it: Node.js compresses and hashes on threads of its own.
//! Where a buffer is released under such work, unmapping it would end the process by a signal. So the pages of a freed buffer
//! go back to the system, and its addresses stay, reading zero, until another buffer of the size has them.

use std::{collections::BTreeMap, io, mem, sync::Mutex};

use memmap2::MmapMut;

use crate::{device::kernel::discard_pages, sync::lock};

/// Maps without pages, by their size.
static KEPT: Mutex<BTreeMap<usize, Vec<MmapMut>>> = Mutex::new(BTreeMap::new());

/// A map that reads zero.
pub(super) fn take(bytes: usize) -> io::Result<MmapMut> {
    let kept = lock(&KEPT).get_mut(&bytes).and_then(Vec::pop);
    kept.map_or_else(|| MmapMut::map_anon(bytes).or_else(|refused| map_without_kept(bytes, refused)), Ok)
}

/// Where addresses are scarce, those that are kept for nobody go.
fn map_without_kept(bytes: usize, refused: io::Error) -> io::Result<MmapMut> {
    let kept = mem::take(&mut *lock(&KEPT));
    if kept.is_empty() {
        Err(refused)
    } else {
        drop(kept);
        MmapMut::map_anon(bytes)
    }
}

/// Releases the pages of a map.
pub(super) fn free(mut map: MmapMut) {
    if discard_pages(&mut map).is_ok() {
        lock(&KEPT).entry(map.len()).or_default().push(map);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A size that no other test takes.
    const BYTES: usize = 12 * 4096 + 4096 * 4096;

    #[test]
    fn what_was_freed_is_mapped_still_holds_no_pages_and_reads_zero_for_the_next() {
        let mut map = take(BYTES).unwrap();
        map.fill(7);
        let start = map.as_ptr();
        free(map);
        let again = take(BYTES).unwrap();
        assert_eq!(again.as_ptr(), start);
        assert!(again.iter().all(|byte| *byte == 0));
        free(again);
        assert!(
            map_without_kept(BYTES, io::Error::other("no addresses")).is_ok(),
            "those that were kept have gone"
        );
    }
}
