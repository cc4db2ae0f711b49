//! Models without their files.

use napi::Env;
use napi_derive::napi;
use plimsoll::estimate::{
    ModelShape as CoreShape, QUANTIZATIONS, Quantization as CoreQuantization, TYPICAL_SHAPES,
    TypicalShape as CoreTypical, estimate_shape, estimate_shape_of, rule_of_thumb_bytes as rule_of_thumb,
};

use super::{model_memory::NativeEstimate, options::NativeEstimateOptions};
use crate::{error::to_js, mirror::mirror};

/// The dimensions of a decoder.
#[napi(object, object_to_js = false)]
pub struct NativeShape {
    pub architecture: String,
    pub layers: f64,
    pub embedding: f64,
    pub heads: f64,
    pub kv_heads: f64,
    pub head_width: f64,
    pub feed_forward: f64,
    pub vocabulary: f64,
    pub context_length: f64,
    pub experts: f64,
    pub experts_used: f64,
    pub window: Option<f64>,
    pub tied: bool,
}

impl From<NativeShape> for CoreShape {
    fn from(shape: NativeShape) -> Self {
        Self {
            architecture: shape.architecture,
            layers: shape.layers as u64,
            embedding: shape.embedding as u64,
            heads: shape.heads as u64,
            kv_heads: shape.kv_heads as u64,
            head_width: shape.head_width as u64,
            feed_forward: shape.feed_forward as u64,
            vocabulary: shape.vocabulary as u64,
            context_length: shape.context_length as u64,
            experts: (shape.experts as u64, shape.experts_used as u64),
            window: shape.window.map(|window| window as u64),
            is_tied: shape.tied,
        }
    }
}

mirror! {
    /// A level that a model may be quantised to.
    pub struct Quantization of CoreQuantization {
        /// The name that llama.cpp's tools have for it, such as `"Q4_K_M"`.
        pub name: String,
        /// Bits of a parameter, on average.
        pub bits_per_weight: f64 = bits_per_weight,
        /// How most of its matrices are stored: a ggml type name.
        pub r#type: String = tensor_type.name().to_owned(),
    }
    asking level { bits_per_weight = level.bits_per_weight() }
    reading { tensor_type }
    leaving { bits_e4 }
}

/// A model whose dimensions stand for others of its size.
#[napi(object, object_from_js = false)]
pub struct TypicalShape {
    /// The model that has them.
    pub name: String,
    /// Its parameters.
    pub parameters: f64,
}

/// Every level of quantisation, the largest first.
#[napi(catch_unwind)]
pub fn quantizations() -> Vec<Quantization> {
    QUANTIZATIONS.iter().map(|level| (*level).into()).collect()
}

/// The models that stand for others.
#[napi(catch_unwind)]
pub fn typical_shapes() -> Vec<TypicalShape> {
    let of = |shape: &CoreTypical| TypicalShape {
        name: shape.name.to_owned(),
        parameters: shape.parameters as f64,
    };
    TYPICAL_SHAPES.iter().map(of).collect()
}

/// Bytes of so many parameters at a level.
#[napi(catch_unwind)]
pub fn quantized_size_bytes(env: Env, parameters: f64, quant: String) -> napi::Result<f64> {
    let level = CoreQuantization::find(&quant).map_err(|error| to_js(env, &error))?;
    Ok(level.size_bytes(parameters as u64) as f64)
}

/// The bytes that a file is said to need by the rule of thumb of older tools.
#[napi(catch_unwind)]
pub fn rule_of_thumb_bytes(file_bytes: f64) -> f64 {
    rule_of_thumb(file_bytes as u64) as f64
}

/// What a model of so many parameters needs: by the shape of that name, or the one that stands for its size.
#[napi(catch_unwind)]
pub fn estimate_parameters(
    env: Env,
    parameters: f64,
    quant: String,
    shape: Option<String>,
    options: NativeEstimateOptions,
) -> napi::Result<NativeEstimate> {
    let parameters = parameters as u64;
    let run = || {
        let typical = match &shape {
            Some(name) => CoreTypical::find(name)?,
            None => CoreTypical::of(parameters),
        };
        let level = CoreQuantization::find(&quant)?;
        estimate_shape(&typical.shape(), Some(parameters), level, &options.core()?)
    };
    run().map(Into::into).map_err(|error| to_js(env, &error))
}

/// What a model of these dimensions needs, quantised to a level or with weights of so many bytes.
#[napi(catch_unwind)]
pub fn estimate_dimensions(
    env: Env,
    shape: NativeShape,
    quant: String,
    weights_bytes: Option<f64>,
    options: NativeEstimateOptions,
) -> napi::Result<NativeEstimate> {
    let shape = shape.into();
    let run = || match weights_bytes {
        Some(bytes) => estimate_shape_of(&shape, bytes as u64, &options.core()?),
        None => estimate_shape(&shape, None, CoreQuantization::find(&quant)?, &options.core()?),
    };
    run().map(Into::into).map_err(|error| to_js(env, &error))
}
