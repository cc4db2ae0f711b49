//! Which ledger is meant, from JavaScript.

use std::{path::PathBuf, sync::Arc, time::Duration};

use napi::Env;
use napi_derive::napi;
use plimsoll::{
    ledger::{LedgerOptions, Seat, process_seat},
    system::available_bytes,
};

use crate::error::to_js;

/// Which ledger, and what this process is called in it.
#[napi(object, object_to_js = false)]
pub struct NativeLedgerOptions {
    pub name: Option<String>,
    pub directory: Option<String>,
    pub group: Option<u32>,
    pub force: Option<bool>,
    pub drain_ms: Option<f64>,
    pub process_name: String,
}

impl NativeLedgerOptions {
    pub(super) fn core(&self) -> LedgerOptions {
        let defaults = LedgerOptions::default();
        LedgerOptions {
            name: self.name.clone().unwrap_or(defaults.name),
            directory: self.directory.clone().map(PathBuf::from),
            group: self.group,
            force: self.force.unwrap_or(defaults.force),
            drain: self.drain_ms.map_or(defaults.drain, |ms| Duration::from_millis(ms as u64)),
        }
    }

    /// The seat of this process there.
    pub fn seat(self, env: Env) -> napi::Result<Arc<Seat>> {
        let seat = process_seat(&self.core(), &self.process_name, Box::new(available_bytes));
        seat.map_err(|error| to_js(env, &error))
    }
}
