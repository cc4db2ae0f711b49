//! What a model needs.

use gguf_file::GgufFile;
use napi::{Env, bindgen_prelude::ClassInstance};
use napi_derive::napi;
use plimsoll::estimate::{
    Companions, ComputeDevice, DeviceBytes, Draft, Estimator, ExtraBytes, ExtraKind,
    LayerBytes as CoreLayerBytes, ModelMemoryEstimate, MtpDraft, Phase, TotalBytes,
    TypeBytes as CoreTypeBytes, WeightBytes as CoreWeightBytes,
};

use super::options::NativeEstimateOptions;
use crate::{
    error::to_js,
    loader::NativeModel,
    mirror::{Cross, kind_of, mirror},
};

mirror! {
    /// What one block of a model takes.
    pub struct LayerBytes of CoreLayerBytes {
        /// Its tensors, in bytes. Those of a block that is not loaded count nothing.
        pub weights_bytes: f64,
        /// Its keys, of all slots, in bytes.
        pub key_bytes: f64,
        /// Its values, of all slots, in bytes.
        pub value_bytes: f64,
        /// Its recurrent state, of all slots, in bytes.
        pub state_bytes: f64,
        /// Tokens that each of its caches holds; 0 where it has none.
        pub cells: f64,
        /// Whether it sees a window of the last tokens only.
        pub slides: bool,
        /// Keys and values of one token, in bytes.
        pub bytes_per_token: f64,
        /// Tokens that its caches hold for each slot, where it sees a window only.
        pub window_tokens: Option<f64>,
        /// The recurrent state of one slot, in bytes.
        pub bytes_per_sequence: f64,
        /// Where it is computed, and its caches are.
        pub device: ComputeDevice as "'cpu' | 'gpu'",
    }
}

mirror! {
    /// What the tensors of one type take.
    pub struct TypeBytes of CoreTypeBytes {
        /// The ggml type name, such as `"Q4_K"`.
        pub r#type: String = tensor_type.name().to_owned(),
        /// How many there are.
        pub tensors: f64,
        /// Bytes of all of them.
        pub size_bytes: f64,
    }
    reading { tensor_type }
}

mirror! {
    /// What the weights take, divided in two ways.
    pub struct WeightBytes of CoreWeightBytes {
        /// The matrix of token embeddings, in bytes; twice where the family keeps it twice.
        pub token_embedding_bytes: f64,
        /// The output matrix and its bias, in bytes; 0 where the token embeddings serve as it.
        pub output_bytes: f64,
        /// Norms that belong to no layer, in bytes.
        pub norms_bytes: f64,
        /// All layers, in bytes.
        pub layers_bytes: f64,
        /// What is none of these, in bytes.
        pub other_bytes: f64,
        /// Tensors that stand in the file and are not loaded, in bytes: blocks that predict further tokens. In no other figure.
        pub left_out_bytes: f64,
        /// The same by how the tensors are stored, the largest first; empty where that is not known.
        pub by_type: Vec<TypeBytes>,
    }
}

mirror! {
    /// What one device holds of a model.
    pub struct ModelDeviceBytes of DeviceBytes {
        /// Which it is.
        pub device: ComputeDevice as "'cpu' | 'gpu'",
        /// Weights, in bytes. An output matrix that is the token embeddings' stands on both.
        pub weights_bytes: f64,
        /// Of these, what are pages of the mapped file and no memory of the program's own, in bytes.
        pub mapped_bytes: f64,
        /// Keys and values, in bytes.
        pub kv_cache_bytes: f64,
        /// Recurrent states, in bytes.
        pub state_bytes: f64,
        /// What its compute buffer takes at most, in bytes.
        pub compute_bound_bytes: f64,
        /// The most that it holds at any time, with what comes on top, in bytes.
        pub peak_bytes: f64,
    }
}

mirror! {
    /// Memory that is no part of the model, or is a part a second time.
    pub struct EstimateExtra of ExtraBytes {
        /// What it is.
        pub kind: ExtraKind as "'repacked' | 'read-buffer' | 'mapped-weights' | 'cuda-overhead' | 'projector' | 'image-buffer' | 'draft' | 'mtp' | 'adapters' | 'prompt-cache' | 'checkpoints'",
        /// When it is in use: while the model is loaded, from then on, or once contexts and caches are full and an image has come.
        pub phase: Phase as "'loading' | 'steady' | 'full'",
        /// As near as it is known, in bytes.
        pub size_bytes: f64,
        /// What it takes at most, in bytes, as far as `bounded` says.
        pub bound_bytes: f64,
        /// Whether the bound is one. Without, it is the best figure there is.
        pub bounded: bool = is_bound.cross(),
        /// Of the bound, what lies on the GPU, in bytes; all else is the processor's.
        pub gpu_bytes: f64,
    }
    reading { is_bound }
}

mirror! {
    /// What a model and all that belongs to its run take together, at most.
    pub struct EstimateTotals of TotalBytes {
        /// While the weights are loaded, before there is a context, in bytes.
        pub loading_bytes: f64,
        /// With a context, before the first token, in bytes.
        pub steady_bytes: f64,
        /// With every context full, every cache at its limit, and an image in work, in bytes.
        pub full_bytes: f64,
        /// The largest of the three, in bytes.
        pub peak_bytes: f64,
        /// The largest single allocation, in bytes: a device must have that much in one piece. A mapped file is none.
        pub largest_allocation_bytes: f64,
    }
}

mirror! {
    pub struct NativeEstimate of ModelMemoryEstimate {
        pub architecture: String,
        pub known: bool = is_known.cross(),
        pub context_length: f64,
        pub parallel: f64,
        pub weights_bytes: f64,
        pub kv_cache_bytes: f64,
        pub state_bytes: f64,
        pub compute_bytes: f64,
        pub compute_bound_bytes: f64,
        pub compute_exact: bool = is_compute_exact.cross(),
        pub output_bytes: f64,
        pub weights: WeightBytes,
        pub layers: Vec<LayerBytes>,
        pub devices: Vec<ModelDeviceBytes>,
        pub extras: Vec<EstimateExtra>,
        pub totals: EstimateTotals,
        pub npu_domains: f64,
    }
    reading { is_known, is_compute_exact }
}

/// What is different for a draft model.
#[napi(object, object_to_js = false)]
pub struct NativeDraftOptions {
    pub context_length: Option<f64>,
    pub kv_type_k: String,
    pub kv_type_v: String,
    pub gpu_layers: f64,
}

/// How a model drafts for itself.
#[napi(object, object_to_js = false)]
pub struct NativeMtpOptions {
    pub draft_tokens: Option<f64>,
    pub kv_type_k: Option<String>,
    pub kv_type_v: Option<String>,
}

impl NativeMtpOptions {
    fn core(&self) -> plimsoll::Result<MtpDraft> {
        let default = MtpDraft::default();
        let kv_type = |name, given: &Option<String>, default| {
            given.as_deref().map_or(Ok(default), |it| kind_of(name, it))
        };
        Ok(MtpDraft {
            draft_tokens: self.draft_tokens.map_or(default.draft_tokens, |tokens| tokens as u64),
            kv_type_k: kv_type("kvTypeK", &self.kv_type_k, default.kv_type_k)?,
            kv_type_v: kv_type("kvTypeV", &self.kv_type_v, default.kv_type_v)?,
        })
    }
}

/// Other files that are loaded beside a model. A closed one is an error.
#[napi(object, object_to_js = false)]
pub struct NativeCompanions<'env> {
    pub projector: Option<ClassInstance<'env, NativeModel>>,
    pub draft: Option<ClassInstance<'env, NativeModel>>,
    pub draft_options: Option<NativeDraftOptions>,
    pub mtp: Option<NativeMtpOptions>,
    pub adapters: Vec<ClassInstance<'env, NativeModel>>,
    pub cpu_tensors: Vec<String>,
}

/// What a model needs, by the headers of all its files.
#[napi(catch_unwind)]
pub fn estimate_model(
    env: Env,
    model: &NativeModel,
    options: NativeEstimateOptions,
    companions: NativeCompanions<'_>,
) -> napi::Result<NativeEstimate> {
    with_estimator(env, model, companions, |model, companions| {
        Ok(model.estimate(&options.core()?, companions)?.into())
    })
}

/// Gives `use_it` the model that was read and what is loaded beside it.
pub fn with_estimator<T>(
    env: Env,
    model: &NativeModel,
    companions: NativeCompanions<'_>,
    use_it: impl FnOnce(&Estimator<'_>, Companions<'_>) -> plimsoll::Result<T>,
) -> napi::Result<T> {
    let model = model.model(env)?;
    let projector = companions.projector.map(|file| file.model(env)).transpose()?;
    let draft = companions.draft.map(|file| file.model(env)).transpose()?;
    let adapters =
        companions.adapters.iter().map(|file| file.model(env)).collect::<napi::Result<Vec<_>>>()?;
    let run = || {
        let draft_files: Vec<&GgufFile> = draft.iter().flat_map(|draft| draft.layout().files()).collect();
        let drafter = draft.as_ref().map(|_| Estimator::new(&draft_files)).transpose()?;
        let draft = match (&drafter, companions.draft_options) {
            (Some(model), Some(options)) => Some(Draft {
                model,
                context_length: options.context_length.map(|tokens| tokens as u64),
                kv_type_k: kind_of("kvTypeK", &options.kv_type_k)?,
                kv_type_v: kind_of("kvTypeV", &options.kv_type_v)?,
                gpu_layers: options.gpu_layers as u64,
            }),
            _ => None,
        };
        let adapters: Vec<&GgufFile> = adapters.iter().flat_map(|file| file.layout().files()).collect();
        let cpu_tensors: Vec<&str> = companions.cpu_tensors.iter().map(String::as_str).collect();
        let beside = Companions {
            projector: projector.as_ref().map(|file| file.layout().header()),
            draft,
            mtp: companions.mtp.as_ref().map(NativeMtpOptions::core).transpose()?,
            adapters: &adapters,
            cpu_tensors: &cpu_tensors,
        };
        let files: Vec<&GgufFile> = model.layout().files().collect();
        use_it(&Estimator::new(&files)?, beside)
    };
    run().map_err(|error| to_js(env, &error))
}
