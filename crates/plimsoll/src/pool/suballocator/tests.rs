use super::*;
use proptest::prelude::*;
use std::iter;

#[test]
fn below_a_limit_means_all_of_it_the_bytes_beyond_the_last_granule_too() {
    let mut slab = SubAllocator::new(1000);
    assert_eq!(slab.allocate_below(700, 1, 768), None, "the last block ends at 1000");
    let block = slab.allocate_below(700, 1, 1000).unwrap();
    assert_eq!((block.offset_bytes, block.size_bytes), (0, 1000));
}

#[test]
fn among_many_holes_the_lowest_is_found_once_they_are_in_order() {
    let mut slab = SubAllocator::new(1 << 20);
    let blocks: Vec<_> = (0..100).map(|_| slab.allocate(1, 1, End::Low).unwrap()).collect();
    for block in blocks.iter().step_by(2) {
        slab.free(block.node).unwrap();
    }
    assert_ne!(slab.clone().allocate_below(1, 1, 1 << 20).unwrap().offset_bytes, 0);
    slab.order_holes();
    for block in blocks.iter().step_by(2) {
        assert_eq!(slab.allocate_below(1, 1, 1 << 20).unwrap().offset_bytes, block.offset_bytes);
    }
}

#[test]
fn an_empty_slab_is_had_whole_at_any_size() {
    for bytes in [1, 255, 256, 257, 12_345, (1 << 30) + 77, (1 << 40) + (1 << 20)] {
        let mut slab = SubAllocator::new(bytes);
        assert_eq!(slab.largest_free_bytes(), bytes, "{bytes}");
        let block = slab.allocate(bytes, 1, End::Low).unwrap();
        assert_eq!((block.size_bytes, slab.free_bytes()), (bytes, 0));
        slab.free(block.node).unwrap();
        assert_eq!(slab.free(block.node), Err(StaleNode));
    }
}

#[test]
fn no_alignment_and_no_size_is_taken_for_another() {
    let mut slab = SubAllocator::new(1 << 20);
    for align_bytes in [0, 3, 257] {
        assert_eq!(slab.allocate(1, align_bytes, End::Low), None);
    }
    assert_eq!(slab.allocate(u64::MAX, 1, End::Low), None);
    let block = slab.allocate(0, 4096, End::High).unwrap();
    assert_eq!((block.offset_bytes, block.size_bytes), ((1 << 20) - 4096, 256));
}

const LONG: u64 = 64 * GRANULE_BYTES;
const LONGER: u64 = 65 * GRANULE_BYTES;

/// A slab full of blocks of these two sizes, which share a bin, each with one of a granule behind it.
fn full_slab(sizes: &[u64]) -> (SubAllocator, Vec<NodeId>) {
    let gaps_bytes = sizes.len() as u64 * GRANULE_BYTES;
    let mut slab = SubAllocator::new(sizes.iter().sum::<u64>() + gaps_bytes);
    let mut take = |bytes| slab.allocate(bytes, 1, End::Low).unwrap().node;
    let blocks = sizes.iter().map(|bytes| (take(*bytes), take(1)).0).collect();
    (slab, blocks)
}

#[test]
fn the_longest_hole_is_known_without_a_look_again_when_a_longer_one_has_gone() {
    let sizes: Vec<_> = iter::repeat_n(LONG, 1000).chain([LONGER]).collect();
    let (mut slab, blocks) = full_slab(&sizes);
    for block in blocks {
        slab.free(block).unwrap();
    }
    assert_eq!(slab.largest_free_bound_bytes(), LONGER);
    slab.allocate(LONGER, 1, End::Low).unwrap();
    assert_eq!(slab.largest_free_bound_bytes(), LONG);
}

#[test]
fn a_look_at_the_holes_is_remembered() {
    let sizes: Vec<_> = iter::once(LONGER).chain(iter::repeat_n(LONG, 100)).collect();
    for asks in [
        |slab: &mut SubAllocator| slab.largest_free_bytes() == LONG,
        |slab: &mut SubAllocator| slab.allocate(LONGER, 1, End::Low).is_none(),
    ] {
        let (mut slab, blocks) = full_slab(&sizes);
        for block in blocks {
            slab.free(block).unwrap();
        }
        slab.allocate(LONGER, 1, End::Low).unwrap();
        assert_eq!(slab.largest_free_bound_bytes(), LONGER, "the last of that bin, and gone");
        assert!(asks(&mut slab));
        assert_eq!(slab.largest_free_bound_bytes(), LONG);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Sizes of few bins, so that these have many blocks.
    #[test]
    fn every_bin_knows_its_longest(steps in prop::collection::vec((0..8_u8, any::<u16>()), 1..600)) {
        let mut slab = SubAllocator::new(4 << 20);
        let mut blocks = Vec::new();
        for (step, number) in steps {
            match step {
                0..=3 => {
                    let bytes = (64 + u64::from(number) % 6) * GRANULE_BYTES;
                    let end = if number & 64 == 0 { End::Low } else { End::High };
                    blocks.extend(slab.allocate(bytes, 1, end).map(|block| block.node));
                }
                4..=6 if !blocks.is_empty() => {
                    slab.free(blocks.swap_remove(number as usize % blocks.len())).unwrap();
                }
                _ => {
                    let holes = slab.blocks().filter(|span| span.node.is_none());
                    let longest = holes.map(|span| span.size_bytes).max().unwrap_or(0);
                    prop_assert!(slab.largest_free_bound_bytes() >= longest);
                    prop_assert_eq!(slab.largest_free_bytes(), longest);
                    prop_assert_eq!(slab.largest_free_bound_bytes(), longest);
                    slab.bins.check(&slab.nodes);
                }
            }
        }
    }
}
