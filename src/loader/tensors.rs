//! Many tensors at once, on their way to JavaScript.

use std::sync::Arc;

use gguf_file::TensorType;
use napi_derive::napi;
use plimsoll::loader::{ModelLayout, ModelTensor, Output};

use crate::js_memory::Numbers;

/// The names of a file's tensors. Streams that outlive the file take them along; they do not keep it open.
#[napi]
pub struct NativeTensorNames(Arc<ModelLayout>);

#[napi]
impl NativeTensorNames {
    pub(crate) fn new(layout: Arc<ModelLayout>) -> Self {
        Self(layout)
    }

    /// The name of the tensor at a position, empty for one that there is none at.
    #[napi(catch_unwind)]
    pub fn at(&self, index: f64) -> String {
        self.0.name_at(index as usize).to_owned()
    }
}

/// Tensors as columns, for `lib/loader/tensor-infos.ts`.
#[napi(object, object_from_js = false)]
pub struct NativeTensors {
    /// The names, each followed by a NUL, which no name contains.
    pub names: String,
    /// Six numbers a tensor, and its dimensions: see `describe`.
    #[napi(ts_type = "Float64Array")]
    pub numbers: Numbers,
}

/// What all tensors of a type have in common.
#[napi(object, object_from_js = false)]
pub struct NativeTensorType {
    pub name: String,
    pub type_id: u32,
    pub convertible: bool,
    pub block_elements: f64,
    pub block_bytes: f64,
}

/// The types that tensors can be of.
#[napi(catch_unwind)]
pub fn tensor_types() -> Vec<NativeTensorType> {
    let described = |tensor_type: &TensorType| NativeTensorType {
        name: tensor_type.name().to_owned(),
        type_id: tensor_type.id(),
        convertible: Output::F32.takes(*tensor_type),
        block_elements: tensor_type.block_elements() as f64,
        block_bytes: tensor_type.block_bytes() as f64,
    };
    TensorType::ALL.iter().map(described).collect()
}

/// Id of the type, elements, bytes, which file and the offset in that, number of dimensions, and those.
fn describe(tensor: &ModelTensor<'_>, numbers: &mut Vec<f64>) {
    let dims = tensor.dims();
    numbers.extend([
        tensor.tensor_type().id().into(),
        tensor.element_count() as f64,
        tensor.size_bytes() as f64,
        tensor.file_index() as f64,
        tensor.file_offset_bytes() as f64,
        dims.len() as f64,
    ]);
    numbers.extend(dims.iter().map(|size| *size as f64));
}

impl NativeTensors {
    pub fn of<'a>(tensors: impl Iterator<Item = ModelTensor<'a>>) -> Self {
        let (mut names, mut numbers) = (String::new(), Vec::new());
        for tensor in tensors {
            names.push_str(tensor.name());
            names.push('\0');
            describe(&tensor, &mut numbers);
        }
        Self { names, numbers: Numbers(numbers) }
    }
}
