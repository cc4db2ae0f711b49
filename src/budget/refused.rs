//! What was refused in the end.

use std::time::SystemTime;

use napi::Env;
use napi_derive::napi;
use plimsoll::budget::{
    RefusalCode, RefusalCount as CoreCount, RefusedRequest as CoreRequest, RefusedRequests as CoreRequests,
};

use super::NativeBudget;
use crate::{
    error::to_js,
    mirror::{kind_of, mirror, since_1970_ms},
};

mirror! {
    /// A request that was refused, with what to do about it.
    pub struct RefusedRequest of CoreRequest {
        /// When it was, in milliseconds since 1970.
        pub time_ms: f64 = since_1970_ms(at),
        /// Why, by the code of its error.
        pub code: RefusalCode as "'ERR_INSUFFICIENT_MEMORY' | 'ERR_NEVER_FITS' | 'ERR_TIMEOUT' | 'ERR_BUSY'",
        /// What it was for; the beginning where that is long.
        pub label: String,
        /// What was asked for, in bytes.
        pub requested_bytes: f64,
        /// What there was, in bytes.
        pub available_bytes: f64,
        /// What left no more, in words.
        pub binding_constraint: String,
        /// What to do about it.
        pub suggestion: String,
    }
    reading { at }
}

mirror! {
    /// How many requests were refused for one reason.
    pub struct RefusalCount of CoreCount {
        /// Why, by the code of their errors.
        pub code: RefusalCode as "'ERR_INSUFFICIENT_MEMORY' | 'ERR_NEVER_FITS' | 'ERR_TIMEOUT' | 'ERR_BUSY'",
        /// How many, since the first budget of that memory was made.
        pub count: f64,
    }
}

mirror! {
    /// What a budget has refused.
    pub struct RefusedRequests of CoreRequests {
        /// How many requests in all, one count for every reason there is.
        pub counts: Vec<RefusalCount>,
        /// The latest 50 of them, the last one first.
        pub latest: Vec<RefusedRequest>,
    }
}

/// A request that was refused now.
#[napi(object, object_to_js = false)]
pub struct NativeRefusedRequest {
    pub code: String,
    pub label: String,
    pub requested_bytes: f64,
    pub available_bytes: f64,
    pub binding_constraint: String,
    pub suggestion: String,
}

#[napi]
impl NativeBudget {
    /// Counts and keeps what was refused in the end.
    #[napi(catch_unwind)]
    pub fn note_refused(&self, env: Env, request: NativeRefusedRequest) -> napi::Result<()> {
        let code = kind_of("code", &request.code).map_err(|error| to_js(env, &error))?;
        self.core().note_refused(CoreRequest {
            at: SystemTime::now(),
            code,
            label: request.label,
            requested_bytes: request.requested_bytes as u64,
            available_bytes: request.available_bytes as u64,
            binding_constraint: request.binding_constraint,
            suggestion: request.suggestion,
        });
        Ok(())
    }

    #[napi(catch_unwind)]
    pub fn refused_requests(&self) -> RefusedRequests {
        self.core().refused_requests().into()
    }
}
