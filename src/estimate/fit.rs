//! The best configuration.

use napi::Env;
use napi_derive::napi;
use plimsoll::estimate::{
    Configuration, Fit, FitAxis, FitLimits, FitOptions, KvType, Trade as CoreTrade, fit,
};

use super::{
    model_memory::{NativeCompanions, NativeEstimate, with_estimator},
    options::NativeEstimateOptions,
};
use crate::{
    loader::NativeModel,
    mirror::{Cross, array_of, kind_of, mirror},
};

/// What may be chosen, and the limits. What is absent has the core's default.
#[napi(object, object_to_js = false)]
pub struct NativeFitOptions {
    pub budget_bytes: f64,
    pub largest_allocation_bytes: Option<f64>,
    pub cpu_bytes: Option<f64>,
    pub gpu_bytes: Option<f64>,
    pub min_context: Option<f64>,
    pub max_context: Option<f64>,
    pub parallel: Option<Vec<f64>>,
    pub kv_types: Option<Vec<String>>,
    pub mmap: Option<bool>,
    pub ubatches: Option<Vec<f64>>,
    pub priorities: Option<Vec<String>>,
}

impl NativeFitOptions {
    fn limits(&self) -> FitLimits {
        let bytes = |bytes: Option<f64>| bytes.map(|bytes| bytes as u64);
        FitLimits {
            budget_bytes: self.budget_bytes as u64,
            largest_allocation_bytes: bytes(self.largest_allocation_bytes),
            cpu_bytes: bytes(self.cpu_bytes),
            gpu_bytes: bytes(self.gpu_bytes),
        }
    }

    fn core(self, run: &NativeEstimateOptions) -> plimsoll::Result<FitOptions> {
        let default = FitOptions::default();
        let numbers = |list: Option<Vec<f64>>, default| {
            list.map_or(default, |list| list.into_iter().map(|number| number as u64).collect())
        };
        let kv_types = self.kv_types.map(|names| names.iter().map(|name| kind_of("kvTypes", name)).collect());
        let priorities =
            self.priorities.map(|names| names.iter().map(|name| kind_of("priorities", name)).collect());
        Ok(FitOptions {
            run: run.core()?,
            mmap: self.mmap.map_or(default.mmap, |mmap| vec![mmap]),
            min_context: self.min_context.map(|tokens| tokens as u64),
            max_context: self.max_context.map(|tokens| tokens as u64),
            parallel: numbers(self.parallel, default.parallel),
            kv_types: kv_types.unwrap_or(Ok(default.kv_types))?,
            ubatches: numbers(self.ubatches, default.ubatches),
            priorities: priorities.unwrap_or(Ok(default.priorities))?,
        })
    }
}

mirror! {
    /// A choice of everything that is searched.
    pub struct FitConfiguration of Configuration {
        /// Tokens of one slot.
        pub context_length: f64,
        /// Slots.
        pub parallel: f64,
        /// How keys and values are stored.
        pub kv_type: KvType as "'f32' | 'f16' | 'bf16' | 'q8_0' | 'q4_0' | 'q4_1' | 'iq4_nl' | 'q5_0' | 'q5_1'",
        /// Tokens that are computed at once.
        pub ubatch: f64,
        /// Layers on the GPU, the output matrix among them.
        pub gpu_layers: f64,
        /// Whether the file is mapped.
        pub mmap: bool,
        /// Tokens that the cache of all slots holds.
        pub cache_tokens: f64 = cache_tokens.cross(),
    }
    asking configuration { cache_tokens = configuration.cache_tokens() }
}

mirror! {
    /// Another choice, and what it is worth.
    pub struct FitTrade of CoreTrade {
        /// What is changed.
        pub axis: FitAxis as "'parallel' | 'kvType' | 'ubatch' | 'context' | 'mmap'",
        /// The whole configuration, with the longest context that it leaves room for.
        pub configuration: FitConfiguration,
        /// Tokens of a slot more than in the best; negative for fewer.
        pub context_gain: f64,
        /// Bytes that the best's context takes less so; negative for more.
        pub saved_bytes: f64,
        /// In words, such as `q8_0 KV: +9,216 tokens`.
        pub description: String,
    }
}

mirror! {
    pub struct NativeFit of Fit {
        pub fits: bool,
        pub configuration: FitConfiguration,
        pub estimate: NativeEstimate,
        pub reasons: Vec<String>,
        pub trades: Vec<FitTrade>,
        pub spare_bytes: f64,
    }
}

/// The best configuration of a model within limits.
#[napi(catch_unwind)]
pub fn fit_model(
    env: Env,
    model: &NativeModel,
    run: NativeEstimateOptions,
    companions: NativeCompanions<'_>,
    options: NativeFitOptions,
) -> napi::Result<NativeFit> {
    with_estimator(env, model, companions, |model, companions| {
        let limits = options.limits();
        Ok(fit(model, companions, &limits, &options.core(&run)?)?.into())
    })
}

array_of! {
    /// What is chosen, in the order of the default priorities.
    pub fn fit_axes() -> FitAxis::NAMES => "Array<'parallel' | 'kvType' | 'ubatch' | 'context' | 'mmap'>"
}
