//! What else could be had than the best.

use crate::sorting::sort_by_key;
use std::cmp::Reverse;

use super::{configuration::Configuration, limits::FitLimits, options::FitAxis};
use crate::{estimate::model_memory::ModelMemoryEstimate, units::format_bytes};

/// Another choice on one axis, with the longest context that it leaves room for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trade {
    /// What is changed.
    pub axis: FitAxis,
    /// The whole configuration.
    pub configuration: Configuration,
    /// Tokens of a slot more than in the best; negative for fewer.
    pub context_gain: i64,
    /// Bytes that the same context takes less than in the best; negative for more, 0 if the best is not possible so.
    pub saved_bytes: i64,
    /// In words, such as `q8_0 KV: +9,216 tokens`.
    pub description: String,
}

/// What a trade is made of: a neighbour of the best.
pub(super) struct Neighbour {
    pub(super) axis: FitAxis,
    pub(super) configuration: Configuration,
    /// What the neighbour needs with the best's context.
    pub(super) same_context: Option<ModelMemoryEstimate>,
}

pub(super) fn trades(
    best: &Configuration,
    needs: &ModelMemoryEstimate,
    neighbours: Vec<Neighbour>,
    limits: &FitLimits,
) -> Vec<Trade> {
    let mut all: Vec<Trade> = neighbours
        .into_iter()
        .map(|it| {
            let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
            let context_gain = signed(it.configuration.context_length) - signed(best.context_length);
            let saved_bytes = it
                .same_context
                .as_ref()
                .map_or(0, |same| signed(needs.totals.peak_bytes) - signed(same.totals.peak_bytes));
            let possible = it.same_context.is_some_and(|same| limits.broken_by(&same).is_none());
            let description = describe(it.axis, best, &it.configuration, context_gain, saved_bytes, possible);
            Trade { axis: it.axis, configuration: it.configuration, context_gain, saved_bytes, description }
        })
        .collect();
    // Some choices change nothing, such as a map for a runtime that has none.
    all.retain(|trade| trade.context_gain != 0 || trade.saved_bytes != 0);
    sort_by_key(&mut all, |trade| Reverse((trade.context_gain, trade.saved_bytes)));
    all
}

fn describe(
    axis: FitAxis,
    best: &Configuration,
    other: &Configuration,
    gain: i64,
    saved: i64,
    possible: bool,
) -> String {
    let change = match axis {
        FitAxis::KvType => format!("{} KV", other.kv_type.name()),
        FitAxis::Ubatch => format!("ubatch {}", other.ubatch),
        FitAxis::Parallel => slots_in_words(best.parallel, other.parallel),
        FitAxis::Mmap if other.mmap => "a mapped file".to_owned(),
        FitAxis::Mmap => "no map of the file".to_owned(),
        FitAxis::Context => format!("{} tokens", grouped(other.context_length)),
    };
    let tokens = match gain {
        0 => String::new(),
        1.. => format!("+{} tokens", grouped(gain.unsigned_abs())),
        _ => format!("{} tokens fewer", grouped(gain.unsigned_abs())),
    };
    let bytes = match saved {
        1.. => format!("saves {}", format_bytes(saved.unsigned_abs())),
        ..=-1 if possible => format!("takes {} more", format_bytes(saved.unsigned_abs())),
        _ => String::new(),
    };
    let effects: Vec<String> = [tokens, bytes].into_iter().filter(|effect| !effect.is_empty()).collect();
    if effects.is_empty() { change } else { format!("{change}: {}", effects.join(", or ")) }
}

fn slots_in_words(best: u64, other: u64) -> String {
    match (other.checked_sub(best), best.checked_sub(other)) {
        (_, Some(1)) => "one slot fewer".to_owned(),
        (Some(1), _) => "one slot more".to_owned(),
        _ => format!("{other} slots"),
    }
}

/// A number with a comma between each three digits.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
