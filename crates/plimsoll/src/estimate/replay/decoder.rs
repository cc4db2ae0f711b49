//! A model whose graph is known.

use gguf_file::GgufFile;

use super::{
    family::{FAMILIES, Family, Rotated},
    hyperparameters::{ExpertChoice, LatentWidths, StateSizes, short_convolution},
};
use crate::{
    error::Result,
    estimate::{
        cache::widest_value, hyperparameters::Hyperparameters, keys::Keys, layers::Layers, options::Run,
    },
};

/// The most experts a token that are replayed one by one.
const MOST_EXPERTS_USED: u64 = 64;

/// A model whose graph is known, and what that depends on.
pub(in crate::estimate) struct Decoder<'a> {
    files: &'a [&'a GgufFile],
    pub(super) model: &'a Hyperparameters<'a>,
    pub(super) layers: &'a Layers,
    pub(super) run: &'a Run,
    pub(super) family: &'static Family,
    pub(super) experts: ExpertChoice,
    /// With latent attention.
    pub(super) latent: Option<LatentWidths>,
    /// With layers that keep a state.
    pub(super) state: Option<StateSizes>,
    /// With layers of short convolutions, how many tokens one sees.
    pub(super) short_convolution: Option<u64>,
    /// Layers after which more of a picture's embedding is added.
    pub(super) deep_layers: u64,
    /// Elements of one token's values in the layer that has most.
    pub(super) widest_value: u64,
    /// Queries are multiplied by a figure of their position.
    pub(super) scales_queries: bool,
    /// Queries and keys are turned by their positions in some layer.
    rotates: bool,
}

impl<'a> Decoder<'a> {
    /// `None` for a family whose graph is not known, or a model of one that has tensors of another.
    pub(in crate::estimate) fn of(
        keys: &Keys<'_>,
        files: &'a [&'a GgufFile],
        model: &'a Hyperparameters<'a>,
        layers: &'a Layers,
        run: &'a Run,
    ) -> Result<Option<Self>> {
        let Some(family) = FAMILIES.iter().find(|family| family.name == model.name) else {
            return Ok(None);
        };
        // Of pictures that are added in other layers, and of layers that differ in how many experts they use, nothing is known.
        if keys.has("deepstack_mapping") || keys.is_list("expert_used_count") {
            return Ok(None);
        }
        let latent = if model.is_latent { LatentWidths::read(keys)? } else { None };
        let decoder = Self {
            files,
            model,
            layers,
            run,
            family,
            experts: ExpertChoice::read(keys, family)?,
            latent,
            state: StateSizes::read(keys, model)?,
            short_convolution: short_convolution(keys, model)?,
            widest_value: widest_value(model, layers).try_into().unwrap_or(u64::MAX),
            deep_layers: keys.optional("n_deepstack_layers")?.unwrap_or(0),
            scales_queries: family.scales_queries
                && keys.real("attention.temperature_scale")?.is_some_and(|scale| scale != 0.0),
            rotates: keys.optional("rope.scaling.finetuned")? != Some(0),
        };
        Ok((decoder.experts.used <= MOST_EXPERTS_USED && decoder.is_complete()).then_some(decoder))
    }

    /// A dimension of a layer's tensor, 1 where it has fewer; `None` where it is not there.
    fn dimension(&self, layer: usize, part: &str, index: usize) -> Option<u64> {
        let name = format!("blk.{layer}.{part}.weight");
        let tensor = self.files.iter().find_map(|file| file.tensor(&name))?;
        Some(tensor.dims().get(index).copied().unwrap_or(1))
    }

    pub(super) fn has(&self, layer: usize, part: &str) -> bool {
        self.dimension(layer, part, 0).is_some()
    }

    pub(super) fn has_bias(&self, layer: usize, part: &str) -> bool {
        let name = format!("blk.{layer}.{part}.bias");
        self.files.iter().any(|file| file.tensor(&name).is_some())
    }

    pub(super) fn has_feed_forward(&self, layer: usize) -> bool {
        self.has(layer, "ffn_gate_inp") || self.has(layer, "ffn_up")
    }

    /// Elements that a layer's matrix gives for each token: its second dimension. 0 where it is not there.
    pub(super) fn rows(&self, layer: usize, part: &str) -> u64 {
        self.dimension(layer, part, 1).unwrap_or(0)
    }

    /// Elements that a layer's matrix takes of each token: its first dimension. 0 where it is not there.
    pub(super) fn columns(&self, layer: usize, part: &str) -> u64 {
        self.dimension(layer, part, 0).unwrap_or(0)
    }

    pub(super) fn slides(&self, layer: usize) -> bool {
        self.layers.kinds.get(layer).is_some_and(|kind| kind.slides)
    }

    pub(super) fn keeps_state(&self, layer: usize) -> bool {
        self.layers.kinds.get(layer).is_some_and(|kind| kind.keeps_state)
    }

    pub(super) fn keeps_kv(&self, layer: usize) -> bool {
        self.layers.kinds.get(layer).is_some_and(|kind| kind.keeps_kv)
    }

    /// Whether the layer turns queries and keys by their positions.
    pub(super) fn is_rotated(&self, layer: usize) -> bool {
        match self.family.rotated {
            Rotated::All => true,
            Rotated::Sliding => self.slides(layer),
            Rotated::SlidingIfAny => self.slides(layer) || self.layers.window.is_none(),
            Rotated::AllButLastOf(every) => !(layer + 1).is_multiple_of(every),
            Rotated::UnlessSwitchedOff => self.rotates,
            Rotated::Nowhere => false,
        }
    }

    /// Whether every layer has the matrices that the graph reads.
    fn is_complete(&self) -> bool {
        (0..self.model.layers).all(|layer| self.mixes(layer) && self.feeds(layer))
    }

    /// Whether the layer has all of its attention, and of its state.
    fn mixes(&self, layer: usize) -> bool {
        let all = |parts: &[&str]| parts.iter().all(|part| self.has(layer, part));
        if self.keeps_state(layer) && !self.has_state_parts(layer) {
            return false;
        }
        if !self.keeps_kv(layer) {
            return self.keeps_state(layer) || self.has_feed_forward(layer);
        }
        let queries_keys_values = if self.model.is_latent {
            // Without flash attention the cache is copied, which blocks cannot be.
            let can_be_copied =
                self.run.options.flash_attention || self.run.options.kv_type_k.block_elements() == 1;
            can_be_copied
                && self.latent.is_some()
                && all(&["attn_kv_a_mqa", "attn_k_b", "attn_v_b"])
                && (all(&["attn_q"]) || all(&["attn_q_a", "attn_q_b"]))
        } else {
            !self.has(layer, "attn_kv_a_mqa") && (all(&["attn_qkv"]) || all(&["attn_q", "attn_k", "attn_v"]))
        };
        queries_keys_values && all(&["attn_output"])
    }

    fn has_state_parts(&self, layer: usize) -> bool {
        let all = |parts: &[&str]| parts.iter().all(|part| self.has(layer, part));
        if self.short_convolution.is_some() {
            return all(&["shortconv.in_proj", "shortconv.conv", "shortconv.out_proj"]);
        }
        let Some(sizes) = self.state else { return false };
        let has_small = sizes.groups.is_some() || all(&["ssm_x", "ssm_dt"]);
        has_small && all(&["ssm_in", "ssm_conv1d", "ssm_out"])
    }

    /// Whether the layer has all of its feed-forward network or experts, or needs none.
    fn feeds(&self, layer: usize) -> bool {
        let all = |parts: &[&str]| parts.iter().all(|part| self.has(layer, part));
        if self.has(layer, "ffn_gate_inp") {
            let has_shared = self.has(layer, "ffn_up_shexp");
            return self.experts.used > 0
                && all(&["ffn_up_exps", "ffn_gate_exps", "ffn_down_exps"])
                && (!has_shared || self.family.shares_experts && all(&["ffn_gate_shexp", "ffn_down_shexp"]));
        }
        let is_mixed = self.keeps_state(layer) || self.model.feed_forward_of(layer) == 0;
        is_mixed && !self.has_feed_forward(layer) || all(&["ffn_up", "ffn_down"])
    }
}
