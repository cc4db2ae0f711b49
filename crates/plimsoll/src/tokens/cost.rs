//! What tokens cost.

use crate::{
    error::{Error, Result},
    estimate::{ComputeDevice, ModelMemoryEstimate},
};

/// What one layer keeps for tokens and sequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenLayer {
    /// Keys and values of one token, in bytes.
    pub bytes_per_token: u64,
    /// Tokens of a sequence that it keeps at most; `None` for a layer that keeps all.
    pub window_tokens: Option<u64>,
    /// What it keeps of each sequence, however long that is: a recurrent state, in bytes.
    pub bytes_per_sequence: u64,
    /// Where it is kept.
    pub device: ComputeDevice,
}

/// Layers that differ in nothing but what they weigh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Group {
    device: ComputeDevice,
    window_tokens: Option<u64>,
    bytes_per_token: u64,
    bytes_per_sequence: u64,
}

/// What tokens cost in all layers together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenCost {
    layers: Vec<TokenLayer>,
    groups: Vec<Group>,
}

impl TokenCost {
    /// By layer.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] when a token costs nothing, or a window has no token.
    pub fn new(layers: Vec<TokenLayer>) -> Result<Self> {
        if layers.iter().any(|layer| layer.window_tokens == Some(0)) {
            return Err(Error::invalid_argument("windowTokens", "at least 1", "0"));
        }
        if layers.iter().all(|layer| layer.bytes_per_token == 0 && layer.bytes_per_sequence == 0) {
            let expected = "such that a token or a sequence costs at least a byte";
            return Err(Error::invalid_argument("cost", expected, "nothing in any layer"));
        }
        let mut groups: Vec<Group> = Vec::new();
        for layer in &layers {
            let alike = |group: &&mut Group| {
                group.device == layer.device && group.window_tokens == layer.window_tokens
            };
            if let Some(group) = groups.iter_mut().find(alike) {
                group.bytes_per_token = group.bytes_per_token.saturating_add(layer.bytes_per_token);
                group.bytes_per_sequence = group.bytes_per_sequence.saturating_add(layer.bytes_per_sequence);
            } else {
                let TokenLayer { device, window_tokens, bytes_per_token, bytes_per_sequence } = *layer;
                groups.push(Group { device, window_tokens, bytes_per_token, bytes_per_sequence });
            }
        }
        Ok(Self { layers, groups })
    }

    /// The same for every token, on the processor.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for 0.
    pub fn of_token(bytes_per_token: u64) -> Result<Self> {
        let device = ComputeDevice::Cpu;
        Self::new(vec![TokenLayer { bytes_per_token, window_tokens: None, bytes_per_sequence: 0, device }])
    }

    /// By the caches of an estimate.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for a model that keeps nothing of a token.
    pub fn of_estimate(estimate: &ModelMemoryEstimate) -> Result<Self> {
        let layers = estimate.layers.iter().map(|layer| TokenLayer {
            bytes_per_token: layer.bytes_per_token,
            window_tokens: layer.window_tokens,
            bytes_per_sequence: layer.bytes_per_sequence,
            device: layer.device,
        });
        Self::new(layers.collect())
    }

    /// By layer.
    #[must_use]
    pub fn layers(&self) -> &[TokenLayer] {
        &self.layers
    }

    /// What so many tokens of so many sequences cost on one device, in bytes.
    #[must_use]
    pub fn device_bytes(&self, device: ComputeDevice, tokens: u64, sequences: u64) -> u64 {
        let here = self.groups.iter().filter(|group| group.device == device);
        here.fold(0, |sum, group| sum.saturating_add(group.bytes(tokens, sequences)))
    }

    /// What so many tokens of so many sequences cost, in bytes.
    #[must_use]
    pub fn bytes(&self, tokens: u64, sequences: u64) -> u64 {
        self.groups.iter().fold(0, |sum, group| sum.saturating_add(group.bytes(tokens, sequences)))
    }

    /// How many tokens of so many sequences cost at most `bytes`; `u64::MAX` where the windows end the growth below that.
    #[must_use]
    pub fn tokens_within(&self, bytes: u64, sequences: u64) -> u64 {
        most_tokens(&|tokens| self.bytes(tokens, sequences) <= bytes)
    }

    /// The same of one device.
    #[must_use]
    pub fn device_tokens_within(&self, device: ComputeDevice, bytes: u64, sequences: u64) -> u64 {
        most_tokens(&|tokens| self.device_bytes(device, tokens, sequences) <= bytes)
    }
}

/// The most tokens that fit, by halves: what fits at all fits with fewer.
fn most_tokens(fit: &dyn Fn(u64) -> bool) -> u64 {
    if fit(u64::MAX) {
        return u64::MAX;
    }
    let (mut fits, mut exceeds) = (0, u64::MAX);
    while exceeds - fits > 1 {
        let middle = fits + (exceeds - fits) / 2;
        if fit(middle) {
            fits = middle;
        } else {
            exceeds = middle;
        }
    }
    fits
}

impl TokenLayer {
    /// What it keeps of so many tokens of so many sequences, in bytes.
    #[must_use]
    pub fn bytes(&self, tokens: u64, sequences: u64) -> u64 {
        let Self { bytes_per_token, window_tokens, bytes_per_sequence, .. } = *self;
        bytes(bytes_per_token, window_tokens, bytes_per_sequence, tokens, sequences)
    }
}

impl Group {
    fn bytes(&self, tokens: u64, sequences: u64) -> u64 {
        bytes(self.bytes_per_token, self.window_tokens, self.bytes_per_sequence, tokens, sequences)
    }
}

/// A window keeps its tokens of each sequence, and never more than there are.
fn bytes(per_token: u64, window: Option<u64>, per_sequence: u64, tokens: u64, sequences: u64) -> u64 {
    let kept = window.map_or(tokens, |window| tokens.min(window.saturating_mul(sequences)));
    per_token.saturating_mul(kept).saturating_add(per_sequence.saturating_mul(sequences))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn layer(bytes_per_token: u64, window_tokens: Option<u64>, bytes_per_sequence: u64) -> TokenLayer {
        TokenLayer { bytes_per_token, window_tokens, bytes_per_sequence, device: ComputeDevice::Cpu }
    }

    #[test]
    fn windows_end_the_growth_of_their_layers_and_states_count_by_sequence() {
        let cost =
            TokenCost::new(vec![layer(100, None, 0), layer(10, Some(50), 0), layer(0, None, 7)]).unwrap();
        assert_eq!(cost.bytes(20, 1), 2000 + 200 + 7);
        assert_eq!(cost.bytes(200, 1), 20_000 + 500 + 7);
        assert_eq!(cost.bytes(200, 3), 20_000 + 1500 + 21);
        assert_eq!(cost.bytes(u64::MAX, u64::MAX), u64::MAX, "saturates, and never wraps");
    }

    #[test]
    fn what_costs_nothing_is_refused() {
        for layers in [vec![], vec![layer(0, None, 0)], vec![layer(1, Some(0), 0)]] {
            assert_eq!(TokenCost::new(layers).unwrap_err().code(), "ERR_INVALID_ARGUMENT");
        }
    }

    proptest! {
        #[test]
        fn as_many_tokens_fit_as_one_more_would_not(
            layers in prop::collection::vec((1_u64..5000, prop::option::of(1_u64..5000), 0_u64..5000), 1..5),
            bytes in 0_u64..1 << 40,
            sequences in 0_u64..100,
        ) {
            let layers = layers.into_iter().map(|(token, window, sequence)| layer(token, window, sequence)).collect();
            let cost = TokenCost::new(layers).unwrap();
            let fits = cost.tokens_within(bytes, sequences);
            prop_assert!(fits == 0 || cost.bytes(fits, sequences) <= bytes);
            prop_assert!(fits == u64::MAX || cost.bytes(fits + 1, sequences) > bytes);
        }
    }
}
