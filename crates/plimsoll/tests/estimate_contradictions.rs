//! Hyperparameters against each other and against the tensors: what llama.cpp refuses to load has no estimate.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod headers;

use std::collections::BTreeMap;

use plimsoll::{
    Error,
    estimate::{EstimateOptions, estimate},
};
use serde_json::{Value, json};

use headers::header;

type Keys = BTreeMap<String, Value>;

/// A model whose keys and tensors agree.
struct Model {
    architecture: &'static str,
    keys: Keys,
    tensors: Vec<(String, Vec<u64>)>,
}

impl Model {
    fn new(architecture: &'static str, keys: Value, tensors: &[(&str, &[u64])]) -> Self {
        let mut all: Keys = serde_json::from_value(json!({
            "block_count": 2, "context_length": 2048, "embedding_length": 256, "vocab_size": 1000,
            "feed_forward_length": 512, "attention.head_count": 8, "attention.head_count_kv": 2,
            "attention.key_length": 64, "attention.value_length": 64,
        }))
        .unwrap();
        all.extend(serde_json::from_value::<Keys>(keys).unwrap());
        let tensors = tensors.iter().map(|(name, dims)| ((*name).to_owned(), dims.to_vec())).collect();
        Self { architecture, keys: all, tensors }
    }

    /// The key that is refused, and why, with this one changed.
    fn refused(&self, key: &str, value: &Value) -> Option<(String, String)> {
        let mut keys = self.keys.clone();
        keys.insert(key.to_owned(), value.clone());
        let file = header(self.architecture, &keys, &self.tensors);
        match estimate(&[&file], &EstimateOptions::default()) {
            Ok(_) => None,
            Err(Error::InvalidModel { key, expected, .. }) => Some((key, expected)),
            Err(error) => panic!("{}: {key} = {value}: {error}", self.architecture),
        }
    }

    /// Holds what is refused to the key's name, and to that of the tensor where there is one.
    #[track_caller]
    fn check(&self, cases: &Value) {
        let unchanged = self.refused("general.of_no_meaning", &json!(1));
        assert_eq!(unchanged, None, "{}", self.architecture);
        for case in cases.as_array().unwrap() {
            let (key, value, tensor) = (case[0].as_str().unwrap(), &case[1], case[2].as_str().unwrap());
            let (named, expected) = self.refused(key, value).unwrap_or_else(|| panic!("not refused: {case}"));
            assert_eq!(named, format!("{}.{key}", self.architecture), "{case}: {expected}");
            assert!(expected.contains(tensor), "{case}: {expected}");
        }
    }
}

const BLOCK: [(&str, &[u64]); 8] = [
    ("token_embd.weight", &[256, 1000]),
    ("blk.0.attn_q.weight", &[256, 512]),
    ("blk.0.attn_k.weight", &[256, 128]),
    ("blk.0.attn_v.weight", &[256, 128]),
    ("blk.0.ffn_up.weight", &[256, 512]),
    ("blk.0.ffn_down.weight", &[512, 256]),
    ("blk.1.attn_k.weight", &[256, 128]),
    ("output.weight", &[256, 1000]),
];

#[test]
fn heads_widths_and_vocabulary_that_are_not_those_of_the_tensors_are_refused_by_key_and_tensor() {
    let model = Model::new("llama", json!({}), &BLOCK);
    model.check(&json!([
        ["embedding_length", 512, "token_embd.weight"],
        ["vocab_size", 999, "token_embd.weight"],
        ["vocab_size", 1001, "token_embd.weight"],
        ["attention.head_count", 4, "blk.0.attn_q.weight"],
        ["attention.head_count_kv", 4, "blk.0.attn_k.weight"],
        ["attention.head_count_kv", [2, 4], "blk.1.attn_k.weight"],
        ["attention.key_length", 32, "blk.0.attn_q.weight"],
        ["attention.value_length", 32, "blk.0.attn_v.weight"],
        ["feed_forward_length", 1024, "blk.0.ffn_"],
        ["feed_forward_length", 0, "blk.0.ffn_"],
        ["rope.dimension_count", 32, "a head's key"],
        ["block_count", 3, "blk.2"],
        ["block_count", 1, "blk.1"],
        ["nextn_predict_layers", 3, "block_count"],
        ["nextn_predict_layers", 2, "block_count"],
    ]));
}

#[test]
fn a_family_is_held_to_the_matrices_of_its_own_kind() {
    // Queries as wide as a token, whatever the heads are.
    let wide: [(&str, &[u64]); 2] =
        [("blk.0.attn_q.weight", &[256, 256]), ("blk.0.attn_k.weight", &[256, 128])];
    let keys = json!({ "block_count": 1, "attention.head_count": 4 });
    Model::new("qwen2", keys.clone(), &wide).check(&json!([
        ["attention.head_count_kv", 4, "blk.0.attn_k.weight"],
        ["embedding_length", 512, "blk.0.attn_q.weight"],
    ]));
    // All three in one matrix.
    let fused: [(&str, &[u64]); 1] = [("blk.0.attn_qkv.weight", &[256, 256 + 2 * 128])];
    Model::new("gpt2", keys, &fused).check(&json!([["attention.value_length", 32, "blk.0.attn_qkv.weight"]]));
    // A gate beside each query.
    let gated: [(&str, &[u64]); 2] =
        [("blk.3.attn_q.weight", &[256, 2 * 512]), ("blk.3.attn_k.weight", &[256, 128])];
    let keys = json!({
        "block_count": 4, "ssm.conv_kernel": 4, "ssm.inner_size": 512, "ssm.state_size": 64, "ssm.group_count": 2,
        "ssm.time_step_rank": 8,
    });
    let mut model = Model::new("qwen3next", keys, &gated);
    model.tensors.extend((0..3).map(|layer| (format!("blk.{layer}.attn_norm.weight"), vec![256])));
    model.check(&json!([["attention.head_count", 16, "blk.3.attn_q.weight"]]));
}

#[test]
fn a_family_that_is_not_known_is_held_to_no_tensor() {
    let model = Model::new("of-tomorrow", json!({ "feed_forward_length": 7 }), &BLOCK);
    assert_eq!(model.refused("attention.key_length", &json!(32)), None);
}

#[test]
fn experts_that_are_not_those_of_the_tensors_are_refused_by_key_and_tensor() {
    let keys = json!({
        "expert_count": 8, "expert_used_count": 2, "expert_feed_forward_length": 96, "leading_dense_block_count": 1,
        "expert_shared_count": 1, "attention.value_length": 64,
    });
    let tensors: [(&str, &[u64]); 6] = [
        ("blk.0.ffn_up.weight", &[256, 512]),
        ("blk.0.ffn_down.weight", &[512, 256]),
        ("blk.1.ffn_gate_inp.weight", &[256, 8]),
        ("blk.1.ffn_up_exps.weight", &[256, 96, 8]),
        ("blk.1.ffn_gate_exps.weight", &[256, 96, 8]),
        ("blk.1.ffn_down_exps.weight", &[96, 256, 8]),
    ];
    Model::new("glm4moe", keys, &tensors).check(&json!([
        ["expert_count", 4, "blk.1.ffn_"],
        ["expert_count", 16, "blk.1.ffn_"],
        ["expert_used_count", 0, "expert_count"],
        ["expert_used_count", 9, "expert_count"],
        ["expert_used_count", [2, 9], "expert_count"],
        ["expert_group_count", 3, "expert_count"],
        ["expert_group_count", 8, "expert_count"],
        ["expert_feed_forward_length", 64, "blk.1.ffn_down_exps.weight"],
        ["leading_dense_block_count", 0, "blk.0.ffn_up.weight"],
        ["leading_dense_block_count", 2, "blk.1.ffn_gate_inp.weight"],
    ]));
}

#[test]
fn sizes_of_states_that_are_zero_or_not_those_of_the_tensors_are_refused() {
    let keys = json!({
        "ssm.conv_kernel": 4, "ssm.inner_size": 512, "ssm.state_size": 64, "ssm.group_count": 2,
        "ssm.time_step_rank": 8, "block_count": 1,
    });
    let tensors: [(&str, &[u64]); 4] = [
        ("blk.0.ssm_conv1d.weight", &[4, 512 + 2 * 2 * 64]),
        ("blk.0.ssm_a", &[1, 8]),
        ("blk.0.ssm_norm.weight", &[256, 2]),
        ("blk.0.ssm_out.weight", &[512, 256]),
    ];
    Model::new("mamba2", keys, &tensors).check(&json!([
        ["ssm.conv_kernel", 0, ""],
        ["ssm.conv_kernel", 5, "blk.0.ssm_conv1d.weight"],
        ["ssm.inner_size", 0, ""],
        ["ssm.state_size", 0, ""],
        ["ssm.state_size", 32, "blk.0.ssm_conv1d.weight"],
        ["ssm.time_step_rank", 0, "blk.0.ssm_a"],
        ["ssm.time_step_rank", 16, "blk.0.ssm_a"],
    ]));
    let of = |key: &str, number: u64| {
        let mut tensors = tensors.to_vec();
        // Without what the other sizes are made of too, the first tensor that is wrong tells.
        tensors.rotate_left(2);
        let keys = json!({
            "ssm.conv_kernel": 4, "ssm.inner_size": 512, "ssm.state_size": 64, "ssm.group_count": 2,
            "ssm.time_step_rank": 8, "block_count": 1,
        });
        Model::new("mamba2", keys, &tensors).refused(key, &json!(number)).unwrap().0
    };
    assert_eq!(of("ssm.group_count", 4), "mamba2.ssm.group_count");
    assert_eq!(of("ssm.inner_size", 1024), "mamba2.ssm.inner_size");

    let convolution: [(&str, &[u64]); 1] = [("blk.0.shortconv.conv.weight", &[3, 256])];
    let keys = json!({ "shortconv.l_cache": 3, "block_count": 2, "attention.head_count_kv": [0, 2] });
    let mut model = Model::new("lfm2", keys, &convolution);
    model.tensors.push(("blk.1.attn_norm.weight".to_owned(), vec![256]));
    model.check(&json!([
        ["shortconv.l_cache", 0, ""],
        ["shortconv.l_cache", 4, "blk.0.shortconv.conv.weight"],
    ]));
}

#[test]
fn more_pictures_than_layers_are_refused() {
    Model::new("qwen3vl", json!({}), &[])
        .check(&json!(
            [["n_deepstack_layers", 3, "2 layers"], ["n_deepstack_layers", u32::MAX, "2 layers"],]
        ));
}
