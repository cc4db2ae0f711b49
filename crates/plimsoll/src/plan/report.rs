//! What was found of a plan.

use super::{footprint::Footprint, memory::PlanMemory};

/// Whether a plan passes, and why not.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanReport {
    /// The memory it is for.
    pub memory: PlanMemory,
    /// Whether all of it fits, at every moment.
    pub passes: bool,
    /// What a plan may use at most, in bytes.
    pub usable_bytes: u64,
    /// What all instances require once they run, in bytes.
    pub required_bytes: u64,
    /// The most that is taken at once, in bytes: while one of them is loaded, or once all run.
    pub peak_bytes: u64,
    /// What is usable less the peak, in bytes: negative where it does not fit.
    pub margin_bytes: i64,
    /// Each instance, in the order of start.
    pub instances: Vec<InstanceReport>,
    /// What is wrong, what bears on the whole plan first.
    pub issues: Vec<PlanIssue>,
    /// The order of start whose peak is the least: places in `instances`.
    pub best_order: Vec<usize>,
    /// That peak, in bytes.
    pub best_order_peak_bytes: u64,
    /// The least memory for which the plan would pass under the same margin and headroom, in bytes; `None` where no machine has it.
    pub least_total_bytes: Option<u64>,
}

/// An instance in a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceReport {
    /// Its name.
    pub id: String,
    /// Its limit, in bytes, if it has one.
    pub limit_bytes: Option<u64>,
    /// What its model takes.
    pub footprint: Footprint,
    /// What counts once it runs, in bytes: the larger of both.
    pub required_bytes: u64,
    /// What all take together while it is loaded, in bytes: those before it, and it.
    pub start_peak_bytes: u64,
    /// What it may require at most for the plan to pass, the others as they are, in bytes; 0 where they alone are too much.
    pub room_bytes: u64,
    /// The highest limit with which the plan would pass, the others as they are, in bytes; `None` where no limit of this one would
    /// do, or none is needed.
    pub fitting_limit_bytes: Option<u64>,
    /// Whether the plan would pass without it.
    pub passes_without: bool,
}

/// What is wrong with a plan that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanIssue {
    /// What it is.
    pub kind: PlanIssueKind,
    /// The instance it is about: its place in the order of start.
    pub instance: Option<usize>,
    /// What would be needed, in bytes.
    pub needed_bytes: u64,
    /// What there is, in bytes.
    pub usable_bytes: u64,
}

/// Why a plan does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanIssueKind {
    /// What all instances require is more than is usable.
    TotalTooLarge,
    /// While an instance is loaded, those before it and it take more than is usable.
    PeakTooLarge,
    /// An instance takes more than is usable by itself.
    InstanceTooLarge,
}

names!(PlanIssueKind {
    TotalTooLarge => "total-too-large",
    PeakTooLarge => "peak-too-large",
    InstanceTooLarge => "instance-too-large",
});
