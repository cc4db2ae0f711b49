//! What a configuration must stay within.

use crate::estimate::{model_memory::ModelMemoryEstimate, placement::ComputeDevice};

/// How much memory there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FitLimits {
    /// For all of it together.
    pub budget_bytes: u64,
    /// For any single allocation, such as the largest hole of a device. Default: no limit.
    pub largest_allocation_bytes: Option<u64>,
    /// For what the processor holds. Default: no limit but the budget.
    pub cpu_bytes: Option<u64>,
    /// For what the GPU holds. With it, as many layers go there as it has room for with the shortest context, at most as many as the
    /// options say if they say any; the longest context is looked for with these. Without it, as many as the options say.
    pub gpu_bytes: Option<u64>,
}

impl FitLimits {
    /// A budget and nothing else.
    #[must_use]
    pub const fn of_budget(budget_bytes: u64) -> Self {
        Self { budget_bytes, largest_allocation_bytes: None, cpu_bytes: None, gpu_bytes: None }
    }

    /// The same with no allocation above another limit, if there is one.
    pub(super) fn within(&self, window_bytes: Option<u64>) -> Self {
        let limits = [self.largest_allocation_bytes, window_bytes];
        Self { largest_allocation_bytes: limits.into_iter().flatten().min(), ..*self }
    }

    /// The first limit that these needs are above; the GPU's before the processor's, as layers can be moved from there.
    pub(super) fn broken_by(&self, needs: &ModelMemoryEstimate) -> Option<Excess> {
        let of = |device| needs.devices.iter().find(|it| it.device == device).map_or(0, |it| it.peak_bytes);
        let checks = [
            (self.gpu_bytes, of(ComputeDevice::Gpu), "the GPU"),
            (self.cpu_bytes, of(ComputeDevice::Cpu), "the processor"),
            (self.largest_allocation_bytes, needs.totals.largest_allocation_bytes, "one allocation"),
            (Some(self.budget_bytes), needs.totals.peak_bytes, "the budget"),
        ];
        checks.into_iter().find_map(|(limit, needed_bytes, holder)| {
            let limit_bytes = limit.filter(|limit| needed_bytes > *limit)?;
            Some(Excess { holder, needed_bytes, limit_bytes })
        })
    }
}

/// A limit, and what is above it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Excess {
    /// Whose limit it is, in words.
    pub(super) holder: &'static str,
    pub(super) needed_bytes: u64,
    pub(super) limit_bytes: u64,
}
