//! The matrices of layers that keep a state.

use gguf_file::Tensor;

use super::found::{contradicts, dimension};
use crate::{
    error::Result,
    estimate::{
        architecture::{LayerMemory, StateKind},
        hyperparameters::Hyperparameters,
        keys::Keys,
    },
};

/// What is said of layers with a state.
#[derive(Default)]
pub(super) struct State {
    /// Tokens that the convolution sees.
    convolution: u64,
    convolution_key: &'static str,
    inner: u64,
    /// Elements of an inner channel's state.
    per_channel: u64,
    groups: u64,
    /// Width of the time steps; heads in all but the first version.
    steps: u64,
    /// Channels of the convolution.
    channels: u64,
    /// Width of a head of delta attention, or of RWKV's.
    head: u64,
    is_first_version: bool,
}

impl State {
    pub(super) fn read(keys: &Keys<'_>, model: &Hyperparameters<'_>) -> Result<Self> {
        let (LayerMemory::Recurrent(kind) | LayerMemory::Hybrid(_, kind)) = model.architecture.memory else {
            return Ok(Self::default());
        };
        let number = |key| keys.optional(key).map(|number| number.unwrap_or(0));
        match kind {
            StateKind::Mamba | StateKind::GroupedMamba => {
                let is_first_version = kind == StateKind::Mamba;
                let (inner, per_channel) = (number("ssm.inner_size")?, number("ssm.state_size")?);
                let groups = if is_first_version { 0 } else { number("ssm.group_count")? };
                Ok(Self {
                    convolution: number("ssm.conv_kernel")?,
                    convolution_key: "ssm.conv_kernel",
                    inner,
                    per_channel,
                    groups,
                    steps: number("ssm.time_step_rank")?,
                    channels: inner.saturating_add(groups.saturating_mul(per_channel).saturating_mul(2)),
                    is_first_version,
                    ..Self::default()
                })
            }
            StateKind::ShortConvolution => Ok(Self {
                convolution: number("shortconv.l_cache")?,
                convolution_key: "shortconv.l_cache",
                ..Self::default()
            }),
            StateKind::Rwkv | StateKind::DeltaAttention | StateKind::LightningAttention => {
                Ok(Self::default())
            }
        }
    }

    pub(super) fn check(&self, keys: &Keys<'_>, (part, tensor): (&str, &Tensor<'_>)) -> Result<()> {
        let of = |key: &str, what: &str, index: usize, said: u64| {
            let found = dimension(tensor, index);
            if found == said {
                return Ok(());
            }
            Err(contradicts(keys, key, (what, tensor.name()), found, said.to_string()))
        };
        match part {
            "shortconv.conv.weight" if self.convolution > 0 => {
                of(self.convolution_key, "columns", 0, self.convolution)
            }
            "ssm_norm.weight" if self.head > 0 => of("kda.head_dim", "elements", 0, self.head),
            "time_mix_first.weight" if self.head > 0 => of("wkv.head_size", "columns", 0, self.head),
            _ if self.inner == 0 => Ok(()),
            "ssm_out.weight" => of("ssm.inner_size", "columns", 0, self.inner),
            "ssm_norm.weight" if self.groups > 0 && tensor.dims().len() > 1 => {
                of("ssm.group_count", "rows", 1, self.groups)
            }
            "ssm_a" if self.is_first_version => of("ssm.state_size", "columns", 0, self.per_channel),
            "ssm_dt.weight" if self.is_first_version => of("ssm.time_step_rank", "columns", 0, self.steps),
            "ssm_a" => {
                of("ssm.time_step_rank", "heads", tensor.dims().len().saturating_sub(1).min(1), self.steps)
            }
            "ssm_conv1d.weight" => {
                of(self.convolution_key, "columns", 0, self.convolution)?;
                let key = if self.is_first_version { "ssm.inner_size" } else { "ssm.state_size" };
                of(key, "rows", 1, self.channels)
            }
            _ => Ok(()),
        }
    }
}
