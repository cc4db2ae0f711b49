//! The planner of the NPU's domains.

use napi::Env;
use napi_derive::napi;
use plimsoll::{
    Result as CoreResult,
    device::rknpu::{Alignment, DomainId, plan},
};

use crate::error::to_js;

/// Which domain each buffer goes to when all sixteen are empty, by the rule of every driver.
#[napi(catch_unwind)]
pub fn plan_npu_domains(env: Env, sizes: Vec<f64>) -> napi::Result<Vec<u32>> {
    planned(env, &sizes, |sizes| plan(sizes, Alignment::Size))
}

/// Converts the sizes, and what was planned for them.
pub fn planned(
    env: Env,
    sizes: &[f64],
    plan: impl FnOnce(&[u64]) -> CoreResult<Vec<DomainId>>,
) -> napi::Result<Vec<u32>> {
    let sizes: Vec<u64> = sizes.iter().map(|bytes| *bytes as u64).collect();
    match plan(&sizes) {
        Ok(domains) => Ok(domains.into_iter().map(|domain| domain.get().into()).collect()),
        Err(error) => Err(to_js(env, &error)),
    }
}
