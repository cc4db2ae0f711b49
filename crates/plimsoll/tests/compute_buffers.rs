//! Compute buffers of every family whose graph is replayed, and of some that are not, against llama.cpp's own figures.
//!
//! `cases/compute-buffers.json` has models by their hyperparameters and the shapes of their tensors, few layers of each, and what
//! llama.cpp takes for them. `scripts/measure-estimates.mjs` asks it again.

// What the figures do not have must fail the test.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod headers;

use std::collections::BTreeMap;

use gguf_file::GgufFile;
use plimsoll::estimate::{EstimateOptions, KvType, LlamaCppVersion, ModelMemoryEstimate, estimate};
use serde::Deserialize;

use headers::{header, tensors};

/// A model, and what llama.cpp takes for it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    model: String,
    architecture: String,
    /// The figures are equal; else below the bound.
    #[serde(default = "yes")]
    is_replayed: bool,
    keys: BTreeMap<String, serde_json::Value>,
    /// Dimensions by name, as `4096x1024`; `blk.*.` stands for all blocks, `blk.0,2-4.` for these.
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
    swa_full: bool,
    /// Keys, values and recurrent states together.
    cache_and_state_bytes: u64,
    /// Of version 0.5.
    #[serde(flatten)]
    llama_cpp05: Figures,
    llama_cpp06: Figures,
}

/// What a version of llama.cpp takes.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Figures {
    /// With the logits of every token.
    compute_bytes: u64,
    /// With the logits of one token of each slot.
    limited_compute_bytes: u64,
}

const fn yes() -> bool {
    true
}

impl Run {
    fn figures(&self, version: LlamaCppVersion) -> &Figures {
        match version {
            LlamaCppVersion::V0_5 => &self.llama_cpp05,
            LlamaCppVersion::V0_6 => &self.llama_cpp06,
        }
    }

    fn limited_options(&self) -> EstimateOptions {
        EstimateOptions { outputs: Some(self.parallel), ..self.options() }
    }

    fn options(&self) -> EstimateOptions {
        let kv_type = KvType::from_name(&self.kv_type.to_lowercase()).unwrap();
        EstimateOptions {
            context_length: Some(self.context_length),
            parallel: self.parallel,
            kv_type_k: kv_type,
            kv_type_v: kv_type,
            flash_attention: self.flash_attention,
            batch: self.ubatch,
            ubatch: self.ubatch,
            swa_full: self.swa_full,
            ..EstimateOptions::default()
        }
    }
}

impl Case {
    /// Every run, with every version of llama.cpp.
    fn runs_of_versions(&self) -> impl Iterator<Item = (&Run, LlamaCppVersion)> {
        self.runs.iter().flat_map(|run| LlamaCppVersion::ALL.iter().map(move |version| (run, *version)))
    }

    fn header(&self) -> GgufFile {
        let blocks = self.keys["block_count"].as_u64().unwrap();
        header(&self.architecture, &self.keys, &tensors(&self.tensors, blocks))
    }
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("cases/compute-buffers.json")).unwrap()
}

/// With all logits, and with those of one token of each slot.
fn needs(file: &GgufFile, run: &Run, version: Option<LlamaCppVersion>) -> [ModelMemoryEstimate; 2] {
    [run.options(), run.limited_options()].map(|options| {
        let options = EstimateOptions { llama_cpp_version: version, ..options };
        estimate(&[file], &options).unwrap()
    })
}

#[test]
fn compute_buffers_equal_those_of_llama_cpp_to_the_byte() {
    for case in cases().into_iter().filter(|case| case.is_replayed) {
        let file = case.header();
        for (run, version) in case.runs_of_versions() {
            let [all, limited] = needs(&file, run, Some(version));
            assert!(all.is_compute_exact && limited.is_compute_exact, "{}: {run:?}", case.model);
            let figures = run.figures(version);
            assert_eq!(
                (all.kv_cache_bytes + all.state_bytes, all.compute_bytes, limited.compute_bytes),
                (run.cache_and_state_bytes, figures.compute_bytes, figures.limited_compute_bytes),
                "{}: {version:?}, {run:?}",
                case.model
            );
            assert_eq!(all.compute_bound_bytes, all.compute_bytes, "{}: {run:?}", case.model);
        }
    }
}

#[test]
fn bounds_are_not_below_what_any_version_of_llama_cpp_takes() {
    for case in cases() {
        let file = case.header();
        for run in &case.runs {
            let [all, limited] = needs(&file, run, None);
            for figures in [&run.llama_cpp05, &run.llama_cpp06] {
                assert!(all.compute_bound_bytes >= figures.compute_bytes, "{}: {run:?}", case.model);
                let limited_bytes = limited.compute_bound_bytes;
                assert!(limited_bytes >= figures.limited_compute_bytes, "{}: {run:?}", case.model);
            }
            if case.is_replayed {
                // The guess is of the first version, and the bound no more than the largest figure.
                let figures = [&run.llama_cpp05, &run.llama_cpp06].map(|figures| figures.compute_bytes);
                assert_eq!(all.compute_bytes, figures[0], "{}: {run:?}", case.model);
                assert_eq!(
                    Some(all.compute_bound_bytes),
                    figures.into_iter().max(),
                    "{}: {run:?}",
                    case.model
                );
                assert_eq!(all.is_compute_exact, figures[0] == figures[1], "{}: {run:?}", case.model);
            }
        }
    }
}

/// Layers of one kind are left out of a replay; a build for tests compares each one with the whole.
#[test]
fn models_of_many_layers_are_replayed_as_exactly() {
    let mut tried = 0;
    for mut case in cases().into_iter().filter(|case| case.is_replayed) {
        let is_list = |value: &serde_json::Value| value.is_array();
        let is_of_some = |name: &String| name.starts_with("blk.") && !name.starts_with("blk.*.");
        if case.keys.values().any(is_list) || case.tensors.keys().any(is_of_some) {
            continue;
        }
        case.keys.insert("block_count".to_owned(), 41.into());
        let file = case.header();
        for (run, version) in case.runs_of_versions() {
            let [needs, _] = needs(&file, run, Some(version));
            assert!(needs.is_compute_exact, "{}: {run:?}", case.model);
        }
        tried += 1;
    }
    assert!(tried > 40, "{tried}");
}

#[test]
fn bounds_of_families_that_are_not_replayed_are_not_below_what_llama_cpp_takes() {
    for case in cases().into_iter().filter(|case| !case.is_replayed) {
        let file = case.header();
        for (run, version) in case.runs_of_versions() {
            let [all, limited] = needs(&file, run, Some(version));
            let figures = run.figures(version);
            assert!(!all.is_compute_exact, "{}: {run:?}", case.model);
            assert!(all.compute_bound_bytes >= figures.compute_bytes, "{}: {version:?}, {run:?}", case.model);
            let limited_bytes = limited.compute_bound_bytes;
            assert!(limited_bytes >= figures.limited_compute_bytes, "{}: {version:?}, {run:?}", case.model);
        }
    }
}

#[test]
fn a_model_that_lacks_a_tensor_of_its_graph_is_not_replayed() {
    for mut case in cases().into_iter().filter(|case| case.is_replayed) {
        let name = case.tensors.keys().find(|name| {
            let ends = ["ffn_down.weight", "ffn_down_exps.weight", "ssm_out.weight"];
            ends.iter().any(|end| name.ends_with(end))
        });
        let name = name.unwrap().clone();
        case.tensors.remove(&name);
        let needs = estimate(&[&case.header()], &case.runs[0].options()).unwrap();
        assert!(!needs.is_compute_exact, "{} without {name}", case.model);
        assert!(needs.compute_bound_bytes > needs.compute_bytes, "{} without {name}", case.model);
    }
}
