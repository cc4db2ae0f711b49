//! What the system can give now, for JavaScript.

use std::sync::OnceLock;

use napi_derive::napi;
use plimsoll::{
    budget::{DriverRule, Headroom as CoreHeadroom, HeadroomOptions, HeadroomTerm as CoreTerm},
    system::{DetectedBoard, Probe, SystemRoot},
};

/// What the system can give at one moment, and why not more.
#[napi(object, object_from_js = false)]
pub struct Headroom {
    /// The least room of the terms, less what is pending; in bytes.
    pub bytes: f64,
    /// What was granted and has not yet been taken, in bytes.
    pub pending_bytes: f64,
    /// The largest single allocation the board would accept now, in bytes. On Jetson the driver refuses larger ones; since
    /// Linux for Tegra 36.4.7 by a rule that nobody outside it knows, and this is absent: no size is promised.
    pub largest_allocation_bytes: Option<f64>,
    /// The bound with the least room.
    pub binding_term: HeadroomTerm,
    /// Every bound that was weighed: the machine, then the cgroups from the process's own upwards.
    pub terms: Vec<HeadroomTerm>,
}

/// One upper bound on headroom.
#[napi(object, object_from_js = false)]
pub struct HeadroomTerm {
    /// Where the bound comes from.
    #[napi(ts_type = "'machine' | 'cgroup'")]
    pub kind: String,
    /// The cgroup's path.
    pub path: Option<String>,
    /// All that could be given were nothing in use: the whole less the floor, in bytes.
    pub capacity_bytes: f64,
    /// What is left untouched for the system around the model, in bytes.
    pub floor_bytes: f64,
    /// What can be given now, the floor left untouched, in bytes.
    pub room_bytes: f64,
    /// Share of the capacity that is in use, 0 to 100.
    pub used_percent: f64,
    /// The bound in words.
    pub description: String,
}

impl From<&CoreTerm> for HeadroomTerm {
    fn from(term: &CoreTerm) -> Self {
        Self {
            kind: term.kind.name().to_owned(),
            path: term.path.clone(),
            capacity_bytes: term.capacity_bytes as f64,
            floor_bytes: term.floor_bytes as f64,
            room_bytes: term.room_bytes as f64,
            used_percent: term.used_percent(),
            description: term.description.clone(),
        }
    }
}

impl From<&CoreHeadroom> for Headroom {
    fn from(headroom: &CoreHeadroom) -> Self {
        Self {
            bytes: headroom.bytes as f64,
            pending_bytes: headroom.promised.bytes() as f64,
            largest_allocation_bytes: headroom.largest_allocation_bytes.map(|bytes| bytes as f64),
            binding_term: (&headroom.binding).into(),
            terms: headroom.terms.iter().map(HeadroomTerm::from).collect(),
        }
    }
}

/// The rule of this machine, which does not change while a process runs.
static DRIVER_RULE: OnceLock<Option<DriverRule>> = OnceLock::new();

/// Fails where the files that tell the rule could not be opened for want of descriptors.
pub fn headroom_options(root: &SystemRoot, floor_bytes: Option<f64>) -> Probe<HeadroomOptions> {
    let of = |root| DetectedBoard::probe(root).map(|board| DriverRule::of_board(&board));
    let driver_rule = match DRIVER_RULE.get().filter(|_| root.is_this_machine()) {
        Some(rule) => *rule,
        None if root.is_this_machine() => {
            let found = of(root)?;
            *DRIVER_RULE.get_or_init(|| found)
        }
        None => of(root)?,
    };
    Ok(HeadroomOptions { floor_bytes: floor_bytes.map(|bytes| bytes as u64), driver_rule })
}
