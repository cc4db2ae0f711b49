//! Estimates against llama.cpp's own figures.
//!
//! `figures.jsonl` in the folder of the figures has one line for each model and set of options; the models stand beside it as
//! headers. `PLIMSOLL_ESTIMATES` names the folder.

// What the figures do not have must fail the test.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod headers;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use gguf_file::{GgufFile, Options};
use plimsoll::{
    Error,
    estimate::{EstimateOptions, KvType, LlamaCppVersion, ModelMemoryEstimate, estimate},
};
use serde::Deserialize;

use headers::header;

/// One row of the figures: what llama.cpp says.
#[allow(clippy::struct_excessive_bools)]
#[derive(Debug, Deserialize)]
struct Figure {
    model: String,
    file: String,
    context_per_sequence: u64,
    sequences: u64,
    flash_attention: bool,
    kv_type: String,
    ubatch_used: u64,
    embeddings: bool,
    tensor_info_bytes: u64,
    weights_bytes: u64,
    kv_bytes: u64,
    state_bytes: u64,
    compute_bytes: u64,
    compute_bytes_limited_outputs: Option<u64>,
    output_bytes: u64,
    /// These are off where a row does not name them.
    #[serde(default)]
    swa_full: bool,
    #[serde(default)]
    unified_kv: bool,
}

impl Figure {
    fn options(&self) -> EstimateOptions {
        let kv_type = KvType::from_name(&self.kv_type.to_lowercase()).unwrap();
        EstimateOptions {
            context_length: Some(self.context_per_sequence),
            parallel: self.sequences,
            kv_type_k: kv_type,
            kv_type_v: kv_type,
            flash_attention: self.flash_attention,
            batch: self.ubatch_used,
            ubatch: self.ubatch_used,
            embeddings: self.embeddings,
            swa_full: self.swa_full,
            unified_kv: self.unified_kv,
            llama_cpp_version: Some(LlamaCppVersion::V0_5),
            ..EstimateOptions::default()
        }
    }
}

/// Every row with its model, or nothing where the folder is missing.
fn rows() -> Vec<(Figure, GgufFile)> {
    let folder = std::env::var_os("PLIMSOLL_ESTIMATES").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/estimates"),
        PathBuf::from,
    );
    let Ok(text) = fs::read_to_string(folder.join("figures.jsonl")) else {
        eprintln!("skipped: no figures in {}; PLIMSOLL_ESTIMATES names their folder", folder.display());
        return Vec::new();
    };
    let mut models = BTreeMap::new();
    let options = Options { header_only: true, ..Options::default() };
    let figures = text.lines().map(|line| serde_json::from_str::<Figure>(line).unwrap());
    figures
        .map(|figure| {
            let model = models
                .entry(figure.file.clone())
                .or_insert_with(|| GgufFile::open(folder.join(&figure.file), &options).unwrap())
                .clone();
            (figure, model)
        })
        .collect()
}

fn needs(figure: &Figure, model: &GgufFile) -> ModelMemoryEstimate {
    estimate(&[model], &figure.options()).unwrap_or_else(|error| panic!("{figure:?}: {error}"))
}

#[test]
fn weights_equal_those_of_llama_cpp_to_the_byte() {
    for (figure, model) in rows() {
        let needs = needs(&figure, &model);
        assert_eq!(needs.weights_bytes, figure.weights_bytes, "{figure:?}");
        let parts = &needs.weights;
        let sum = parts.token_embedding_bytes
            + parts.output_bytes
            + parts.norms_bytes
            + parts.layers_bytes
            + parts.other_bytes;
        assert_eq!(sum, needs.weights_bytes, "{figure:?}");
        assert_eq!(needs.layers.iter().map(|layer| layer.weights_bytes).sum::<u64>(), parts.layers_bytes);
        assert!(needs.weights_bytes + parts.left_out_bytes >= figure.tensor_info_bytes, "{figure:?}");
    }
}

#[test]
fn caches_and_states_equal_those_of_llama_cpp_to_the_byte() {
    for (figure, model) in rows() {
        let needs = needs(&figure, &model);
        assert!(needs.is_known, "{figure:?}");
        assert_eq!(
            (needs.kv_cache_bytes, needs.state_bytes, needs.output_bytes),
            (figure.kv_bytes, figure.state_bytes, figure.output_bytes),
            "{figure:?}"
        );
        let of_layers =
            |part: fn(&plimsoll::estimate::LayerBytes) -> u64| -> u64 { needs.layers.iter().map(part).sum() };
        assert_eq!(
            of_layers(|layer| layer.key_bytes + layer.value_bytes),
            needs.kv_cache_bytes,
            "{figure:?}"
        );
        assert_eq!(of_layers(|layer| layer.state_bytes), needs.state_bytes, "{}", figure.model);
    }
}

#[test]
fn compute_buffers_equal_those_of_llama_cpp_to_the_byte() {
    for (figure, model) in rows() {
        let needs = needs(&figure, &model);
        assert!(needs.is_compute_exact, "{figure:?}");
        assert_eq!(needs.compute_bytes, figure.compute_bytes, "{figure:?}");
        assert_eq!(needs.compute_bound_bytes, figure.compute_bytes, "{figure:?}");
        let limited = EstimateOptions { outputs: Some(figure.sequences), ..figure.options() };
        let limited = estimate(&[&model], &limited).unwrap();
        assert_eq!(Some(limited.compute_bytes), figure.compute_bytes_limited_outputs, "{figure:?}");
    }
}

#[test]
fn no_bound_on_the_compute_buffer_is_below_what_llama_cpp_takes() {
    for (figure, model) in rows() {
        let needs = needs(&figure, &model);
        let (bound, truth) = (needs.compute_bound_bytes, figure.compute_bytes);
        assert!(bound >= truth, "{bound}: {figure:?}");
        assert!(bound >= needs.compute_bytes, "{figure:?}");
        if let Some(truth) = figure.compute_bytes_limited_outputs {
            let limited = EstimateOptions { outputs: Some(figure.sequences), ..figure.options() };
            let bound = estimate(&[&model], &limited).unwrap().compute_bound_bytes;
            assert!(bound >= truth, "{bound} with limited outputs: {figure:?}");
        }
    }
}

/// A model by its hyperparameters alone, and what llama.cpp keeps for it.
#[derive(Deserialize)]
struct Case {
    model: String,
    architecture: String,
    keys: BTreeMap<String, serde_json::Value>,
    runs: Vec<Run>,
}

#[allow(clippy::struct_excessive_bools)]
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    context_length: u64,
    parallel: u64,
    flash_attention: bool,
    kv_type: String,
    ubatch: u64,
    swa_full: bool,
    unified_kv: bool,
    embeddings: bool,
    kv_cache_bytes: u64,
    state_bytes: u64,
    output_bytes: u64,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("cases/estimates.json")).unwrap()
}

#[test]
fn every_kind_of_cache_and_state_is_what_llama_cpp_keeps_for_the_same_hyperparameters() {
    for case in cases() {
        let file = header(&case.architecture, &case.keys, &[]);
        for run in &case.runs {
            let kv_type = KvType::from_name(&run.kv_type.to_lowercase()).unwrap();
            let options = EstimateOptions {
                context_length: Some(run.context_length),
                parallel: run.parallel,
                kv_type_k: kv_type,
                kv_type_v: kv_type,
                flash_attention: run.flash_attention,
                batch: run.ubatch,
                ubatch: run.ubatch,
                swa_full: run.swa_full,
                unified_kv: run.unified_kv,
                embeddings: run.embeddings,
                ..EstimateOptions::default()
            };
            let needs =
                estimate(&[&file], &options).unwrap_or_else(|error| panic!("{}: {error}", case.model));
            assert!(needs.is_known, "{}", case.model);
            assert_eq!(
                (needs.kv_cache_bytes, needs.state_bytes, needs.output_bytes),
                (run.kv_cache_bytes, run.state_bytes, run.output_bytes),
                "{}: {run:?}",
                case.model
            );
        }
    }
}

/// The keys of a small model, with one changed, or left out for `null`.
fn changed(key: &str, value: serde_json::Value) -> GgufFile {
    let keys = serde_json::json!({
        "block_count": 4, "context_length": 2048, "embedding_length": 256, "vocab_size": 1000, "feed_forward_length": 512,
        "attention.head_count": 8, "attention.head_count_kv": 2, "attention.sliding_window": 512,
    });
    let mut keys: BTreeMap<String, serde_json::Value> = serde_json::from_value(keys).unwrap();
    keys.remove(key);
    if !value.is_null() {
        keys.insert(key.to_owned(), value);
    }
    header("gemma3", &keys, &[])
}

#[test]
fn a_hyperparameter_that_cannot_be_is_refused_by_its_key() {
    let broken = serde_json::json!([
        ["block_count", null],
        ["block_count", 0],
        ["block_count", 100_000],
        ["block_count", "four"],
        ["context_length", null],
        ["context_length", 0],
        ["context_length", 1_u64 << 60],
        ["embedding_length", null],
        ["embedding_length", 0],
        ["embedding_length", 1_u64 << 40],
        ["vocab_size", null],
        ["vocab_size", 0],
        ["attention.head_count", null],
        ["attention.head_count", 0],
        ["attention.head_count", [8, 8, 8]],
        ["attention.head_count_kv", 3],
        ["attention.head_count_kv", 16],
        ["attention.head_count_kv", 0],
        ["attention.head_count_kv", [2, 2, 2, 2, 2]],
        ["attention.key_length", 0],
        ["attention.sliding_window_pattern", [true, false]],
        ["nextn_predict_layers", 4],
        ["feed_forward_length", [1, 2]],
    ]);
    for pair in broken.as_array().unwrap() {
        let key = pair[0].as_str().unwrap();
        let file = changed(key, pair[1].clone());
        let error = estimate(&[&file], &EstimateOptions::default()).unwrap_err();
        let Error::InvalidModel { key: named, .. } = &error else { panic!("{pair}: {error}") };
        assert_eq!(*named, format!("gemma3.{key}"), "{pair}: {error}");
        assert_eq!(error.code(), "ERR_INVALID_MODEL");
    }
}

#[test]
fn a_projector_is_refused_as_the_model_and_told_where_it_goes() {
    let keys = serde_json::json!({ "vision.image_size": 224, "vision.embedding_length": 1024 });
    let keys: BTreeMap<String, serde_json::Value> = serde_json::from_value(keys).unwrap();
    let error = estimate(&[&header("clip", &keys, &[])], &EstimateOptions::default()).unwrap_err();
    assert_eq!(error.code(), "ERR_INVALID_MODEL");
    let Error::InvalidModel { key, .. } = &error else { panic!("{error}") };
    assert_eq!(key, "general.architecture");
    assert!(error.to_string().contains("as mmproj"), "{error}");
}

/// Pooled keys are twice as wide, says the source; builds that were at hand to be asked cached one.
#[test]
fn an_index_of_pooled_keys_takes_twice_as_much() {
    let case = cases().into_iter().find(|case| case.model == "qwen4exp-raw").unwrap();
    let of = |keys: &BTreeMap<String, serde_json::Value>| {
        estimate(&[&header(&case.architecture, keys, &[])], &EstimateOptions::default()).unwrap()
    };
    let mut keys = case.keys.clone();
    keys.insert("attention.compress_ratios".to_owned(), serde_json::json!([0, 0, 0, 4]));
    let index_bytes = 32_768 * 128 * 2;
    assert_eq!(of(&keys).kv_cache_bytes, of(&case.keys).kv_cache_bytes + index_bytes);
}

#[test]
fn an_option_that_cannot_be_is_refused_by_its_name() {
    let file = changed("", serde_json::Value::Null);
    let good = EstimateOptions::default();
    let broken = [
        ("contextLength", EstimateOptions { context_length: Some(0), ..good }),
        ("contextLength", EstimateOptions { context_length: Some(1 << 60), ..good }),
        ("parallel", EstimateOptions { parallel: 0, ..good }),
        ("parallel", EstimateOptions { parallel: 257, ..good }),
        ("ubatch", EstimateOptions { ubatch: 0, ..good }),
        ("batch", EstimateOptions { batch: 0, ..good }),
        ("outputs", EstimateOptions { outputs: Some(0), ..good }),
        ("kvTypeV", EstimateOptions { kv_type_v: KvType::Q8_0, flash_attention: false, ..good }),
    ];
    for (name, options) in broken {
        let error = estimate(&[&file], &options).unwrap_err();
        let Error::InvalidArgument { name: named, .. } = &error else { panic!("{name}: {error}") };
        assert_eq!(*named, name, "{error}");
    }
    assert!(matches!(estimate(&[], &good), Err(Error::InvalidArgument { name: "files", .. })));
}

#[test]
fn an_unknown_family_says_so_and_keeps_more_than_a_known_one() {
    let keys = serde_json::json!({
        "block_count": 4, "context_length": 2048, "embedding_length": 256, "vocab_size": 1000,
        "attention.head_count": 8, "attention.head_count_kv": 2, "attention.sliding_window": 128,
    });
    let keys: BTreeMap<String, serde_json::Value> = serde_json::from_value(keys).unwrap();
    let of = |name: &str| estimate(&[&header(name, &keys, &[])], &EstimateOptions::default()).unwrap();
    let (known, unknown) = (of("gemma3"), of("of-tomorrow"));
    assert!(known.is_known && !unknown.is_known && !unknown.is_compute_exact);
    assert!(unknown.kv_cache_bytes > known.kv_cache_bytes);
    assert!(unknown.compute_bound_bytes > unknown.compute_bytes);
}
