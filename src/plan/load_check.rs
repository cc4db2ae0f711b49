//! Whether a model may be loaded right now.

use napi::Env;
use napi_derive::napi;
use plimsoll::plan::{LoadCheck as CoreCheck, check_before_load};

use super::input::NativePlannedInstance;
use crate::{
    budget::{HeadroomTerm, NativeBudget},
    mirror::{Cross, mirror},
};

mirror! {
    pub struct NativeLoadCheck of CoreCheck {
        pub fits: bool,
        pub required_bytes: f64,
        pub available_bytes: f64,
        pub margin_bytes: f64,
        pub binding_term: HeadroomTerm = binding.cross(),
    }
    reading { binding }
}

/// Weighs a load against what the machine of a budget can give now, with so much left free. `own_bytes` were granted for it.
#[napi(catch_unwind)]
pub fn check_load(
    env: Env,
    budget: &NativeBudget,
    instance: NativePlannedInstance,
    headroom_bytes: f64,
    own_bytes: f64,
) -> napi::Result<NativeLoadCheck> {
    let headroom = budget.measured_headroom(env, Some(headroom_bytes))?;
    Ok(check_before_load(&instance.footprint(), instance.limit(), &headroom, own_bytes as u64).into())
}
