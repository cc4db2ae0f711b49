//! The native half of `StagingPool`.

use napi::{Env, bindgen_prelude::ArrayBuffer};
use napi_derive::napi;
use plimsoll::pool::{StagingPool, StagingPoolOptions, StagingPoolStats as CoreStats};

use crate::{
    budget::NativeBudget,
    error::to_js,
    lease::{Held, LeaseHolder},
    mirror::mirror,
};

#[napi]
pub struct NativeStagingPool {
    pool: StagingPool,
}

mirror! {
    /// What a pool has done and holds.
    pub struct StagingPoolStats of CoreStats {
        /// Requests served by an idle buffer.
        pub hits: f64,
        /// Requests that took new memory.
        pub misses: f64,
        /// Bytes held idle for reuse.
        pub held_bytes: f64,
        /// Buffers held idle.
        pub held_count: f64,
        /// Bytes in the hands of users.
        pub in_use_bytes: f64,
        /// Buffers in the hands of users.
        pub in_use_count: f64,
        /// The most bytes, idle and in use, there ever were at once.
        pub peak_bytes: f64,
    }
}

#[napi]
impl NativeStagingPool {
    #[napi(factory, catch_unwind)]
    pub fn create(max_held_bytes: f64, zeroed: bool, budget: Option<&NativeBudget>) -> Self {
        let budget = budget.map(|budget| budget.core().clone());
        let options = StagingPoolOptions { max_held_bytes: max_held_bytes as u64, zeroed, budget };
        Self { pool: StagingPool::new(options) }
    }

    pub(crate) fn core(&self) -> &StagingPool {
        &self.pool
    }

    #[napi(catch_unwind)]
    pub fn get(&self, env: Env, bytes: f64) -> napi::Result<NativeStagingBuffer> {
        let buffer = self.pool.get(bytes as u64).map_err(|error| to_js(env, &error))?;
        Ok(NativeStagingBuffer { lease: LeaseHolder::new(Held::Buffer(buffer)) })
    }

    #[napi(catch_unwind)]
    pub fn stats(&self) -> StagingPoolStats {
        self.pool.stats().into()
    }

    #[napi(catch_unwind)]
    pub fn trim(&self, keep_bytes: f64) -> f64 {
        self.pool.trim(keep_bytes as u64) as f64
    }

    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.pool.close();
    }
}

#[napi]
pub struct NativeStagingBuffer {
    lease: LeaseHolder,
}

#[napi]
impl NativeStagingBuffer {
    /// The whole buffer, as the only one of the list; to be called once.
    #[napi(catch_unwind)]
    pub fn array_buffers(&self, env: Env) -> napi::Result<Vec<ArrayBuffer<'static>>> {
        self.lease.take()?.array_buffers(env, std::iter::once(0..self.lease.size_bytes()))
    }

    #[napi(catch_unwind)]
    pub fn keep(&self) {
        self.lease.keep();
    }
}
