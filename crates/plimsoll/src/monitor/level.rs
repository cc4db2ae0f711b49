//! Levels of use, and the step from one to the next.

use crate::error::{Error, Result};

/// How full the memory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Level {
    /// Below the warning limit.
    #[default]
    Normal,
    /// At or above the warning limit.
    Warning,
    /// At or above the critical limit: new grants are refused unless the monitor was told otherwise.
    Critical,
}

names!(Level {
    Normal => "normal",
    Warning => "warning",
    Critical => "critical",
});

/// Where the levels begin, as shares of what could be used at most, 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LevelLimits {
    /// Where warning begins; 80 by default.
    pub warn_percent: f64,
    /// Where critical begins; 95 by default.
    pub critical_percent: f64,
    /// How far use must fall below a limit before its level ends; 3 by default. Without it a value that trembles
    /// around a limit would change the level with every sample.
    pub hysteresis_percent: f64,
}

impl Default for LevelLimits {
    fn default() -> Self {
        Self { warn_percent: 80.0, critical_percent: 95.0, hysteresis_percent: 3.0 }
    }
}

impl LevelLimits {
    /// Checks that the limits are shares in their order.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for a share that is none, and for a warning limit above the critical one.
    pub fn checked(self) -> Result<Self> {
        let share = |name: &'static str, value: f64| {
            if (0.0..=100.0).contains(&value) {
                return Ok(());
            }
            Err(Error::invalid_argument(name, "a number from 0 to 100", value.to_string()))
        };
        share("warnPercent", self.warn_percent)?;
        share("criticalPercent", self.critical_percent)?;
        share("hysteresisPercent", self.hysteresis_percent)?;
        if self.warn_percent > self.critical_percent {
            let expected = format!("at most criticalPercent, which is {}", self.critical_percent);
            return Err(Error::invalid_argument("warnPercent", expected, self.warn_percent.to_string()));
        }
        Ok(self)
    }

    /// The level after `current` when use stands at `used_percent`.
    #[must_use]
    pub fn next(&self, current: Level, used_percent: f64) -> Level {
        let reaches = |level: Level, limit: f64| {
            used_percent >= if current >= level { limit - self.hysteresis_percent } else { limit }
        };
        if reaches(Level::Critical, self.critical_percent) {
            Level::Critical
        } else if reaches(Level::Warning, self.warn_percent) {
            Level::Warning
        } else {
            Level::Normal
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_begins_at_its_limit_and_ends_below_it() {
        let limits = LevelLimits::default();
        let path = [50.0, 79.9, 80.0, 78.0, 77.0, 76.9, 95.0, 93.0, 92.0, 91.9, 60.0, 100.0, 0.0];
        let mut level = Level::Normal;
        let levels: Vec<_> = path
            .iter()
            .map(|used| {
                level = limits.next(level, *used);
                level.name()
            })
            .collect();
        assert_eq!(
            levels,
            [
                "normal", "normal", "warning", "warning", "warning", "normal", "critical", "critical",
                "critical", "warning", "normal", "critical", "normal"
            ]
        );
    }

    #[test]
    fn limits_that_are_none_are_refused_by_name() {
        let limits = LevelLimits::default();
        for (wrong, name) in [
            (LevelLimits { warn_percent: -1.0, ..limits }, "warnPercent"),
            (LevelLimits { critical_percent: f64::NAN, ..limits }, "criticalPercent"),
            (LevelLimits { critical_percent: 101.0, ..limits }, "criticalPercent"),
            (LevelLimits { hysteresis_percent: f64::INFINITY, ..limits }, "hysteresisPercent"),
            (LevelLimits { warn_percent: 96.0, ..limits }, "warnPercent"),
        ] {
            assert!(wrong.checked().unwrap_err().to_string().contains(name), "{wrong:?}");
        }
        assert_eq!(limits.checked().unwrap(), limits);
    }
}
