//! Layers that repeat: most of them can be left out of a graph without its memory being another.
//!
//! What the allocator does in a layer depends on what lies in memory as the layer begins, and on the layer. So where memory looks
//! the same at the ends of two layers, after which the same kinds of layers follow, whatever lies between them may stand there
//! once more, or ten times, and the peak stays the same. [`Shortened`] leaves such rounds out, and [`Shortened::is_proven`] looks
//! whether memory did look the same; where it did not, the graph has to be replayed whole.
//!
//! It rests on two things that the builders keep to: what is read by all layers is made once, so that leaving a layer out leaves out no
//! input, which would lie in memory from the beginning; and the last layer that reads an input is never left out, as rounds are left
//! out of the middle.

use std::{
    hash::{BuildHasher, RandomState},
    ops::Range,
};

use gguf_file::GgufFile;

use super::{decoder::Decoder, packing::Moment};
use crate::estimate::weights::block_of;

/// The most layers that a round may have.
const MOST_PERIOD: usize = 16;

/// Layers of a run of rounds that are kept at least, and rounds: the first differ, and memory may look the same at every other
/// end only.
const KEPT_LAYERS: usize = 6;
const KEPT_ROUNDS: usize = 3;

/// What tensors each block has, by a number for each block: blocks of one number have the same names and dimensions.
#[derive(Debug, Clone)]
pub(in crate::estimate) struct BlockShapes {
    numbers: Vec<u64>,
    hasher: RandomState,
}

impl BlockShapes {
    pub(in crate::estimate) fn of(files: &[&GgufFile], blocks: usize) -> Self {
        let hasher = RandomState::new();
        let mut numbers = vec![0_u64; blocks];
        for tensor in files.iter().flat_map(|file| file.tensors()) {
            let Some(block) = block_of(tensor.name()).and_then(|block| usize::try_from(block).ok()) else {
                continue;
            };
            let Some(number) = numbers.get_mut(block) else { continue };
            let part = tensor.name().splitn(3, '.').nth(2).unwrap_or_default();
            let dims = tensor.dims();
            // In whatever order they stand.
            *number = number.wrapping_add(hasher.hash_one((part, &*dims)));
        }
        Self { numbers, hasher }
    }

    /// A number for each layer: those of one number are built alike.
    fn kinds(&self, decoder: &Decoder<'_>) -> Vec<u64> {
        let model = decoder.model;
        let kind = |layer: usize| {
            let flags = [
                decoder.slides(layer),
                decoder.keeps_kv(layer),
                decoder.keeps_state(layer),
                decoder.is_rotated(layer),
                (layer as u64) < decoder.deep_layers,
            ];
            let heads = model.heads.get(layer).copied().unwrap_or(0);
            let figures = [heads, model.kv_heads_of(layer), model.feed_forward_of(layer)];
            self.hasher.hash_one((self.numbers.get(layer), flags, figures))
        };
        (0..model.layers).map(kind).collect()
    }
}

/// A model's layers without some of the rounds that repeat.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shortened {
    /// Those that are kept, by their numbers.
    pub(super) layers: Vec<usize>,
    period: usize,
    /// Where the kept rounds stand among them.
    rounds: Range<usize>,
}

impl Shortened {
    /// `None` where too little repeats.
    pub(super) fn of(shapes: &BlockShapes, decoder: &Decoder<'_>) -> Option<Self> {
        Self::of_kinds(&shapes.kinds(decoder))
    }

    fn of_kinds(kinds: &[u64]) -> Option<Self> {
        // The last layer may pick its tokens, so it is no part of a round.
        let inner = kinds.len().checked_sub(1)?;
        let best = (1..=MOST_PERIOD).filter_map(|period| {
            let run = longest_run(kinds.get(..inner)?, period);
            let kept = KEPT_LAYERS.max(KEPT_ROUNDS * period);
            // Rounds are left out in pairs: see `is_proven`.
            let left_out = run.len().saturating_sub(kept) / (2 * period) * (2 * period);
            (left_out > 0).then_some((left_out, period, run))
        });
        let (left_out, period, run) =
            best.max_by_key(|(left_out, period, _)| (*left_out, usize::MAX - period))?;
        let rounds = run.start..run.end - left_out;
        let layers = (0..rounds.end).chain(run.end..kinds.len()).collect();
        Some(Self { layers, period, rounds })
    }

    /// Whether memory looked the same a round later, or two, at the ends of two layers of the rounds.
    pub(super) fn is_proven(&self, moments: &[Moment]) -> bool {
        let ends = moments.get(self.rounds.clone()).unwrap_or_default();
        [self.period, 2 * self.period]
            .into_iter()
            .any(|later| ends.iter().zip(ends.iter().skip(later)).any(|(one, other)| one == other))
    }
}

/// The longest run in which each is the same as the one a period later.
fn longest_run(kinds: &[u64], period: usize) -> Range<usize> {
    let mut longest = 0..0;
    let mut start = 0;
    for end in period..=kinds.len() {
        let repeats = kinds.get(end).is_some_and(|kind| kinds.get(end - period) == Some(kind));
        if !repeats {
            if end - start > longest.len() {
                longest = start..end;
            }
            start = end + 1 - period;
        }
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(kinds: &str) -> Option<String> {
        let numbers: Vec<u64> = kinds.bytes().map(u64::from).collect();
        let shortened = Shortened::of_kinds(&numbers)?;
        Some(shortened.layers.into_iter().filter_map(|layer| kinds.chars().nth(layer)).collect())
    }

    #[test]
    fn pairs_of_rounds_are_left_out_of_the_longest_run_and_the_last_layer_stays() {
        let kept = |kinds: String| kept(&kinds);
        assert_eq!(kept("a".repeat(20)), Some("a".repeat(8)));
        assert_eq!(kept(format!("x{}b", "a".repeat(16))), Some(format!("x{}b", "a".repeat(6))));
        assert_eq!(kept("sssssf".repeat(5) + "ssss"), Some("sssssf".repeat(3) + "ssss"));
        assert_eq!(kept("ab".repeat(10)), Some("ab".repeat(4)));
        assert_eq!(kept("a".repeat(8)), None);
        assert_eq!(kept("abcdefghijklmnopqrstuvwxyz".to_owned()), None);
        assert_eq!(kept(String::new()), None);
    }
}
