//! Models that draft for themselves, against llama.cpp's own figures.
//!
//! `cases/mtp.json` has models by their hyperparameters and the shapes of their tensors, few layers of each, and what llama.cpp 0.6.0
//! takes for them: its source was built, and asked through a load that allocates nothing, for node-llama-cpp makes no such context.

// What the figures do not have must fail the test.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod headers;

use std::collections::BTreeMap;

use gguf_file::GgufFile;
use plimsoll::{
    Error,
    estimate::{
        Companions, Draft, EstimateOptions, Estimator, ExtraBytes, ExtraKind, KvType, ModelMemoryEstimate,
        MtpDraft, estimate,
    },
};
use serde::Deserialize;
use serde_json::{Value, json};

use headers::{header, tensors};

/// A model, and what llama.cpp takes for it.
#[derive(Deserialize)]
struct Case {
    model: String,
    architecture: String,
    keys: BTreeMap<String, Value>,
    tensors: BTreeMap<String, String>,
    runs: Vec<Run>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    context_length: u64,
    parallel: u64,
    flash_attention: bool,
    kv_type: String,
    ubatch: u64,
    /// With the blocks that predict further tokens.
    weights_bytes: u64,
    /// Keys and values of the context of those blocks.
    context_bytes: u64,
    /// What the model's own context has more in states, for three tokens that are drafted.
    further_state_bytes: u64,
    /// The same in its compute buffer.
    further_compute_bytes: u64,
    /// The compute buffer of the context of those blocks.
    compute_bytes: u64,
}

impl Run {
    fn options(&self) -> EstimateOptions {
        EstimateOptions {
            context_length: Some(self.context_length),
            parallel: self.parallel,
            flash_attention: self.flash_attention,
            batch: self.ubatch,
            ubatch: self.ubatch,
            ..EstimateOptions::default()
        }
    }
}

fn cases() -> Vec<(Case, GgufFile)> {
    let cases: Vec<Case> = serde_json::from_str(include_str!("cases/mtp.json")).unwrap();
    let opened = cases.into_iter().map(|case| {
        let shapes = tensors(&case.tensors, case.keys["block_count"].as_u64().unwrap());
        let file = header(&case.architecture, &case.keys, &shapes);
        (case, file)
    });
    opened.collect()
}

fn drafting(file: &GgufFile, options: &EstimateOptions, kv_type: KvType) -> ModelMemoryEstimate {
    let mtp = MtpDraft { kv_type_k: kv_type, kv_type_v: kv_type, ..MtpDraft::default() };
    let companions = Companions { mtp: Some(mtp), ..Companions::default() };
    Estimator::new(&[file]).unwrap().estimate(options, companions).unwrap()
}

fn alone(file: &GgufFile, options: &EstimateOptions) -> ModelMemoryEstimate {
    estimate(&[file], options).unwrap()
}

fn extra(needs: &ModelMemoryEstimate) -> ExtraBytes {
    *needs.extras.iter().find(|extra| extra.kind == ExtraKind::Mtp).unwrap()
}

#[test]
fn blocks_that_draft_are_loaded_with_the_model() {
    for (case, file) in cases() {
        for run in &case.runs {
            let needs = drafting(&file, &run.options(), KvType::F16);
            assert_eq!(needs.weights_bytes, run.weights_bytes, "{}: {run:?}", case.model);
            assert_eq!(needs.weights.left_out_bytes, 0, "{}", case.model);
            let without = alone(&file, &run.options());
            assert!(without.weights.left_out_bytes > 0 && without.weights_bytes < needs.weights_bytes);
            assert_eq!(without.weights_bytes + without.weights.left_out_bytes, needs.weights_bytes);
            assert_eq!(without.kv_cache_bytes, needs.kv_cache_bytes, "{}", case.model);
        }
    }
}

/// The cache is the only part that the type of keys and values changes, in blocks of 34 bytes for 32 elements instead of 64.
#[test]
fn the_cache_of_blocks_that_draft_is_that_of_llama_cpp_to_the_byte() {
    for (case, file) in cases() {
        for run in case.runs.iter().filter(|run| run.flash_attention) {
            let of = |kv_type| extra(&drafting(&file, &run.options(), kv_type)).size_bytes;
            let saved = of(KvType::F16) - of(KvType::Q8_0);
            let blocks = saved / (64 - 34);
            let bytes = if run.kv_type == "q8_0" { blocks * 34 } else { blocks * 64 };
            assert_eq!(bytes, run.context_bytes, "{}: {run:?}", case.model);
        }
    }
}

#[test]
fn a_context_that_drafts_takes_no_more_than_its_bound_and_nearly_its_guess() {
    for (case, file) in cases() {
        for run in &case.runs {
            let kv_type = KvType::from_name(&run.kv_type).unwrap();
            let found = extra(&drafting(&file, &run.options(), kv_type));
            let number = |key: &str| case.keys[key].as_u64().unwrap();
            let (vocabulary, embedding) = (number("vocab_size"), number("embedding_length"));
            let rows = run.parallel * (vocabulary + embedding) + run.ubatch * embedding;
            let taken = run.context_bytes
                + run.further_state_bytes
                + run.further_compute_bytes
                + run.compute_bytes
                + 4 * rows;
            let message = format!("{}: {found:?}, {taken} taken, {run:?}", case.model);
            assert!(found.bound_bytes >= taken && found.bound_bytes < taken * 2, "{message}");
            assert!(found.size_bytes * 10 > taken * 9 && found.size_bytes * 10 < taken * 14, "{message}");
            assert!(!found.is_bound, "{message}");
        }
    }
}

#[test]
fn what_drafts_for_itself_counts_in_totals_and_on_the_device_of_its_blocks() {
    let (case, file) = cases().into_iter().next().unwrap();
    let options = EstimateOptions { gpu_layers: 2, repack: None, ..case.runs[0].options() };
    let needs = drafting(&file, &options, KvType::F16);
    let found = extra(&needs);
    assert!(found.gpu_bytes > 0 && found.gpu_bytes < found.bound_bytes);
    let without = alone(&file, &options);
    let weights = needs.weights_bytes - without.weights_bytes;
    assert_eq!(needs.totals.steady_bytes, without.totals.steady_bytes + weights + found.bound_bytes);
    assert_eq!(needs.devices[1].weights_bytes, without.devices[1].weights_bytes + weights);
    assert_eq!(needs.devices[1].peak_bytes, without.devices[1].peak_bytes + weights + found.gpu_bytes);
}

#[test]
fn more_tokens_that_are_drafted_need_more_states_of_a_model_that_goes_back_by_them() {
    let of = |architecture: &str, draft_tokens: u64| {
        let (case, file) = cases().into_iter().find(|(case, _)| case.architecture == architecture).unwrap();
        let companions = Companions {
            mtp: Some(MtpDraft { draft_tokens, ..MtpDraft::default() }),
            ..Companions::default()
        };
        let needs = Estimator::new(&[&file]).unwrap().estimate(&case.runs[0].options(), companions).unwrap();
        (extra(&needs).size_bytes, needs.state_bytes)
    };
    let ((three, states), (four, _)) = (of("qwen35", 3), of("qwen35", 4));
    // One layer of six also writes its own once more.
    assert_eq!(four - three, states + states / 6);
    assert_eq!(of("glm4moe", 3), of("glm4moe", 4));
}

#[test]
fn what_cannot_draft_for_itself_is_refused() {
    let (case, file) = cases().into_iter().next().unwrap();
    let options = case.runs[0].options();
    let mtp = Some(MtpDraft::default());
    let refused = |file: &GgufFile, companions: Companions<'_>| {
        Estimator::new(&[file]).unwrap().estimate(&options, companions).unwrap_err()
    };
    let key = |error: &Error| match error {
        Error::InvalidModel { key, .. } => key.clone(),
        Error::InvalidArgument { name, .. } => (*name).to_owned(),
        _ => panic!("{error}"),
    };
    let companions = Companions { mtp, ..Companions::default() };
    let mut keys = case.keys.clone();
    keys.insert("nextn_predict_layers".to_owned(), json!(0));
    let shapes = tensors(&case.tensors, 5);
    let without_blocks = header("glm4moe", &keys, &shapes);
    assert_eq!(key(&refused(&without_blocks, companions)), "glm4moe.nextn_predict_layers");
    let shapes: Vec<_> = shapes.into_iter().filter(|(name, _)| !name.starts_with("blk.4.")).collect();
    let in_another_file = header("glm4moe", &case.keys, &shapes);
    let error = refused(&in_another_file, companions);
    assert_eq!(key(&error), "glm4moe.nextn_predict_layers");
    assert!(error.to_string().contains("blk.4.nextn.eh_proj.weight"), "{error}");
    let of_another = header("dots1", &case.keys, &[]);
    assert_eq!(key(&refused(&of_another, companions)), "general.architecture");
    let files = [&file];
    let model = Estimator::new(&files).unwrap();
    let draft = Some(Draft {
        model: &model,
        context_length: None,
        kv_type_k: KvType::F16,
        kv_type_v: KvType::F16,
        gpu_layers: 0,
    });
    assert_eq!(key(&refused(&file, Companions { mtp, draft, ..Companions::default() })), "mtp");
    let none = Some(MtpDraft { draft_tokens: 0, ..MtpDraft::default() });
    assert_eq!(key(&refused(&file, Companions { mtp: none, ..Companions::default() })), "draftTokens");
}
