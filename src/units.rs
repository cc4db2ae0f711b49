//! Sizes as people write them.

use napi::Env;
use napi_derive::napi;
use plimsoll::units;

use crate::error::to_js;

#[napi(catch_unwind)]
pub fn parse_bytes(env: Env, text: String) -> napi::Result<f64> {
    plimsoll::parse_bytes(&text).map(|bytes| bytes as f64).map_err(|error| to_js(env, &error))
}

#[napi(catch_unwind)]
pub fn format_bytes(bytes: f64) -> String {
    units::format_bytes(bytes as u64)
}
