//! What a plan is made of, and limits for it.

use napi::Env;
use napi_derive::napi;
use plimsoll::plan::{
    Footprint, FootprintFormula, PlanMemory, PlanMode, PlannedInstance, RoleLimit as CoreLimit,
    default_headroom_bytes, fitting_limits, recommend_limits,
};

use crate::{
    error::to_js,
    mirror::{Cross, array_of, kind_of, mirror},
};

/// The memory that a plan is for. What is absent has the core's default.
#[napi(object, object_to_js = false)]
pub struct NativePlanMemory {
    pub total_bytes: f64,
    pub safety_margin_percent: Option<f64>,
    pub headroom_bytes: Option<f64>,
    pub line_bytes: Option<f64>,
}

impl NativePlanMemory {
    pub fn core(&self) -> plimsoll::Result<PlanMemory> {
        let memory = PlanMemory::of_total(self.total_bytes as u64)?;
        let memory =
            self.safety_margin_percent.map_or(Ok(memory), |percent| memory.with_safety_margin(percent))?;
        let memory = self.headroom_bytes.map_or(memory, |bytes| memory.with_headroom(bytes as u64));
        Ok(self.line_bytes.map_or(memory, |bytes| memory.with_line(bytes as u64)))
    }
}

/// An instance, with the size of its file for the rule of thumb, or with two figures of its estimate.
#[napi(object, object_to_js = false)]
pub struct NativePlannedInstance {
    pub id: String,
    pub limit_bytes: Option<f64>,
    pub file_bytes: Option<f64>,
    pub loading_bytes: Option<f64>,
    pub full_bytes: Option<f64>,
}

impl NativePlannedInstance {
    pub fn footprint(&self) -> Footprint {
        match (self.file_bytes, self.loading_bytes, self.full_bytes) {
            (Some(file_bytes), _, _) => Footprint::of_file(file_bytes as u64),
            (None, Some(loading_bytes), Some(full_bytes)) => Footprint {
                formula: FootprintFormula::Estimate,
                loading_bytes: loading_bytes as u64,
                running_bytes: full_bytes as u64,
            },
            (None, _, _) => Footprint::NONE,
        }
    }

    pub fn limit(&self) -> Option<u64> {
        self.limit_bytes.map(|bytes| bytes as u64)
    }

    pub fn core(self) -> PlannedInstance {
        let (limit_bytes, footprint) = (self.limit(), self.footprint());
        PlannedInstance { id: self.id, limit_bytes, footprint }
    }
}

/// What an instance requires once it runs, and what it takes at most from its start on.
#[napi(object, object_from_js = false)]
pub struct NativeRequired {
    pub required_bytes: f64,
    pub peak_bytes: f64,
}

/// What an instance counts for.
#[napi(catch_unwind)]
pub fn required_of(instance: NativePlannedInstance) -> NativeRequired {
    let (limit_bytes, footprint) = (instance.limit(), instance.footprint());
    NativeRequired {
        required_bytes: footprint.required_bytes(limit_bytes) as f64,
        peak_bytes: footprint.peak_bytes(limit_bytes) as f64,
    }
}

mirror! {
    /// A limit for an instance of a mode.
    pub struct RoleLimit of CoreLimit {
        /// What the instance is called.
        pub role: String,
        /// Its limit, in bytes.
        pub limit_bytes: f64,
    }
}

/// Limits for the roles of a mode.
#[napi(catch_unwind)]
pub fn recommended_limits(env: Env, mode: String, memory: NativePlanMemory) -> napi::Result<Vec<RoleLimit>> {
    let found = || Ok(recommend_limits(kind_of("mode", &mode)?, &memory.core()?));
    found().map(Cross::cross).map_err(|error| to_js(env, &error))
}

/// Limits under which all of these instances pass, if there are such; a limit of 0 for who has none.
#[napi(catch_unwind)]
pub fn fitting_plan_limits(
    env: Env,
    memory: NativePlanMemory,
    instances: Vec<NativePlannedInstance>,
) -> napi::Result<Option<Vec<f64>>> {
    let instances: Vec<_> = instances.into_iter().map(NativePlannedInstance::core).collect();
    let memory = memory.core().map_err(|error| to_js(env, &error))?;
    let found = fitting_limits(&memory, &instances);
    Ok(found.map(|limits| limits.into_iter().map(|limit| limit.unwrap_or(0) as f64).collect()))
}

/// What the instances of a mode are called, in the order in which they start.
#[napi(catch_unwind)]
pub fn plan_roles(env: Env, mode: String) -> napi::Result<Vec<&'static str>> {
    let mode = kind_of::<PlanMode>("mode", &mode).map_err(|error| to_js(env, &error))?;
    Ok(mode.roles().collect())
}

/// What is left free before a load of a machine with so much memory, unless it is said otherwise.
#[napi(catch_unwind)]
pub fn default_headroom(total_bytes: f64) -> f64 {
    default_headroom_bytes(total_bytes as u64) as f64
}

array_of! {
    /// The modes that a plan may have.
    pub fn plan_modes() -> PlanMode::NAMES => "Array<'single' | 'matrix'>"
}
