//! Any hyperparameters, tensors and options: nothing panics, nothing wraps, and the parts add up.
//!
//! `PLIMSOLL_HOSTILE_SECONDS=600 cargo test --release --test estimate_hostile -- --nocapture` goes on for so long, and tells which
//! input took longest.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod hostile;

use std::{
    panic::catch_unwind,
    time::{Duration, Instant},
};

use hostile::{Reached, estimate_hostile};

/// Bytes of an input: those of a model of a dozen blocks are fewer.
const INPUT_BYTES: usize = 1024;

/// Steele and Vigna's `SplitMix64` (OOPSLA 2014).
fn input(seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    };
    (0..INPUT_BYTES / 8).flat_map(|_| next().to_le_bytes()).collect()
}

#[test]
fn what_any_header_says_adds_up_or_is_refused() {
    let seconds = std::env::var("PLIMSOLL_HOSTILE_SECONDS").ok().and_then(|text| text.parse().ok());
    let first = std::env::var("PLIMSOLL_HOSTILE_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let (begun, mut slowest, mut reached) = (Instant::now(), (Duration::ZERO, 0), [0_u64; 4]);
    for seed in first.. {
        let is_over = match seconds {
            Some(seconds) => begun.elapsed() >= Duration::from_secs(seconds),
            None => seed - first >= 2000,
        };
        if is_over {
            break;
        }
        let (bytes, start) = (input(seed), Instant::now());
        let found = catch_unwind(|| estimate_hostile(&bytes)).unwrap_or_else(|_| panic!("seed {seed}"));
        slowest = slowest.max((start.elapsed(), seed));
        reached[found as usize] += 1;
    }
    println!("nothing, file, model, estimate: {reached:?}; slowest {slowest:?}");
    assert!(
        reached[Reached::Estimate as usize] * 10 > reached.iter().sum(),
        "{reached:?}: hardly an estimate"
    );
}
