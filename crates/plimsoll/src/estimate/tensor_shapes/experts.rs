//! The matrices of experts.

use gguf_file::Tensor;

use super::found::{contradicts, dimension};
use crate::{
    error::Result,
    estimate::{hyperparameters::Hyperparameters, keys::Keys},
};

/// Families whose first `leading_dense_block_count` blocks have no experts.
const DENSE_FIRST: &[&str] = &[
    "afmoe",
    "bailingmoe2",
    "bailingmoe3",
    "cohere2moe",
    "deepseek",
    "deepseek2",
    "deepseek2-ocr",
    "deepseek32",
    "dots1",
    "dots3note",
    "ernie4_5-moe",
    "exaone-moe",
    "glm-dsa",
    "glm4moe",
    "glm5-next",
    "hy_v4",
    "kimi-k3",
    "kimi-linear",
    "laguna",
    "lfm2moe",
    "minimax-m3",
    "mistral4",
    "paddleocr",
];

const DENSE_KEY: &str = "leading_dense_block_count";

/// What is said of experts.
pub(super) struct Experts {
    all: u64,
    used: u64,
    /// Their width by block, where it is said.
    widths: Option<Vec<u64>>,
    /// The first blocks, which have none, in families where all others have them.
    dense: Option<u64>,
}

impl Experts {
    pub(super) fn read(keys: &Keys<'_>, model: &Hyperparameters<'_>) -> Result<Self> {
        let is_dense_first = DENSE_FIRST.contains(&model.name);
        let dense = keys.optional(DENSE_KEY)?.unwrap_or(0);
        Ok(Self {
            all: keys.optional("expert_count")?.unwrap_or(0),
            used: keys.most("expert_used_count")?.unwrap_or(0),
            widths: keys.per_block("expert_feed_forward_length", model.blocks)?,
            dense: is_dense_first.then_some(dense),
        })
    }

    /// A block behind the dense ones has experts.
    pub(super) fn check_dense(&self, keys: &Keys<'_>, layer: usize, name: &str) -> Result<()> {
        match self.dense.filter(|dense| self.all > 0 && layer as u64 >= *dense) {
            Some(dense) => {
                let expected = format!("more than {layer}, for {name} is none of experts");
                Err(keys.invalid(DENSE_KEY, expected, dense.to_string()))
            }
            None => Ok(()),
        }
    }

    pub(super) fn check(
        &self,
        keys: &Keys<'_>,
        model: &Hyperparameters<'_>,
        layer: usize,
        (part, tensor): (&str, &Tensor<'_>),
    ) -> Result<()> {
        let name = tensor.name();
        let (what, found) = match part {
            "ffn_gate_inp.weight" => ("rows", dimension(tensor, 1)),
            "ffn_up_exps.weight" | "ffn_gate_exps.weight" | "ffn_down_exps.weight" => {
                ("matrices", dimension(tensor, 2))
            }
            _ => return Ok(()),
        };
        if let Some(dense) = self.dense.filter(|dense| (layer as u64) < *dense) {
            let expected = format!("at most {layer}, for {name} is one of experts");
            return Err(keys.invalid(DENSE_KEY, expected, dense.to_string()));
        }
        if found != self.all {
            return Err(contradicts(keys, "expert_count", (what, name), found, self.all.to_string()));
        }
        if part != "ffn_down_exps.weight" {
            return Ok(());
        }
        let columns = dimension(tensor, 0);
        let shared = model.feed_forward_of(layer);
        let own =
            self.widths.as_ref().and_then(|widths| widths.get(layer).copied()).filter(|width| *width > 0);
        // Families differ in which of them they heed.
        let is_right = own == Some(columns)
            || shared == columns
            || own.is_none() && shared.checked_div(self.used) == Some(columns);
        if is_right {
            return Ok(());
        }
        let key = if own.is_some() { "expert_feed_forward_length" } else { "feed_forward_length" };
        let said = own.unwrap_or(shared).to_string();
        Err(contradicts(keys, key, ("columns", name), columns, said))
    }
}
