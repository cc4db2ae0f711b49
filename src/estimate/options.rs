//! How a model will be run.

use napi_derive::napi;
use plimsoll::{
    Result,
    estimate::{EstimateOptions, KvType, LlamaCppVersion, Processor, Runtime},
};

use crate::mirror::{array_of, kind_of};

/// What an estimate is made for. What is absent has the core's default.
#[napi(object, object_to_js = false)]
#[derive(Default)]
pub struct NativeEstimateOptions {
    pub context_length: Option<f64>,
    pub parallel: Option<f64>,
    pub kv_type_k: Option<String>,
    pub kv_type_v: Option<String>,
    pub flash_attention: Option<bool>,
    pub batch: Option<f64>,
    pub ubatch: Option<f64>,
    pub outputs: Option<f64>,
    pub swa_full: Option<bool>,
    pub unified_kv: Option<bool>,
    pub embeddings: Option<bool>,
    pub runtime: Option<String>,
    pub llama_cpp_version: Option<String>,
    pub gpu_layers: Option<f64>,
    pub cpu_moe_layers: Option<f64>,
    pub mmap: Option<bool>,
    pub repack: Option<bool>,
    pub processor: Option<String>,
    pub prompt_cache_bytes: Option<f64>,
    pub checkpoints: Option<f64>,
    pub widened: Option<bool>,
}

impl NativeEstimateOptions {
    pub fn core(&self) -> Result<EstimateOptions> {
        let default = EstimateOptions::default();
        let number = |number: Option<f64>| number.map(|number| number as u64);
        let kv_type = |option, name: &Option<String>| match name {
            Some(name) => kind_of::<KvType>(option, name),
            None => Ok(KvType::default()),
        };
        let processor = match &self.processor {
            Some(name) => kind_of("processor", name)?,
            None => Processor::own(),
        };
        Ok(EstimateOptions {
            context_length: number(self.context_length),
            parallel: number(self.parallel).unwrap_or(default.parallel),
            kv_type_k: kv_type("kvTypeK", &self.kv_type_k)?,
            kv_type_v: kv_type("kvTypeV", &self.kv_type_v)?,
            flash_attention: self.flash_attention.unwrap_or(default.flash_attention),
            batch: number(self.batch).unwrap_or(default.batch),
            ubatch: number(self.ubatch).unwrap_or(default.ubatch),
            outputs: number(self.outputs),
            swa_full: self.swa_full.unwrap_or(default.swa_full),
            unified_kv: self.unified_kv.unwrap_or(default.unified_kv),
            embeddings: self.embeddings.unwrap_or(default.embeddings),
            runtime: match &self.runtime {
                Some(name) => kind_of("runtime", name)?,
                None => default.runtime,
            },
            llama_cpp_version: match &self.llama_cpp_version {
                Some(name) => Some(kind_of::<LlamaCppVersion>("llamaCppVersion", name)?),
                None => default.llama_cpp_version,
            },
            gpu_layers: number(self.gpu_layers).unwrap_or(default.gpu_layers),
            cpu_moe_layers: number(self.cpu_moe_layers).unwrap_or(default.cpu_moe_layers),
            mmap: self.mmap.unwrap_or(default.mmap),
            repack: Some(processor).filter(|_| self.repack.unwrap_or(true)),
            prompt_cache_bytes: number(self.prompt_cache_bytes),
            checkpoints: number(self.checkpoints),
            widened: self.widened.unwrap_or(default.widened),
        })
    }
}

array_of! {
    /// The types that a cache may be stored in.
    pub fn kv_types() -> KvType::NAMES
        => "Array<'f32' | 'f16' | 'bf16' | 'q8_0' | 'q4_0' | 'q4_1' | 'iq4_nl' | 'q5_0' | 'q5_1'>"
}

array_of! {
    /// The programs whose needs are known.
    pub fn runtimes() -> Runtime::NAMES => "Array<'llama.cpp' | 'llama-server' | 'rkllm' | 'generic'>"
}

array_of! {
    /// The versions of llama.cpp whose compute buffers are known.
    pub fn llama_cpp_versions() -> LlamaCppVersion::NAMES => "Array<'0.5' | '0.6'>"
}

array_of! {
    /// The processors whose order of weights is known.
    pub fn processors() -> Processor::NAMES => "Array<'x64' | 'x64-amx' | 'arm64'>"
}
