//! Whether a plan passes.

use std::collections::BTreeSet;

use super::{
    footprint::Footprint,
    instance::PlannedInstance,
    limits::neat_below,
    memory::PlanMemory,
    report::{InstanceReport, PlanIssue, PlanIssueKind, PlanReport},
    sizes::Sizes,
};
use crate::{
    error::{Error, Result},
    units::MAX_BYTES,
};

/// Looks at a whole plan: instances in the order in which they start.
///
/// That a plan does not fit is no error: [`PlanReport::passes`] is false then.
///
/// # Errors
///
/// [`Error::InvalidArgument`] for two instances of one name, one without a name, and sizes that are more than any machine has.
///
/// ```
/// use plimsoll::{plan::{Footprint, PlanMemory, PlannedInstance, validate}, units::GIB};
///
/// let memory = PlanMemory::of_total(32 * GIB)?;
/// let of = |id: &str, gib| PlannedInstance { id: id.to_owned(), limit_bytes: Some(gib * GIB), footprint: Footprint::NONE };
/// let report = validate(&memory, &[of("subject", 8), of("observer", 10), of("god", 12)])?;
/// assert!(!report.passes); // 30.00 GiB of 27.20
/// # Ok::<(), plimsoll::Error>(())
/// ```
pub fn validate(memory: &PlanMemory, instances: &[PlannedInstance]) -> Result<PlanReport> {
    check(instances)?;
    let usable_bytes = memory.usable_bytes();
    let sizes = Sizes::of(instances);
    let (required_bytes, peak_bytes) = (sizes.required_bytes(), sizes.peak_bytes());
    let best_order = sizes.best_order();
    let best_order_peak_bytes = sizes.in_order(&best_order).peak_bytes();
    let passes = peak_bytes <= usable_bytes;
    let reports = instances.iter().zip(sizes.starts());
    let reports: Vec<_> = reports
        .enumerate()
        .map(|(index, (instance, start_peak_bytes))| InstanceReport {
            id: instance.id.clone(),
            limit_bytes: instance.limit_bytes,
            footprint: instance.footprint,
            required_bytes: instance.footprint.required_bytes(instance.limit_bytes),
            start_peak_bytes,
            room_bytes: sizes.room_bytes(index, usable_bytes),
            fitting_limit_bytes: fitting_limit(instance, sizes.room_bytes(index, usable_bytes)),
            passes_without: passes || sizes.without(index).peak_bytes() <= usable_bytes,
        })
        .collect();
    Ok(PlanReport {
        memory: *memory,
        passes,
        usable_bytes,
        required_bytes,
        peak_bytes,
        margin_bytes: signed(usable_bytes) - signed(peak_bytes),
        issues: issues(&sizes, usable_bytes),
        instances: reports,
        best_order,
        best_order_peak_bytes,
        least_total_bytes: memory.least_total_bytes(peak_bytes),
    })
}

fn check(instances: &[PlannedInstance]) -> Result<()> {
    let mut names = BTreeSet::new();
    for instance in instances {
        let name = instance.id.as_str();
        if name.is_empty() || !names.insert(name) {
            let expected = "a name that no other instance of the plan has";
            return Err(Error::invalid_argument("id", expected, format!("{name:?}")));
        }
        let Footprint { loading_bytes, running_bytes, .. } = instance.footprint;
        let largest = loading_bytes.max(running_bytes).max(instance.limit_bytes.unwrap_or(0));
        if largest > MAX_BYTES {
            return Err(Error::invalid_argument(
                "bytes",
                format!("at most {MAX_BYTES}"),
                largest.to_string(),
            ));
        }
    }
    Ok(())
}

/// The highest neat limit of an instance that leaves it what it has room for, where its limit is what is too high.
fn fitting_limit(instance: &PlannedInstance, room_bytes: u64) -> Option<u64> {
    let limit_bytes = instance.limit_bytes?;
    let least = instance.footprint.running_bytes.max(1);
    (limit_bytes > room_bytes && room_bytes >= least).then(|| neat_below(room_bytes, least))
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// What is wrong, what bears on the whole plan first.
fn issues(sizes: &Sizes, usable_bytes: u64) -> Vec<PlanIssue> {
    let issue = |kind, instance, needed_bytes| PlanIssue { kind, instance, needed_bytes, usable_bytes };
    let (required_bytes, peak_bytes) = (sizes.required_bytes(), sizes.peak_bytes());
    let mut issues = Vec::new();
    if required_bytes > usable_bytes {
        issues.push(issue(PlanIssueKind::TotalTooLarge, None, required_bytes));
    }
    // Where the sum is the most that is taken, it has been told already.
    if peak_bytes > usable_bytes.max(required_bytes) {
        let at = sizes.starts().position(|peak| peak == peak_bytes);
        issues.push(issue(PlanIssueKind::PeakTooLarge, at, peak_bytes));
    }
    let alone = sizes.alone().enumerate().filter(|(_, bytes)| *bytes > usable_bytes);
    issues.extend(alone.map(|(at, bytes)| issue(PlanIssueKind::InstanceTooLarge, Some(at), bytes)));
    issues
}
