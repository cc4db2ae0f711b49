//! Whatever steps are taken, in whatever order.

use plimsoll::{
    pool::{BufferOptions, DefragmentOptions, Placement, PoolBuffer, PoolOptions},
    units::{KIB, MIB},
};
use proptest::prelude::*;

use crate::{is_signed, pool, sign, small};

#[derive(Debug, Clone)]
enum Step {
    Allocate { bytes: u64, transient: bool },
    Free(usize),
    Defragment(u64),
    Trim,
    Pin(usize),
    Unpin,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (1_u64..100_000, any::<bool>()).prop_map(|(bytes, transient)| Step::Allocate { bytes, transient }),
        4 => any::<usize>().prop_map(Step::Free),
        1 => (0_u64..6).prop_map(Step::Defragment),
        1 => Just(Step::Trim),
        1 => any::<usize>().prop_map(Step::Pin),
        1 => Just(Step::Unpin),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Against a plain list: nothing overlaps, nothing is lost, content survives whatever is moved.
    #[test]
    fn buffers_keep_their_bytes_and_the_map_adds_up(steps in prop::collection::vec(step(), 1..120)) {
        let pool = pool(PoolOptions { max_bytes: Some(MIB), ..small(256 * KIB) });
        let mut live: Vec<(u64, PoolBuffer)> = Vec::new();
        let mut pins = Vec::new();
        for (seed, step) in (0_u64..).zip(steps) {
            match step {
                Step::Allocate { bytes, transient } => {
                    let placement = if transient { Placement::Transient } else { Placement::LongLived };
                    let options = BufferOptions { placement, ..BufferOptions::default() };
                    if let Ok(buffer) = pool.allocate_growing(bytes, &options, &mut |_| false) {
                        sign(&buffer, seed);
                        live.push((seed, buffer));
                    }
                }
                Step::Free(index) if !live.is_empty() => {
                    let (seed, buffer) = live.swap_remove(index % live.len());
                    prop_assert!(is_signed(&buffer, seed));
                }
                Step::Defragment(moves) => {
                    let bounded = DefragmentOptions { max_moves: Some(moves), ..DefragmentOptions::default() };
                    pool.defragment(&bounded, &mut |_| true).unwrap();
                }
                Step::Pin(index) if !live.is_empty() => pins.push(live[index % live.len()].1.pin().unwrap()),
                Step::Trim => drop(pool.trim(0)),
                Step::Unpin => pins.clear(),
                Step::Free(_) | Step::Pin(_) => {}
            }
            let stats = pool.stats();
            let blocks: u64 = pool.slabs().iter().flat_map(|slab| &slab.blocks).map(|block| block.size_bytes).sum();
            prop_assert_eq!(blocks, stats.held_bytes, "no byte is lost");
            prop_assert_eq!(stats.used_bytes + stats.free_bytes, stats.held_bytes);
            prop_assert!(stats.held_bytes <= MIB && stats.buffer_count as usize >= live.len());
        }
        prop_assert!(live.iter().all(|(seed, buffer)| is_signed(buffer, *seed)));
        drop(pins);
        live.clear();
        prop_assert_eq!(pool.stats().used_bytes, 0);
        pool.trim(0);
        prop_assert_eq!(pool.stats().held_bytes, 0);
    }
}
