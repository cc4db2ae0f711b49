//! What of a monitor's notices somebody needs to know whom it costs something to wake.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, Ordering},
};

use super::{level::Level, watch::Notice};
use crate::sync::lock;

/// Passes on the notices that say something new: another level, every sample while it is critical, a stall, a kill. Of the
/// others none, unless every one is wanted.
#[derive(Debug, Default)]
pub struct Updates {
    wants_all: AtomicBool,
    passed: Mutex<Passed>,
}

/// What was passed on last.
#[derive(Debug)]
struct Passed {
    /// None after the memory could not be read: whatever it is then, it is new.
    level: Option<Level>,
    /// Kills that were not passed on yet.
    kill_count: u64,
}

impl Default for Passed {
    fn default() -> Self {
        Self { level: Some(Level::Normal), kill_count: 0 }
    }
}

impl Updates {
    /// Those that are new, or all.
    #[must_use]
    pub fn new(wants_all: bool) -> Self {
        let updates = Self::default();
        updates.want_all(wants_all);
        updates
    }

    /// From now on all, or those that are new.
    pub fn want_all(&self, wants_all: bool) {
        self.wants_all.store(wants_all, Ordering::Relaxed);
    }

    /// Gives `take` what is to be passed on, with the kills since the last that it took. What it does not take, by
    /// returning false, is new again with the next sample.
    pub fn pass(&self, notice: Notice, take: impl FnOnce(Notice) -> bool) {
        let mut passed = lock(&self.passed);
        match notice {
            Notice::Sample { sample, previous, stalled, kill_count } => {
                passed.kill_count += kill_count;
                let (level, kill_count) = (sample.level, passed.kill_count);
                let is_new =
                    stalled || kill_count > 0 || Some(level) != passed.level || level == Level::Critical;
                if (is_new || self.wants_all.load(Ordering::Relaxed))
                    && take(Notice::Sample { sample, previous, stalled, kill_count })
                {
                    *passed = Passed { level: Some(level), kill_count: 0 };
                }
            }
            Notice::Unavailable(unavailable) => {
                passed.level = None;
                take(Notice::Unavailable(unavailable));
            }
        }
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use std::sync::Arc;

    use super::{super::sample::tests::judged, *};
    use crate::{
        system::{Reason, Unavailable},
        units::{GIB, MIB},
    };

    const NORMAL: u64 = 8 * GIB;
    const CRITICAL: u64 = 100 * MIB;

    fn sample(available_bytes: u64, stalled: bool, kill_count: u64) -> Notice {
        let sample = Arc::new(judged(available_bytes));
        Notice::Sample { sample, previous: Level::Normal, stalled, kill_count }
    }

    /// The kills that are passed on with a notice, if it is.
    fn kills_passed(updates: &Updates, notice: Notice) -> Option<u64> {
        let mut kills = None;
        updates.pass(notice, |notice| {
            kills = Some(match notice {
                Notice::Sample { kill_count, .. } => kill_count,
                Notice::Unavailable(_) => 0,
            });
            true
        });
        kills
    }

    #[test]
    fn what_is_as_before_is_not_passed_on_unless_all_is_wanted() {
        let updates = Updates::new(false);
        let calm = || sample(NORMAL, false, 0);
        assert_eq!(kills_passed(&updates, calm()), None);
        updates.want_all(true);
        assert_eq!(kills_passed(&updates, calm()), Some(0));
        updates.want_all(false);
        assert_eq!(kills_passed(&updates, calm()), None);
    }

    #[test]
    fn another_level_a_stall_a_kill_and_every_critical_sample_are_passed_on() {
        let updates = Updates::new(false);
        assert_eq!(kills_passed(&updates, sample(NORMAL, true, 0)), Some(0));
        assert_eq!(kills_passed(&updates, sample(NORMAL, false, 2)), Some(2));
        for _ in 0..2 {
            assert_eq!(kills_passed(&updates, sample(CRITICAL, false, 0)), Some(0));
        }
        assert_eq!(kills_passed(&updates, sample(NORMAL, false, 0)), Some(0), "the level fell");
        assert_eq!(kills_passed(&updates, sample(NORMAL, false, 0)), None);
    }

    #[test]
    fn what_is_not_taken_is_new_again() {
        let updates = Updates::new(false);
        updates.pass(sample(CRITICAL, false, 1), |_| false);
        assert_eq!(kills_passed(&updates, sample(NORMAL, false, 2)), Some(3), "no kill is lost");
        assert_eq!(
            kills_passed(&updates, sample(NORMAL, false, 0)),
            None,
            "the level was normal when last taken"
        );
    }

    #[test]
    fn the_sample_after_what_could_not_be_read_is_passed_on() {
        let updates = Updates::new(false);
        let unavailable = Unavailable::new("/proc/meminfo", Reason::Missing);
        assert_eq!(kills_passed(&updates, Notice::Unavailable(unavailable)), Some(0));
        assert_eq!(kills_passed(&updates, sample(NORMAL, false, 0)), Some(0));
        assert_eq!(kills_passed(&updates, sample(NORMAL, false, 0)), None);
    }
}
