//! The native half of `GgufFile`.

use std::sync::{Arc, Mutex};

use gguf_file::{Limits, Split};
use napi::{Env, Unknown, bindgen_prelude::ObjectFinalize};
use napi_derive::napi;
use plimsoll::{
    Error as CoreError,
    loader::{
        ModelFile, ModelGap, ModelTensor, OpenOptions, Output, Pieces, Reader, Selection, StreamOptions,
        UnitStream,
    },
};

use super::{
    metadata::{self, ArrayIndexes},
    places::NativePlaces,
    stream::NativeStream,
    tensors::{NativeTensorNames, NativeTensors},
};
use crate::{
    error::to_js,
    js_memory::copy_of,
    mirror::{Cross, kind_of, mirror},
    pool::NativeStagingPool,
    sync::lock,
};

/// An open model until it is closed; streams hold on to it themselves.
///
/// The engine is told of the header's memory, so that files which were dropped without being closed are collected
/// in time.
#[napi(custom_finalize)]
pub struct NativeModel {
    model: Mutex<Option<Arc<ModelFile>>>,
    indexes: ArrayIndexes,
    memory_bytes: i64,
}

impl ObjectFinalize for NativeModel {
    fn finalize(self, env: Env) -> napi::Result<()> {
        self.close(env)
    }
}

#[napi(object, object_to_js = false)]
pub struct NativeOpenOptions {
    pub header_only: bool,
    pub strict: bool,
    pub max_name_bytes: Option<u32>,
    pub max_dimensions: Option<u32>,
    pub offset_bytes: f64,
    pub shard_only: bool,
}

#[napi(object, object_from_js = false)]
pub struct NativeModelInfo {
    pub paths: Vec<String>,
    pub path: String,
    pub size_bytes: f64,
    pub header_only: bool,
    pub version: u32,
    pub architecture: Option<String>,
    pub file_type: Option<GgufFileType>,
    pub alignment_bytes: f64,
    pub data_offset_bytes: f64,
    pub data_bytes: f64,
    pub tensor_count: f64,
    pub split: Option<GgufSplit>,
}

/// What `general.file_type` says.
#[napi(object, object_from_js = false)]
pub struct GgufFileType {
    /// The id that stands in the file.
    pub id: f64,
    /// The name llama.cpp's tools use, such as `"Q4_K_M"`; absent for an unknown id.
    pub name: Option<String>,
}

mirror! {
    /// Which part of a split model a file is.
    pub struct GgufSplit of Split {
        /// Position of this file, from 0.
        pub number: f64,
        /// Number of files.
        pub count: f64,
        /// Tensors of all files together, if it is given.
        pub tensor_count: Option<f64>,
    }
}

mirror! {
    /// Bytes of a file's data that belong to no tensor.
    pub struct GgufGap of ModelGap {
        /// Which of the model's files has it: its place among `paths`, 0 for a model of one file.
        pub file_index: f64,
        /// Where it begins, in bytes from the beginning of its file, or of the model within that.
        pub offset_bytes: f64,
        /// How long it is, in bytes.
        pub size_bytes: f64,
        /// The position of the tensor before it among `tensors`; absent before the first of its file.
        pub after: Option<f64>,
    }
}

/// A tensor of a GGUF file.
#[napi(object, object_from_js = false)]
pub struct TensorInfo {
    /// The name, unique in its file.
    pub name: String,
    /// The ggml type name, such as `"Q4_K"`.
    pub r#type: String,
    /// The ggml type id.
    pub type_id: u32,
    /// Whether it can be read as `'f32'`, `'f16'` and `'bf16'`; every tensor can be read as `'raw'`.
    pub convertible: bool,
    /// Size of each dimension, the fastest-varying first; the reverse of a NumPy shape. None of them is a tensor of
    /// one element.
    pub dimensions: Vec<f64>,
    /// Number of elements: the product of the dimensions.
    pub element_count: f64,
    /// Elements in a block.
    pub block_elements: f64,
    /// Bytes of a block as stored.
    pub block_bytes: f64,
    /// Bytes the data takes in the file.
    pub size_bytes: f64,
    /// Where the data starts, in bytes from the beginning of its file, or of the model within that.
    pub offset_bytes: f64,
    /// Which of the model's files has it: its place among `paths`, 0 for a model of one file.
    pub file_index: f64,
}

impl From<ModelTensor<'_>> for TensorInfo {
    fn from(tensor: ModelTensor<'_>) -> Self {
        let tensor_type = tensor.tensor_type();
        Self {
            name: tensor.name().to_owned(),
            r#type: tensor_type.name().to_owned(),
            type_id: tensor_type.id(),
            convertible: Output::F32.takes(tensor_type),
            dimensions: tensor.dims().iter().map(|size| *size as f64).collect(),
            element_count: tensor.element_count() as f64,
            block_elements: tensor_type.block_elements() as f64,
            block_bytes: tensor_type.block_bytes() as f64,
            size_bytes: tensor.size_bytes() as f64,
            offset_bytes: tensor.file_offset_bytes() as f64,
            file_index: tensor.file_index() as f64,
        }
    }
}

#[napi(object, object_to_js = false)]
pub struct NativeStreamOptions {
    pub tensors: Option<Vec<String>>,
    pub output: String,
    pub chunk_bytes: f64,
    pub threads: u32,
    pub io: String,
    pub drop_behind: bool,
    pub check_tensors: bool,
    pub digest: bool,
}

impl From<NativeOpenOptions> for OpenOptions {
    fn from(options: NativeOpenOptions) -> Self {
        let standard = Limits::default();
        let limits = Limits {
            name_bytes: options.max_name_bytes.unwrap_or(standard.name_bytes),
            dimensions: options.max_dimensions.unwrap_or(standard.dimensions),
            ..standard
        };
        Self {
            header: gguf_file::Options { header_only: options.header_only, strict: options.strict, limits },
            offset_bytes: options.offset_bytes as u64,
            shard_only: options.shard_only,
        }
    }
}

#[napi]
impl NativeModel {
    #[napi(factory, catch_unwind)]
    pub fn open(env: Env, path: String, options: NativeOpenOptions) -> napi::Result<Self> {
        Self::wrap(env, ModelFile::open(path, &options.into()))
    }

    #[napi(factory, catch_unwind)]
    pub fn from_bytes(
        env: Env,
        #[napi(ts_arg_type = "Uint8Array")] bytes: Unknown<'_>,
        options: NativeOpenOptions,
    ) -> napi::Result<Self> {
        Self::wrap(env, ModelFile::from_bytes(copy_of(env, &bytes)?, &options.into()))
    }

    pub(super) fn wrap(env: Env, model: plimsoll::Result<ModelFile>) -> napi::Result<Self> {
        let model = model.map_err(|error| to_js(env, &error))?;
        let memory_bytes = i64::try_from(model.memory_bytes()).unwrap_or(i64::MAX);
        env.adjust_external_memory(memory_bytes)?;
        let indexes = ArrayIndexes::default();
        Ok(Self { model: Mutex::new(Some(Arc::new(model))), indexes, memory_bytes })
    }

    /// The model, unless it was closed.
    pub(crate) fn model(&self, env: Env) -> napi::Result<Arc<ModelFile>> {
        let model = lock(&self.model).clone();
        model.ok_or_else(|| to_js(env, &CoreError::Released { what: "the GGUF file" }))
    }

    #[napi(catch_unwind)]
    pub fn close(&self, env: Env) -> napi::Result<()> {
        let open = lock(&self.model).take();
        if open.is_some() {
            env.adjust_external_memory(-self.memory_bytes)?;
        }
        Ok(())
    }

    #[napi(catch_unwind)]
    pub fn info(&self, env: Env) -> napi::Result<NativeModelInfo> {
        let model = self.model(env)?;
        let (layout, header) = (model.layout(), model.layout().header());
        let file_type = |kind: gguf_file::FileType| GgufFileType {
            id: kind.id() as f64,
            name: kind.name().map(str::to_owned),
        };
        Ok(NativeModelInfo {
            path: model.path().to_string_lossy().into_owned(),
            paths: model.paths().map(|path| path.to_string_lossy().into_owned()).collect(),
            size_bytes: model.size_bytes() as f64,
            header_only: model.is_header_only(),
            version: header.version(),
            architecture: header.architecture().map(str::to_owned),
            file_type: header.file_type().map(file_type),
            alignment_bytes: header.alignment_bytes() as f64,
            data_offset_bytes: header.data_offset_bytes() as f64,
            data_bytes: layout.data_bytes() as f64,
            tensor_count: layout.tensor_count() as f64,
            split: header.split().cross(),
        })
    }

    /// Tensors `start..end`: a hundred thousand as objects would hold the event loop up for ten calls of the engine each.
    #[napi(catch_unwind)]
    pub fn tensors(&self, env: Env, start: f64, end: f64) -> napi::Result<NativeTensors> {
        let model = self.model(env)?;
        let (start, end) = (start as usize, end as usize);
        Ok(NativeTensors::of(model.layout().tensors_in(start, end)))
    }

    #[napi(catch_unwind)]
    pub fn gaps(&self, env: Env) -> napi::Result<Vec<GgufGap>> {
        Ok(self.model(env)?.layout().gaps().cross())
    }

    #[napi(catch_unwind)]
    pub fn tensor(&self, env: Env, name: String) -> napi::Result<Option<TensorInfo>> {
        Ok(self.model(env)?.layout().tensor(&name).map(TensorInfo::from))
    }

    /// The names by position, for as long as the object lives.
    #[napi(catch_unwind)]
    pub fn tensor_names(&self, env: Env) -> napi::Result<NativeTensorNames> {
        Ok(NativeTensorNames::new(self.model(env)?.shared_layout()))
    }

    /// Bytes that the tensors of these names take in the file, all by default; names that it has not got take none.
    #[napi(catch_unwind)]
    pub fn stored_bytes(&self, env: Env, names: Option<Vec<String>>) -> napi::Result<f64> {
        let model = self.model(env)?;
        let layout = model.layout();
        let sum = |sizes: &mut dyn Iterator<Item = u64>| sizes.sum::<u64>() as f64;
        Ok(match names {
            None => sum(&mut layout.tensors().map(|tensor| tensor.size_bytes())),
            Some(names) => sum(&mut names.iter().filter_map(|name| Some(layout.tensor(name)?.size_bytes()))),
        })
    }

    #[napi(catch_unwind)]
    pub fn metadata_keys(&self, env: Env) -> napi::Result<Vec<String>> {
        let model = self.model(env)?;
        Ok(model.layout().header().metadata().iter().map(|(key, _)| key.to_owned()).collect())
    }

    #[napi(catch_unwind)]
    pub fn metadata_count(&self, env: Env) -> napi::Result<f64> {
        Ok(self.model(env)?.layout().header().metadata().len() as f64)
    }

    /// Keys and values in turn, of entries `start..end`; a value is as of `metadataValue`.
    #[napi(ts_return_type = "unknown[]", catch_unwind)]
    pub fn metadata_entries<'env>(
        &self,
        env: &'env Env,
        start: f64,
        end: f64,
    ) -> napi::Result<Vec<Unknown<'env>>> {
        let model = self.model(*env)?;
        metadata::entries_to_js(env, model.layout().header().metadata(), start as usize..end as usize)
    }

    /// The value's type name, `null` for a key that is not there.
    #[napi(catch_unwind)]
    pub fn metadata_type(&self, env: Env, key: String) -> napi::Result<Option<&'static str>> {
        let model = self.model(env)?;
        Ok(model.layout().header().metadata().get(&key).map(|value| value.value_type().name()))
    }

    /// A scalar, the place of an array, or `undefined` for a key that is not there.
    #[napi(ts_return_type = "unknown", catch_unwind)]
    pub fn metadata_value<'env>(&self, env: &'env Env, key: String) -> napi::Result<Unknown<'env>> {
        let model = self.model(*env)?;
        match model.layout().header().metadata().get(&key) {
            Some(value) => metadata::to_js(env, model.layout().header().metadata(), &value),
            None => metadata::undefined(env),
        }
    }

    /// Elements `start..end` of the array at a place of this file's, which its four numbers say.
    #[napi(ts_return_type = "Uint8Array | string[]", catch_unwind)]
    #[allow(clippy::too_many_arguments)] // Numbers cross over in a tenth of the time of objects.
    pub fn metadata_elements<'env>(
        &self,
        env: &'env Env,
        element_type_id: f64,
        length: f64,
        offset: f64,
        size_bytes: f64,
        start: f64,
        end: f64,
    ) -> napi::Result<Unknown<'env>> {
        let model = self.model(*env)?;
        let metadata = model.layout().header().metadata();
        match metadata::place_of([element_type_id, length, offset, size_bytes]) {
            Some(place) => {
                let range = start as usize..end as usize;
                metadata::elements_to_js(env, metadata, &self.indexes, place, range)
            }
            None => metadata::undefined(env),
        }
    }

    #[napi(catch_unwind)]
    pub fn stream(
        &self,
        env: Env,
        pool: &NativeStagingPool,
        options: NativeStreamOptions,
    ) -> napi::Result<NativeStream> {
        let model = self.model(env)?;
        let reader = select(&model, options)
            .map(|selection| Reader::new(Arc::clone(&model), selection, pool.core().clone()));
        Ok(NativeStream::new(UnitStream::new(reader.map_err(|error| to_js(env, &error))?)))
    }

    /// Fills the places of a plan, each with a tensor, in the order of the tensors.
    #[napi(catch_unwind)]
    pub fn stream_into(
        &self,
        env: Env,
        pool: &NativeStagingPool,
        options: NativeStreamOptions,
        places: &NativePlaces,
    ) -> napi::Result<NativeStream> {
        let model = self.model(env)?;
        let (pieces, fresh) = places.take();
        let reader = select(&model, options).and_then(|selection| {
            Reader::into_destination(model, selection, pool.core().clone(), Box::new(Pieces::new(pieces)?))
        });
        Ok(NativeStream::filling(UnitStream::new(reader.map_err(|error| to_js(env, &error))?), fresh))
    }
}

fn select(model: &ModelFile, options: NativeStreamOptions) -> plimsoll::Result<Selection> {
    let options = StreamOptions {
        output: kind_of("as", &options.output)?,
        io: kind_of("io", &options.io)?,
        tensors: options.tensors,
        chunk_bytes: options.chunk_bytes as u64,
        threads: options.threads as usize,
        drop_behind: options.drop_behind,
        check_tensors: options.check_tensors,
        digest: options.digest,
    };
    Selection::new(model, &options)
}
