//! What others dequantise with.

use candle_core::quantized::k_quants::{
    BlockQ2K, BlockQ3K, BlockQ4_0, BlockQ4_1, BlockQ4K, BlockQ5_0, BlockQ5_1, BlockQ5K, BlockQ6K, BlockQ8_0,
    GgmlType,
};
use gguf_dequant::Format;
use libloading::Library;

/// Writes the values of the blocks.
pub type Dequantizer<'a> = Box<dyn Fn(&[u8], &mut [f32]) + 'a>;

/// `void dequantize_row_TYPE(const void *blocks, float *values, int64_t count)`
type DequantizeRow = unsafe extern "C" fn(*const u8, *mut f32, i64);

pub struct Ggml(Library);

impl Ggml {
    pub fn load(path: &str) -> Result<Self, String> {
        // SAFETY: the library that npm fetched; loading it runs its constructors, which make tables.
        unsafe { Library::new(path) }
            .map(Self)
            .map_err(|error| format!("expected ggml's library in {path}: {error}"))
    }

    /// `None` where ggml has no function for the type.
    pub fn dequantizer(&self, format: Format) -> Option<Dequantizer<'_>> {
        let name = match format {
            Format::F16 => "ggml_fp16_to_fp32_row".to_owned(),
            Format::Bf16 => "ggml_bf16_to_fp32_row".to_owned(),
            _ => format!("dequantize_row_{}", format.name().to_lowercase().replace("_k", "_K")),
        };
        // SAFETY: all of them have this signature, in ggml-quants.h and ggml.h.
        let function = unsafe { self.0.get::<DequantizeRow>(name.as_bytes()) }.ok()?;
        // SAFETY: whole blocks, and as many values as they make.
        Some(Box::new(move |blocks, values| unsafe {
            function(blocks.as_ptr(), values.as_mut_ptr(), values.len() as i64)
        }))
    }
}

pub fn candle(format: Format) -> Option<Dequantizer<'static>> {
    Some(match format {
        Format::Q4_0 => Box::new(row::<BlockQ4_0>),
        Format::Q4_1 => Box::new(row::<BlockQ4_1>),
        Format::Q5_0 => Box::new(row::<BlockQ5_0>),
        Format::Q5_1 => Box::new(row::<BlockQ5_1>),
        Format::Q8_0 => Box::new(row::<BlockQ8_0>),
        Format::Q2K => Box::new(row::<BlockQ2K>),
        Format::Q3K => Box::new(row::<BlockQ3K>),
        Format::Q4K => Box::new(row::<BlockQ4K>),
        Format::Q5K => Box::new(row::<BlockQ5K>),
        Format::Q6K => Box::new(row::<BlockQ6K>),
        Format::F16 => Box::new(row::<half::f16>),
        Format::Bf16 => Box::new(row::<half::bf16>),
        _ => return None,
    })
}

fn row<T: GgmlType>(blocks: &[u8], values: &mut [f32]) {
    // SAFETY: candle's blocks are `repr(C)` of integers and halves, laid out as in the file, and allocations are aligned to
    // what they are, which is two bytes.
    let (before, blocks, after) = unsafe { blocks.align_to::<T>() };
    assert!(before.is_empty() && after.is_empty());
    T::to_float(blocks, values);
}
