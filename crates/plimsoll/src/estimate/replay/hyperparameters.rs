//! What the graph alone depends on, out of the metadata.

use super::family::{ExpertWeights, Family};
use crate::{
    error::Result,
    estimate::{
        architecture::{LayerMemory, StateKind},
        hyperparameters::Hyperparameters,
        keys::Keys,
    },
};

/// Experts of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ExpertChoice {
    /// How many a token passes.
    pub(super) used: u64,
    /// They are chosen in so many groups; 0 or 1 for all together.
    pub(super) groups: u64,
    pub(super) groups_used: u64,
    /// Their weights are divided by the sum.
    pub(super) divides: bool,
    /// Their weights are multiplied.
    pub(super) scales: bool,
}

impl ExpertChoice {
    pub(super) fn read(keys: &Keys<'_>, family: &Family) -> Result<Self> {
        let number = |key| keys.optional(key).map(|number| number.unwrap_or(0));
        let has_keys = family.expert_weights == ExpertWeights::Keys;
        let scale = keys.real("expert_weights_scale")?.unwrap_or(0.0);
        Ok(Self {
            used: keys.most("expert_used_count")?.unwrap_or(0),
            groups: number("expert_group_count")?,
            groups_used: number("expert_group_used_count")?,
            divides: match family.expert_weights {
                ExpertWeights::Plain | ExpertWeights::Chosen => false,
                ExpertWeights::Divided => true,
                ExpertWeights::Keys => number("expert_weights_norm")? != 0,
            },
            scales: has_keys && scale != 0.0 && (scale - 1.0).abs() > f64::EPSILON,
        })
    }
}

/// Widths of latent attention, in elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LatentWidths {
    /// What is cached of keys and values together.
    pub(super) latent: u64,
    /// What is turned by its position, of a head.
    pub(super) rotated: u64,
    /// The rest of a head's key.
    pub(super) plain: u64,
    /// A head's value.
    pub(super) value: u64,
}

impl LatentWidths {
    /// `None` where a key is missing, or they contradict each other.
    pub(super) fn read(keys: &Keys<'_>) -> Result<Option<Self>> {
        let names = [
            "attention.kv_lora_rank",
            "rope.dimension_count",
            "attention.key_length_mla",
            "attention.value_length_mla",
        ];
        let Some([latent, rotated, key, value]) = all_of(keys, names)? else { return Ok(None) };
        Ok(key.checked_sub(rotated).map(|plain| Self { latent, rotated, plain, value }))
    }
}

/// Tokens that a short convolution sees; `None` for a model without them.
pub(super) fn short_convolution(keys: &Keys<'_>, model: &Hyperparameters<'_>) -> Result<Option<u64>> {
    match model.architecture.memory {
        LayerMemory::Hybrid(_, StateKind::ShortConvolution) => keys.positive("shortconv.l_cache").map(Some),
        _ => Ok(None),
    }
}

/// Sizes of a layer with a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StateSizes {
    /// Tokens that the convolution sees.
    pub(super) convolution: u64,
    pub(super) inner: u64,
    pub(super) state: u64,
    /// Width of the time steps; heads in the second version.
    pub(super) steps: u64,
    /// Groups of the second version; `None` for the first.
    pub(super) groups: Option<u64>,
    /// The small projections are normed also without weights.
    pub(super) norms: bool,
}

impl StateSizes {
    /// `None` for a model without states, with states of another kind, or where a key is missing.
    pub(super) fn read(keys: &Keys<'_>, model: &Hyperparameters<'_>) -> Result<Option<Self>> {
        let (LayerMemory::Recurrent(kind) | LayerMemory::Hybrid(_, kind)) = model.architecture.memory else {
            return Ok(None);
        };
        let groups = match kind {
            StateKind::Mamba => None,
            StateKind::GroupedMamba => Some(keys.optional("ssm.group_count")?.unwrap_or(0)),
            StateKind::Rwkv
            | StateKind::ShortConvolution
            | StateKind::DeltaAttention
            | StateKind::LightningAttention => return Ok(None),
        };
        let names = ["ssm.conv_kernel", "ssm.inner_size", "ssm.state_size", "ssm.time_step_rank"];
        let norms = keys.optional("ssm.dt_b_c_rms")?.unwrap_or(0) != 0;
        let sizes = all_of(keys, names)?.filter(|_| groups != Some(0));
        Ok(sizes.map(|[convolution, inner, state, steps]| Self {
            convolution,
            inner,
            state,
            steps,
            groups,
            norms,
        }))
    }

    /// What the convolution runs over, of one token.
    pub(super) fn channels(&self) -> u64 {
        self.inner.saturating_add(self.group_states().saturating_mul(2))
    }

    /// One of the two vectors that all groups have, of one token.
    pub(super) fn group_states(&self) -> u64 {
        self.groups.unwrap_or(0).saturating_mul(self.state)
    }

    /// What a scan gives: a row for each token, and the last state of each slot.
    pub(super) fn scanned(&self, tokens: u64, slots: u64) -> u64 {
        self.inner.saturating_mul(tokens).saturating_add(self.kept(slots))
    }

    /// The states of so many slots.
    pub(super) fn kept(&self, slots: u64) -> u64 {
        self.inner.saturating_mul(self.state).saturating_mul(slots)
    }
}

/// The numbers of these keys; `None` where one is missing or 0.
fn all_of<const COUNT: usize>(keys: &Keys<'_>, names: [&str; COUNT]) -> Result<Option<[u64; COUNT]>> {
    let mut numbers = [0; COUNT];
    for (number, name) in numbers.iter_mut().zip(names) {
        *number = keys.optional(name)?.unwrap_or(0);
    }
    Ok((!numbers.contains(&0)).then_some(numbers))
}
