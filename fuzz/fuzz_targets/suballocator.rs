//! Any sequence of takings and releases of a slab, beside a plain list of what is taken: nothing overlaps, no byte is lost,
//! nothing that fits is refused, and a name is good once.

#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use plimsoll::pool::{Block, End, GRANULE_BYTES, SubAllocator};

/// What is taken, by its offset.
type Shadow = BTreeMap<u64, Block>;

/// The free blocks, from the low end on.
fn holes(shadow: &Shadow, size_bytes: u64) -> Vec<(u64, u64)> {
    let mut holes = Vec::new();
    let mut end = 0;
    for (offset, block) in shadow {
        assert!(*offset >= end, "two blocks overlap");
        if *offset > end {
            holes.push((end, *offset));
        }
        end = offset + block.size_bytes;
    }
    assert!(end <= size_bytes, "a block beyond the slab");
    if end < size_bytes {
        holes.push((end, size_bytes));
    }
    holes
}

fn fits(holes: &[(u64, u64)], bytes: u64, align_bytes: u64, size_bytes: u64) -> bool {
    let align_bytes = align_bytes.max(GRANULE_BYTES);
    holes.iter().any(|(start, end)| {
        let first = start.next_multiple_of(align_bytes);
        // What the slab has beyond its last whole granule belongs to its last block alone.
        let room = if *end == size_bytes { size_bytes } else { *end };
        first + bytes <= room
    })
}

fuzz_target!(|bytes: &[u8]| {
    let Some((head, steps)) = bytes.split_at_checked(3) else { return };
    let size_bytes = u64::from(u32::from_le_bytes([head[0], head[1], head[2], 0]));
    let mut slab = SubAllocator::new(size_bytes);
    let mut shadow = Shadow::new();
    let mut gone = Vec::new();
    for step in steps.chunks_exact(4) {
        let number = u64::from(u16::from_le_bytes([step[1], step[2]]));
        match step[0] % 8 {
            0..=3 => {
                let bytes = (number << (step[3] % 9)).max(1);
                let align_bytes = 1 << (step[3] / 9 % 16);
                let end = if step[0] & 8 == 0 { End::Low } else { End::High };
                let holes = holes(&shadow, size_bytes);
                match slab.allocate(bytes, align_bytes, end) {
                    Some(block) => {
                        assert!(block.offset_bytes.is_multiple_of(align_bytes) && block.size_bytes >= bytes);
                        assert!(shadow.insert(block.offset_bytes, block).is_none(), "taken twice");
                    }
                    None => assert!(
                        !fits(&holes, bytes, align_bytes, size_bytes),
                        "a hole of {bytes} was refused"
                    ),
                }
            }
            4..=6 if !shadow.is_empty() => {
                let offset = *shadow.keys().nth(number as usize % shadow.len()).expect("one of them");
                let block = shadow.remove(&offset).expect("it is there");
                assert_eq!(slab.free(block.node), Ok(block.size_bytes));
                gone.push(block.node);
            }
            7 if step[3] == 255 => slab.order_holes(),
            7 if !shadow.is_empty() => {
                let limit = number * GRANULE_BYTES;
                if let Some(block) = slab.allocate_below(u64::from(step[3]) + 1, 1, limit) {
                    assert!(block.offset_bytes + block.size_bytes <= limit, "not below");
                    assert!(shadow.insert(block.offset_bytes, block).is_none(), "taken twice");
                }
            }
            _ => {}
        }
        for node in gone.drain(..) {
            assert!(slab.free(node).is_err(), "freed twice");
        }
        let used: u64 = shadow.values().map(|block| block.size_bytes).sum();
        assert_eq!((slab.used_bytes(), slab.free_bytes()), (used, size_bytes - used));
        assert_eq!(slab.block_count() as usize, shadow.len());
        let largest = holes(&shadow, size_bytes).iter().map(|(start, end)| end - start).max().unwrap_or(0);
        // Before and after it was asked for, which mends it.
        assert!(slab.largest_free_bound_bytes() >= largest);
        if step[0] & 16 == 0 {
            assert_eq!(slab.largest_free_bytes(), largest);
            assert_eq!(slab.largest_free_bound_bytes(), largest);
        }
    }
    let spans: Vec<_> = slab.blocks().collect();
    assert_eq!(spans.iter().map(|span| span.size_bytes).sum::<u64>(), size_bytes);
    assert!(
        spans.windows(2).all(|pair| pair[0].node.is_some() || pair[1].node.is_some()),
        "two holes side by side"
    );
    for block in shadow.into_values() {
        slab.free(block.node).expect("still taken");
    }
    assert_eq!((slab.largest_free_bytes(), slab.block_count()), (size_bytes, 0));
});
