//! How much memory a plan may use.

use crate::{
    error::{Error, Result},
    units::{GIB, MAX_BYTES},
};

/// The share of the memory that a plan leaves alone unless it says otherwise, in percent.
pub const DEFAULT_SAFETY_MARGIN_PERCENT: f64 = 15.0;

/// What is left free before a load unless it is said otherwise: 2 GiB, or an eighth of a memory below 16 GiB.
///
/// ```
/// use plimsoll::{plan::default_headroom_bytes, units::GIB};
/// assert_eq!(default_headroom_bytes(32 * GIB), 2 * GIB);
/// assert_eq!(default_headroom_bytes(8 * GIB), GIB);
/// ```
#[must_use]
pub const fn default_headroom_bytes(total_bytes: u64) -> u64 {
    let eighth = total_bytes / 8;
    if eighth < 2 * GIB { eighth } else { 2 * GIB }
}

/// What keeps a plan from using more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanBound {
    /// The safety margin.
    SafetyMargin,
    /// The headroom that is left free before each load.
    Headroom,
    /// The line of the board, or of this machine.
    Line,
}

names!(PlanBound {
    SafetyMargin => "safety-margin",
    Headroom => "headroom",
    Line => "line",
});

/// The memory that a plan is for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlanMemory {
    total_bytes: u64,
    safety_margin_percent: f64,
    headroom_bytes: u64,
    line_bytes: Option<u64>,
}

impl PlanMemory {
    /// A memory of so many bytes, with a margin of 15 % and the [default headroom](default_headroom_bytes).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for one of 0 bytes, or of more than any machine has.
    pub fn of_total(total_bytes: u64) -> Result<Self> {
        if !(1..=MAX_BYTES).contains(&total_bytes) {
            let expected = format!("a whole number of bytes from 1 to {MAX_BYTES}");
            return Err(Error::invalid_argument("totalBytes", expected, total_bytes.to_string()));
        }
        Ok(Self {
            total_bytes,
            safety_margin_percent: DEFAULT_SAFETY_MARGIN_PERCENT,
            headroom_bytes: default_headroom_bytes(total_bytes),
            line_bytes: None,
        })
    }

    /// The same with another margin, from 0 to below 100 percent.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for any other.
    pub fn with_safety_margin(self, percent: f64) -> Result<Self> {
        if !(0.0..100.0).contains(&percent) {
            let expected = "a number from 0 to below 100";
            return Err(Error::invalid_argument("safetyMarginPercent", expected, percent.to_string()));
        }
        Ok(Self { safety_margin_percent: percent, ..self })
    }

    /// The same with other bytes left free before each load.
    #[must_use]
    pub const fn with_headroom(self, headroom_bytes: u64) -> Self {
        Self { headroom_bytes, ..self }
    }

    /// The same below a line: that of a board, or of this machine.
    #[must_use]
    pub const fn with_line(self, line_bytes: u64) -> Self {
        Self { line_bytes: Some(line_bytes), ..self }
    }

    /// All of it, in bytes.
    #[must_use]
    pub const fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    /// The share that is left alone, in percent.
    #[must_use]
    pub const fn safety_margin_percent(&self) -> f64 {
        self.safety_margin_percent
    }

    /// What is left free before each load, in bytes.
    #[must_use]
    pub const fn headroom_bytes(&self) -> u64 {
        self.headroom_bytes
    }

    /// The safe threshold: what a plan may use at most, in bytes.
    #[must_use]
    pub fn usable_bytes(&self) -> u64 {
        self.lowest().0
    }

    /// What draws it.
    #[must_use]
    pub fn bound(&self) -> PlanBound {
        self.lowest().1
    }

    /// The least memory of which so much would be usable, under the same margin and headroom; `None` where no machine has it.
    #[must_use]
    pub fn least_total_bytes(&self, usable_bytes: u64) -> Option<u64> {
        // The margin's share of what is found may be rounded down; a byte more for each that is missing then.
        #[allow(clippy::cast_sign_loss)]
        let by_margin = (usable_bytes as f64 / (1.0 - self.safety_margin_percent / 100.0)).ceil() as u64;
        let first = by_margin.max(usable_bytes.checked_add(self.headroom_bytes)?);
        let enough = |total: &u64| {
            Self { total_bytes: *total, line_bytes: None, ..*self }.usable_bytes() >= usable_bytes
        };
        (first..=MAX_BYTES).take(8).find(enough)
    }

    fn lowest(&self) -> (u64, PlanBound) {
        // Exact to the byte up to 2^53; the product is below the total, so the cast cannot saturate.
        #[allow(clippy::cast_sign_loss)]
        let share = (self.total_bytes as f64 * (1.0 - self.safety_margin_percent / 100.0)) as u64;
        let others = [
            Some((self.total_bytes.saturating_sub(self.headroom_bytes), PlanBound::Headroom)),
            self.line_bytes.map(|bytes| (bytes, PlanBound::Line)),
        ];
        let lower =
            |least: (u64, PlanBound), other: (u64, PlanBound)| if other.0 < least.0 { other } else { least };
        others.into_iter().flatten().fold((share, PlanBound::SafetyMargin), lower)
    }
}
