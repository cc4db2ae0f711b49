//! Work that may wait for a device, on a thread of Node.js's pool, with its outcome as a promise.

use std::panic::{AssertUnwindSafe, catch_unwind};

use napi::{
    Env, Task,
    bindgen_prelude::{AsyncTask, ToNapiValue, TypeName},
};
use plimsoll::{Error as CoreError, Result as CoreResult};

use crate::error::to_js;

type Call<T> = Box<dyn FnOnce() -> CoreResult<T> + Send>;
type Convert<T, J> = Box<dyn FnOnce(Env, T) -> napi::Result<J> + Send>;

/// A call of the core, and how what it gives becomes JavaScript's.
pub struct Work<T, J> {
    call: Option<Call<T>>,
    convert: Option<Convert<T, J>>,
}

impl<T: Send + 'static, J: ToNapiValue + TypeName + 'static> Work<T, J> {
    /// A promise of what `call` gives, converted on JavaScript's own thread.
    pub fn promise(
        call: impl FnOnce() -> CoreResult<T> + Send + 'static,
        convert: impl FnOnce(Env, T) -> napi::Result<J> + Send + 'static,
    ) -> AsyncTask<Self> {
        AsyncTask::new(Self { call: Some(Box::new(call)), convert: Some(Box::new(convert)) })
    }
}

impl<T: Send + 'static, J: ToNapiValue + TypeName + 'static> Task for Work<T, J> {
    type Output = CoreResult<T>;
    type JsValue = J;

    fn compute(&mut self) -> napi::Result<Self::Output> {
        let Some(call) = self.call.take() else { return Ok(Err(CoreError::Cancelled)) };
        // A panic must not leave this thread, which is not ours.
        let outcome = catch_unwind(AssertUnwindSafe(call));
        Ok(outcome.unwrap_or_else(|_| Err(CoreError::internal("a call of the core panicked"))))
    }

    fn resolve(&mut self, env: Env, output: Self::Output) -> napi::Result<J> {
        let output = output.map_err(|error| to_js(env, &error))?;
        let twice = || to_js(env, &CoreError::internal("a call of the core had two outcomes"));
        let convert = self.convert.take().ok_or_else(twice)?;
        convert(env, output)
    }
}
