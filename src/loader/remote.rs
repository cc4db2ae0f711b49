//! The native half of opening a model on a server: what to ask for, which `lib/` fetches.

use std::sync::{Arc, Mutex};

use napi::{
    Env, Unknown,
    bindgen_prelude::{AsyncTask, Either, Null},
};
use napi_derive::napi;
use plimsoll::{
    Error as CoreError, Result as CoreResult,
    loader::{HeaderStep, RemoteModel, ServerAnswer},
};

use super::model::{NativeModel, NativeOpenOptions};
use crate::{error::to_js, js_memory::copy_of, sync::lock, work::Work};

/// A model while its headers are fetched, until it is opened.
#[napi]
pub struct NativeRemoteModel {
    fetching: Arc<Mutex<Option<RemoteModel>>>,
}

/// What is to be done next.
#[napi(discriminant = "kind", discriminant_case = "camelCase", object_from_js = false)]
pub enum NativeHeaderStep {
    /// `end_bytes` is the byte behind the last.
    Request {
        file_name: String,
        start_bytes: f64,
        end_bytes: f64,
        if_range: Option<String>,
    },
    Read,
    Parse,
    Done,
}

/// What a server says before the body; a field that it leaves out is `null`, as of `Headers.get`.
#[napi(object, object_to_js = false)]
pub struct NativeAnswer {
    pub status: u32,
    pub content_range: Either<String, Null>,
    pub content_length: Either<String, Null>,
    pub content_encoding: Either<String, Null>,
    pub etag: Either<String, Null>,
    pub last_modified: Either<String, Null>,
    pub retry_after: Either<String, Null>,
}

impl From<NativeAnswer> for ServerAnswer {
    fn from(answer: NativeAnswer) -> Self {
        let some = |field: Either<String, Null>| match field {
            Either::A(text) => Some(text),
            Either::B(_) => None,
        };
        Self {
            status: u16::try_from(answer.status).unwrap_or(0),
            content_range: some(answer.content_range),
            content_length: some(answer.content_length),
            content_encoding: some(answer.content_encoding),
            etag: some(answer.etag),
            last_modified: some(answer.last_modified),
            retry_after: some(answer.retry_after),
        }
    }
}

fn opened_already() -> CoreError {
    CoreError::Released { what: "the model that is being fetched" }
}

#[napi]
impl NativeRemoteModel {
    /// `url` is how the model is called, without anything secret.
    #[napi(factory, catch_unwind)]
    pub fn open(
        env: Env,
        url: String,
        options: NativeOpenOptions,
        max_header_bytes: f64,
    ) -> napi::Result<Self> {
        let mut options = plimsoll::loader::OpenOptions::from(options);
        options.header.limits.header_bytes = max_header_bytes as u32;
        let fetching = RemoteModel::new(&url, &options).map_err(|error| to_js(env, &error))?;
        Ok(Self { fetching: Arc::new(Mutex::new(Some(fetching))) })
    }

    fn with<T>(&self, env: Env, work: impl FnOnce(&mut RemoteModel) -> CoreResult<T>) -> napi::Result<T> {
        let mut fetching = lock(&self.fetching);
        let outcome = fetching.as_mut().ok_or_else(opened_already).and_then(work);
        drop(fetching);
        outcome.map_err(|error| to_js(env, &error))
    }

    #[napi(catch_unwind)]
    pub fn step(&self, env: Env) -> napi::Result<NativeHeaderStep> {
        self.with(env, |model| {
            Ok(match model.step() {
                HeaderStep::Request { start_bytes, end_bytes, if_range } => NativeHeaderStep::Request {
                    file_name: model.file_name().to_owned(),
                    start_bytes: start_bytes as f64,
                    end_bytes: end_bytes as f64,
                    if_range,
                },
                HeaderStep::Read => NativeHeaderStep::Read,
                HeaderStep::Parse => NativeHeaderStep::Parse,
                HeaderStep::Done => NativeHeaderStep::Done,
            })
        })
    }

    /// How the file that is being fetched is called.
    #[napi(catch_unwind)]
    pub fn url(&self, env: Env) -> napi::Result<String> {
        self.with(env, |model| Ok(model.url().to_owned()))
    }

    /// Bytes of it that are there.
    #[napi(catch_unwind)]
    pub fn received_bytes(&self, env: Env) -> napi::Result<f64> {
        self.with(env, |model| Ok(model.received_bytes() as f64))
    }

    #[napi(catch_unwind)]
    pub fn answered(&self, env: Env, answer: NativeAnswer) -> napi::Result<()> {
        self.with(env, |model| model.answered(&answer.into()))
    }

    /// Takes what has come of the body.
    #[napi(catch_unwind)]
    pub fn push(&self, env: Env, #[napi(ts_arg_type = "Uint8Array")] piece: Unknown<'_>) -> napi::Result<()> {
        let piece = copy_of(env, &piece)?;
        self.with(env, |model| model.push(&piece).map(|_| ()))
    }

    /// The body has ended by itself.
    #[napi(catch_unwind)]
    pub fn ended(&self, env: Env) -> napi::Result<()> {
        self.with(env, RemoteModel::ended)
    }

    #[napi(ts_return_type = "Promise<void>", catch_unwind)]
    pub fn parse(&self) -> AsyncTask<Work<(), ()>> {
        let fetching = Arc::clone(&self.fetching);
        let parse = move || lock(&fetching).as_mut().ok_or_else(opened_already)?.parse();
        Work::promise(parse, |_, ()| Ok(()))
    }

    /// The model, once its headers are there. Nothing can be asked of this afterwards.
    #[napi(catch_unwind)]
    pub fn model(&self, env: Env) -> napi::Result<NativeModel> {
        let fetching = lock(&self.fetching).take();
        NativeModel::wrap(env, fetching.ok_or_else(opened_already).and_then(RemoteModel::into_model))
    }
}
