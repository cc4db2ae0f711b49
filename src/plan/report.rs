//! What was found of a plan.

use napi::Env;
use napi_derive::napi;
use plimsoll::plan::{
    FootprintFormula, InstanceReport as CoreInstance, PlanBound, PlanIssue as CoreIssue, PlanIssueKind,
    PlanReport as CoreReport, validate,
};

use super::input::{NativePlanMemory, NativePlannedInstance};
use crate::{error::to_js, mirror::mirror};

mirror! {
    pub struct NativePlanReport of CoreReport {
        pub passes: bool,
        pub total_bytes: f64 = memory.total_bytes() as f64,
        pub safety_margin_percent: f64 = memory.safety_margin_percent(),
        pub headroom_bytes: f64 = memory.headroom_bytes() as f64,
        pub bound: PlanBound as "'safety-margin' | 'headroom' | 'line'" = memory.bound(),
        pub usable_bytes: f64,
        pub required_bytes: f64,
        pub peak_bytes: f64,
        pub margin_bytes: f64,
        pub instances: Vec<PlanInstanceReport>,
        pub issues: Vec<NativePlanIssue>,
        pub best_order: Vec<u32>,
        pub best_order_peak_bytes: f64,
        pub least_total_bytes: Option<f64>,
    }
    reading { memory }
}

mirror! {
    /// An instance in the report of a plan.
    pub struct PlanInstanceReport of CoreInstance {
        /// Its name.
        pub id: String,
        /// Its limit, in bytes; absent where it has none.
        pub limit_bytes: Option<f64>,
        /// How it was found what its model takes: by the estimate of its file's header, or by the rule of thumb of the file and half
        /// of it; without a model the limit alone counts.
        pub formula: FootprintFormula as "'estimate' | 'rule-of-thumb' | 'limit-only'" = footprint.formula,
        /// What its model takes while it is loaded, in bytes.
        pub loading_bytes: f64 = footprint.loading_bytes as f64,
        /// What its model takes once it runs, its contexts and caches full, in bytes.
        pub footprint_bytes: f64 = footprint.running_bytes as f64,
        /// What counts once it runs, in bytes: the larger of limit and footprint.
        pub required_bytes: f64,
        /// What all take together while it is loaded, in bytes: those before it, and it.
        pub start_peak_bytes: f64,
        /// What it may require at most for the plan to pass, the others as they are, in bytes; 0 where no size of it would do.
        pub room_bytes: f64,
        /// The highest neat limit with which the plan would pass, the others as they are, in bytes; absent where a limit of this
        /// instance mends nothing, or nothing has to be mended.
        pub fitting_limit_bytes: Option<f64>,
        /// Whether the plan would pass without it.
        pub passes_without: bool,
    }
    reading { footprint }
}

mirror! {
    pub struct NativePlanIssue of CoreIssue {
        pub kind: PlanIssueKind as "'total-too-large' | 'peak-too-large' | 'instance-too-large'",
        pub instance: Option<u32>,
        pub needed_bytes: f64,
        pub usable_bytes: f64,
    }
}

/// Looks at a whole plan.
#[napi(catch_unwind)]
pub fn plan_report(
    env: Env,
    memory: NativePlanMemory,
    instances: Vec<NativePlannedInstance>,
) -> napi::Result<NativePlanReport> {
    let instances: Vec<_> = instances.into_iter().map(NativePlannedInstance::core).collect();
    let found = memory.core().and_then(|memory| validate(&memory, &instances));
    found.map(Into::into).map_err(|error| to_js(env, &error))
}
