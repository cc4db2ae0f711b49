//! What this addon is.

use napi_derive::napi;

/// The instruction set that the dequantisers run with on this machine.
#[napi(catch_unwind)]
pub fn instruction_set() -> &'static str {
    gguf_dequant::instruction_set()
}

/// The version of the addon, which has to be that of the package around it.
#[napi(catch_unwind)]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}
