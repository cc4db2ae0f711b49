//! Who shares a ledger, for JavaScript.

use std::os::fd::AsRawFd;

use napi::Env;
use napi_derive::napi;
use plimsoll::{
    ledger::{LedgerHolder as CoreHolder, LedgerWaiting as CoreWaiting, survey},
    system::available_bytes,
};

use super::options::NativeLedgerOptions;
use crate::{
    budget::NativeBudget,
    error::to_js,
    mirror::{Cross, mirror},
};

mirror! {
    /// A request that waits in another process, or in this one.
    pub struct LedgerWaiting of CoreWaiting {
        /// What it asks for, in bytes.
        pub bytes: f64,
        /// Its priority; higher comes first.
        pub priority: f64,
        /// What of the free bytes those who come after it must leave, in bytes.
        pub kept_bytes: f64,
        /// How many of the same process wait, this one included.
        pub count: u32,
        /// Whether it is in nobody's way in other processes: what keeps it back is a bound or a load of its own process.
        pub stands_back: bool,
    }
    leaving { since_ns, seen_ns }
}

mirror! {
    /// A process that has a share in a ledger, or had one when it died.
    pub struct LedgerHolder of CoreHolder {
        /// The slot that it has in the file, from 0.
        pub slot: f64,
        /// What it calls itself.
        pub name: String,
        /// Its id, in its own PID namespace.
        pub pid: u32,
        /// Whether that id is meant here: not in another container.
        pub is_seen: bool,
        /// The id of its user.
        pub uid: u32,
        /// How long it has had its share, in milliseconds.
        pub age_ms: f64,
        /// What it was granted, in bytes.
        pub held_bytes: f64,
        /// What of that it has not taken, in bytes.
        pub pending_bytes: f64,
        /// What of that it can be asked to give back, in bytes.
        pub revocable_bytes: f64,
        /// How important it is; higher is more.
        pub priority: f64,
        /// Whether it has died, and its memory is not back yet.
        pub is_draining: bool,
        /// How much longer that is waited for at most, in milliseconds; 0 where it has not died.
        pub drains_for_ms: f64,
        /// The request of it that is next, if any waits.
        pub waiting: Option<LedgerWaiting>,
        /// The label of that request.
        pub waiting_label: String,
        /// How long that has waited, in milliseconds.
        pub waiting_ms: f64,
    }
}

/// A ledger and who shares it.
#[napi(object, object_from_js = false)]
pub struct LedgerSurvey {
    /// Where it is.
    pub path: String,
    /// Who shares it.
    pub holders: Vec<LedgerHolder>,
}

/// Who shares that ledger; `null` where there is none.
#[napi(catch_unwind)]
pub fn survey_ledger(env: Env, options: NativeLedgerOptions) -> napi::Result<Option<LedgerSurvey>> {
    let found = survey(&options.core(), &available_bytes).map_err(|error| to_js(env, &error))?;
    Ok(found.map(|(path, holders)| LedgerSurvey { path: path.cross(), holders: holders.cross() }))
}

#[napi]
impl NativeBudget {
    /// Where the ledger is that it shares; absent where it shares none.
    #[napi(getter, catch_unwind)]
    pub fn ledger_path(&self) -> Option<String> {
        self.seat().map(|seat| seat.path().to_path_buf().cross())
    }

    /// Who shares that ledger, this process too.
    #[napi(catch_unwind)]
    pub fn ledger_holders(&self, env: Env) -> napi::Result<Vec<LedgerHolder>> {
        let holders = self.seat().map(|seat| seat.holders()).transpose();
        Ok(holders.map_err(|error| to_js(env, &error))?.unwrap_or_default().cross())
    }

    /// The number of the descriptor that keeps the slot: a process that inherits it holds the share as long as it lives.
    #[napi(getter, catch_unwind)]
    pub fn ledger_descriptor(&self) -> Option<i32> {
        self.seat().map(|seat| seat.with_descriptor(|descriptor| descriptor.as_raw_fd()))
    }

    /// Leaves the share to whoever else has its descriptor open.
    #[napi(catch_unwind)]
    pub fn abandon_ledger_share(&self) {
        if let Some(seat) = self.seat() {
            seat.abandon();
        }
    }

    /// Says that the process with that id holds the share: it inherited the descriptor.
    #[napi(catch_unwind)]
    pub fn set_ledger_process(&self, env: Env, pid: u32) -> napi::Result<()> {
        let seat = self.seat();
        seat.map_or(Ok(()), |seat| seat.set_process(pid)).map_err(|error| to_js(env, &error))
    }
}
