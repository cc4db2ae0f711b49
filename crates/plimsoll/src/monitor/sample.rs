//! One reading of the memory, judged.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::level::{Level, LevelLimits};
use crate::{
    budget::{Headroom, HeadroomOptions, MemoryBudget},
    system::{Probe, Signals},
    units::format_bytes,
};

/// The memory at one moment as a monitor saw it.
#[derive(Debug, Clone)]
pub struct Sample {
    /// When it was taken.
    pub at: SystemTime,
    /// The level it led to.
    pub level: Level,
    /// Use in percent of what could be used at most: the highest among machine, cgroups and line.
    pub used_percent: f64,
    /// The bound whose use that is, in words.
    pub constraint: String,
    /// What can be given now.
    pub headroom: Headroom,
    /// The line of the budget, in bytes.
    pub line_bytes: u64,
    /// What is granted under it, in bytes.
    pub allocated_bytes: u64,
    /// What the process takes of RAM, in bytes: what it has resident, files that it has mapped too (its weights, where it
    /// maps its model), and slabs of devices that its resident memory does not show.
    pub process_bytes: u64,
    /// Every signal it was drawn from.
    pub signals: Arc<Signals>,
}

impl Sample {
    /// Judges signals by a budget and limits. `unseen_bytes` are what the process takes and its resident memory does not
    /// show.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::system::Unavailable) when the machine's memory cannot be read, or a limit over the process
    /// that is there, or what the process takes: no level can be told then.
    pub fn judge(
        signals: Arc<Signals>,
        budget: &MemoryBudget,
        options: &HeadroomOptions,
        limits: &LevelLimits,
        current: Level,
        unseen_bytes: u64,
    ) -> Probe<Self> {
        let headroom = budget.headroom(&signals.machine()?, options);
        let process_bytes = match &signals.process {
            Ok(process) => process.rss_bytes,
            // A process that has ended holds nothing, and of a copy none is known.
            Err(unavailable) if unavailable.is_absent() => 0,
            Err(unavailable) => return Err(unavailable.clone()),
        };
        let process_bytes = process_bytes.saturating_add(unseen_bytes);
        let (used_percent, constraint) = fullest(&headroom, process_bytes, budget.usable_bytes());
        Ok(Self {
            at: SystemTime::now(),
            level: limits.next(current, used_percent),
            used_percent,
            constraint,
            headroom,
            line_bytes: budget.usable_bytes(),
            allocated_bytes: budget.allocated_bytes(),
            process_bytes,
            signals,
        })
    }

    /// How long the memory can be left alone: the least room divided by the fastest growth that is plausible, between
    /// 50 ms and a second.
    #[must_use]
    pub fn next_in(&self) -> Duration {
        /// A program that writes zeros to fresh pages on all cores of such boards. Source: earlyoom's estimate.
        const FASTEST_BYTES_PER_MS: u64 = 6000 * (1 << 20) / 1000;
        let below_line = self.line_bytes.saturating_sub(self.process_bytes);
        let ms = self.headroom.binding.room_bytes.min(below_line) / FASTEST_BYTES_PER_MS;
        Duration::from_millis(ms.clamp(50, 1000))
    }
}

/// The highest use among the bounds, and which one that is. The line binds what this process takes: a limit over the
/// whole process, whatever the machine has left.
fn fullest(headroom: &Headroom, process_bytes: u64, line_bytes: u64) -> (f64, String) {
    let line_percent =
        if line_bytes == 0 { 100.0 } else { (process_bytes as f64 / line_bytes as f64 * 100.0).min(100.0) };
    let line = || {
        format!(
            "the line: {} of {} are taken by the process",
            format_bytes(process_bytes),
            format_bytes(line_bytes)
        )
    };
    let fullest = headroom.terms.iter().max_by(|a, b| a.used_percent().total_cmp(&b.used_percent()));
    match fullest {
        Some(term) if term.used_percent() >= line_percent => (term.used_percent(), term.description.clone()),
        _ => (line_percent, line()),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{
        system::{Cgroups, MemInfo, Reason, Unavailable},
        units::{GIB, MIB},
    };

    fn signals(total: u64, available: u64) -> Signals {
        let missing = || Unavailable::new("/x", Reason::Missing);
        Signals {
            memory: Ok(MemInfo { total_bytes: total, available_bytes: available, ..MemInfo::default() }),
            cgroups: Err(missing()),
            pressure: Err(missing()),
            zram: Err(missing()),
            process: Err(missing()),
            largest_free_run_bytes: Err(missing()),
            free_huge_block_count: Err(missing()),
            dark: Err(missing()),
            oom_kill_count: Err(missing()),
        }
    }

    /// A sample of a machine of 8 GiB.
    pub(in crate::monitor) fn judged(available: u64) -> Sample {
        let budget = MemoryBudget::new(8 * GIB, 0).unwrap();
        let _full = budget.allocate(8 * GIB, "everything").unwrap();
        let options = HeadroomOptions { floor_bytes: Some(0), ..HeadroomOptions::default() };
        Sample::judge(
            Arc::new(signals(8 * GIB, available)),
            &budget,
            &options,
            &LevelLimits::default(),
            Level::Normal,
            0,
        )
        .unwrap()
    }

    #[test]
    fn the_level_follows_what_is_used_and_not_what_is_granted() {
        assert_eq!(judged(8 * GIB).level, Level::Normal);
        assert_eq!(judged(GIB).level, Level::Warning);
        assert_eq!(judged(100 * MIB).level, Level::Critical);
        assert!((judged(4 * GIB).used_percent - 50.0).abs() < 1e-9);
    }

    #[test]
    fn the_less_room_the_sooner_the_next_look() {
        assert_eq!(judged(8 * GIB).next_in(), Duration::from_secs(1));
        assert_eq!(judged(1200 * MIB).next_in(), Duration::from_millis(200));
        assert_eq!(judged(0).next_in(), Duration::from_millis(50));
    }

    #[test]
    fn a_limit_that_is_there_and_cannot_be_read_leaves_no_level() {
        let budget = MemoryBudget::new(GIB, 0).unwrap();
        let judge = |signals: Signals| {
            let (options, limits) = (HeadroomOptions::default(), LevelLimits::default());
            Sample::judge(Arc::new(signals), &budget, &options, &limits, Level::Normal, 0)
        };
        let failed = || Unavailable::new("/c/memory.max", Reason::NoDescriptor("too many".to_owned()));
        assert!(judge(signals(GIB, GIB)).is_ok(), "what the kernel does not have limits nothing");
        let one_of_many = Cgroups { unavailable: vec![failed()], ..Cgroups::default() };
        for signals in [
            Signals { cgroups: Err(failed()), ..signals(GIB, GIB) },
            Signals { cgroups: Ok(one_of_many), ..signals(GIB, GIB) },
            Signals { process: Err(failed()), ..signals(GIB, GIB) },
        ] {
            assert_eq!(judge(signals).unwrap_err(), failed());
        }
    }

    #[test]
    fn without_the_machines_memory_there_is_no_level() {
        let budget = MemoryBudget::new(GIB, 0).unwrap();
        let mut unknown = signals(GIB, 0);
        unknown.memory = Err(Unavailable::new("/proc/meminfo", Reason::Missing));
        let judged = Sample::judge(
            Arc::new(unknown),
            &budget,
            &HeadroomOptions::default(),
            &LevelLimits::default(),
            Level::Normal,
            0,
        );
        assert!(judged.unwrap_err().to_string().contains("/proc/meminfo"));
    }
}
