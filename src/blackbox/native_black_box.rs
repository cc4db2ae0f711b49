//! The native half of `BlackBox`.

use std::{path::PathBuf, sync::Arc, time::Duration};

use napi::{
    Env,
    bindgen_prelude::Function,
    threadsafe_function::{ThreadsafeCallContext, ThreadsafeFunctionCallMode},
};
use napi_derive::napi;
use plimsoll::blackbox::{
    BlackBox, BlackBoxOptions, BlackBoxStats as CoreStats, HappeningKind, HolderSource,
};

use crate::{
    budget::NativeBudget,
    error::to_js,
    mirror::{Cross, kind_of, mirror},
};

#[napi(object, object_to_js = false)]
pub struct NativeBlackBoxOptions {
    pub path: Option<String>,
    pub name: Option<String>,
    pub process_name: String,
    pub interval_ms: Option<f64>,
}

mirror! {
    /// What a black box has written.
    pub struct BlackBoxStats of CoreStats {
        /// Blocks on the disk.
        pub block_count: f64,
        /// Their bytes.
        pub written_bytes: f64,
        /// Blocks that could not be written.
        pub failed_count: f64,
        /// Why the last one could not; absent where it could.
        pub trouble: Option<String>,
    }
}

impl NativeBlackBoxOptions {
    fn core(self, budget: &NativeBudget) -> BlackBoxOptions {
        let defaults = BlackBoxOptions::default();
        let seat = budget.seat().map(Arc::clone);
        let holders = seat.map(|seat| -> HolderSource { Box::new(move || seat.look().unwrap_or_default()) });
        BlackBoxOptions {
            path: self.path.map(PathBuf::from),
            name: self.name.unwrap_or(defaults.name),
            process_name: Some(self.process_name),
            interval: self.interval_ms.map_or(defaults.interval, |ms| Duration::from_secs_f64(ms / 1e3)),
            holders,
            on_trouble: None,
        }
    }
}

/// A black box that writes.
#[napi]
pub struct NativeBlackBox(BlackBox);

#[napi]
impl NativeBlackBox {
    #[napi(factory, catch_unwind)]
    pub fn start(
        env: Env,
        budget: &NativeBudget,
        options: NativeBlackBoxOptions,
        on_trouble: Function<'_, String, ()>,
    ) -> napi::Result<Self> {
        let notify = on_trouble
            .build_threadsafe_function::<String>()
            .weak::<true>()
            .build_callback(|context: ThreadsafeCallContext<String>| Ok(context.value))?;
        let options = BlackBoxOptions {
            on_trouble: Some(Box::new(move |error| {
                notify.call(error.to_string(), ThreadsafeFunctionCallMode::NonBlocking);
            })),
            ..options.core(budget)
        };
        BlackBox::start(budget.core().clone(), options).map(Self).map_err(|error| to_js(env, &error))
    }

    #[napi(getter, catch_unwind)]
    pub fn path(&self) -> String {
        self.0.path().to_path_buf().cross()
    }

    #[napi(catch_unwind)]
    pub fn stats(&self) -> BlackBoxStats {
        self.0.stats().into()
    }

    /// Notes what happened outside of the budget.
    #[napi(catch_unwind)]
    pub fn note(&self, env: Env, kind: String, label: String, bytes: f64) -> napi::Result<()> {
        let kind: HappeningKind = kind_of("kind", &kind).map_err(|error| to_js(env, &error))?;
        self.0.note(kind, &label, bytes as u64);
        Ok(())
    }

    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.0.close();
    }
}
