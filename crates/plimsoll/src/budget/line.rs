//! How the line is drawn: the lowest of several terms.

use std::fmt;

use crate::{
    error::{Error, Result},
    system::{Board, Cgroup, Machine},
    units::{MAX_BYTES, MIB, format_bytes},
};

/// How much of the memory may be used, and why not more.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    total_bytes: u64,
    reserved_bytes: u64,
    terms: Vec<Term>,
    binding: Term,
}

/// One upper bound on the line.
#[derive(Debug, Clone, PartialEq)]
pub struct Term {
    /// Where the bound comes from.
    pub kind: TermKind,
    /// The bound, in bytes.
    pub bytes: u64,
    /// The bound in words.
    pub description: String,
}

/// Where a bound on the line comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TermKind {
    /// What the board's preset calls usable.
    Preset,
    /// The memory less what is kept for the system.
    Reserve,
    /// The memory less the safety margin.
    SafetyMargin,
    /// A cgroup's limit less its floor.
    Cgroup,
    /// The caller's own maximum.
    Maximum,
}

names!(TermKind {
    Preset => "preset",
    Reserve => "reserve",
    SafetyMargin => "safety-margin",
    Cgroup => "cgroup",
    Maximum => "maximum",
});

impl Term {
    pub(super) fn set_while_running(bytes: u64) -> Self {
        let description = "the maximum that was set while running".to_owned();
        Self { kind: TermKind::Maximum, bytes, description }
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the line is {}, {}", format_bytes(self.bytes), self.description)
    }
}

/// What a caller may say about the line of a machine.
#[derive(Debug, Clone, Copy)]
pub struct MachineOptions<'a> {
    /// The board's preset; without one the reserve is an eighth of the memory, at least 512 MiB, at most half.
    pub board: Option<&'a Board>,
    /// Share of the memory left alone, 0 to below 100; 15 by default.
    pub safety_margin_percent: f64,
    /// An upper bound of the caller's own, in bytes.
    pub max_bytes: Option<u64>,
}

impl Default for MachineOptions<'_> {
    fn default() -> Self {
        Self { board: None, safety_margin_percent: 15.0, max_bytes: None }
    }
}

impl Line {
    pub(super) fn from_numbers(total_bytes: u64, reserved_bytes: u64) -> Result<Self> {
        if total_bytes > MAX_BYTES {
            return Err(Error::invalid_argument(
                "totalBytes",
                format!("at most {MAX_BYTES}"),
                total_bytes.to_string(),
            ));
        }
        if reserved_bytes > total_bytes {
            return Err(Error::invalid_argument(
                "reservedBytes",
                format!("at most the total of {total_bytes} bytes"),
                reserved_bytes.to_string(),
            ));
        }
        Ok(Self::lowest_of(total_bytes, reserved_bytes, reserve_term(total_bytes, reserved_bytes), vec![]))
    }

    pub(super) fn from_board(board: &Board) -> Self {
        Self::lowest_of(board.total_bytes, board.reserved_bytes, preset_term(board), vec![])
    }

    /// The line of a machine: the lowest of the board's usable memory, the memory less the reserve, the memory
    /// less the safety margin, the limit of every cgroup over the process less its floor, and the caller's maximum.
    ///
    /// The reserve comes off what the kernel has (`MemTotal`) without what is set aside as huge pages, and so does the
    /// margin. A cgroup's floor is 3 % of
    /// its limit, at least 16 MiB: what the group needs for page tables, sockets and the runtime around the
    /// model before its own killer acts.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] when the machine's memory is unknown (0) or an option is out of range.
    pub fn for_machine(machine: &Machine, options: &MachineOptions<'_>) -> Result<Self> {
        let total_bytes = machine.ordinary_bytes();
        if machine.total_bytes() == 0 {
            return Err(Error::invalid_argument(
                "machine",
                "one whose memory can be read; give totalBytes and reservedBytes instead",
                "0 bytes of memory",
            ));
        }
        let reserved_bytes =
            options.board.map_or_else(|| default_reserve(total_bytes), |board| board.reserved_bytes);
        let mut terms = vec![margin_term(total_bytes, options.safety_margin_percent)?];
        terms.extend(options.board.map(preset_term));
        terms.extend(machine.cgroups.iter().filter_map(|cgroup| cgroup_term(cgroup, total_bytes)));
        terms.extend(options.max_bytes.map(maximum_term).transpose()?);
        Ok(Self::lowest_of(total_bytes, reserved_bytes, reserve_term(total_bytes, reserved_bytes), terms))
    }

    fn lowest_of(total_bytes: u64, reserved_bytes: u64, first: Term, others: Vec<Term>) -> Self {
        let lower = |lowest: Term, term: &Term| if term.bytes < lowest.bytes { term.clone() } else { lowest };
        let binding = others.iter().fold(first.clone(), lower);
        let terms = std::iter::once(first).chain(others).collect();
        Self { total_bytes, reserved_bytes, terms, binding }
    }

    /// The line, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.binding.bytes
    }

    /// The line of the board as a whole, in bytes: without the terms that bound this process alone, its cgroups and the
    /// caller's maximum. What all processes on it hold together stays at or below that.
    #[must_use]
    pub fn board_bytes(&self) -> u64 {
        let of_board = |term: &&Term| !matches!(term.kind, TermKind::Cgroup | TermKind::Maximum);
        let lowest = self.terms.iter().filter(of_board).map(|term| term.bytes).min();
        lowest.unwrap_or_else(|| self.bytes())
    }

    /// The memory it is drawn across, in bytes.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    /// What is kept for the system, in bytes.
    #[must_use]
    pub fn reserved_bytes(&self) -> u64 {
        self.reserved_bytes
    }

    /// Whether it is drawn across the RAM of a machine, not across numbers or those of a board's preset.
    #[must_use]
    pub fn is_of_machine(&self) -> bool {
        // No other line keeps a margin.
        self.terms.iter().any(|term| term.kind == TermKind::SafetyMargin)
    }

    /// Every bound that was weighed.
    #[must_use]
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// The lowest bound: the one that draws the line.
    #[must_use]
    pub fn binding(&self) -> &Term {
        &self.binding
    }
}

/// An eighth of the memory, at least 512 MiB, never more than half.
fn default_reserve(total_bytes: u64) -> u64 {
    (total_bytes / 8).max(512 * MIB).min(total_bytes / 2)
}

fn reserve_term(total_bytes: u64, reserved_bytes: u64) -> Term {
    Term {
        kind: TermKind::Reserve,
        bytes: total_bytes.saturating_sub(reserved_bytes),
        description: format!(
            "{} of memory less {} kept for the system",
            format_bytes(total_bytes),
            format_bytes(reserved_bytes)
        ),
    }
}

fn preset_term(board: &Board) -> Term {
    Term {
        kind: TermKind::Preset,
        bytes: board.usable_bytes(),
        description: format!("what the preset {:?} leaves usable", board.id),
    }
}

fn margin_term(total_bytes: u64, percent: f64) -> Result<Term> {
    if !(0.0..100.0).contains(&percent) {
        return Err(Error::invalid_argument(
            "safetyMarginPercent",
            "a number from 0 to below 100",
            percent.to_string(),
        ));
    }
    // Exact to the byte up to 2^53; the product is below the total, so the cast cannot saturate.
    #[allow(clippy::cast_sign_loss)]
    let bytes = (total_bytes as f64 * (1.0 - percent / 100.0)) as u64;
    let description = format!("{} of memory less a safety margin of {percent} %", format_bytes(total_bytes));
    Ok(Term { kind: TermKind::SafetyMargin, bytes, description })
}

/// The term of a group that may hold less than the machine has.
fn cgroup_term(cgroup: &Cgroup, total_bytes: u64) -> Option<Term> {
    let bound_bytes = cgroup.bound_bytes().filter(|bound| *bound < total_bytes)?;
    let floor_bytes = cgroup_floor_bytes(bound_bytes);
    let description = format!(
        "cgroup {}: {} limit less a floor of {}",
        cgroup.path,
        format_bytes(bound_bytes),
        format_bytes(floor_bytes)
    );
    Some(Term { kind: TermKind::Cgroup, bytes: bound_bytes.saturating_sub(floor_bytes), description })
}

/// What a cgroup's limit leaves untouched: 3 % of it, at least 16 MiB.
pub(super) fn cgroup_floor_bytes(bound_bytes: u64) -> u64 {
    (bound_bytes / 100 * 3).max(16 * MIB)
}

fn maximum_term(bytes: u64) -> Result<Term> {
    if bytes > MAX_BYTES {
        return Err(Error::invalid_argument("maxBytes", format!("at most {MAX_BYTES}"), bytes.to_string()));
    }
    Ok(Term { kind: TermKind::Maximum, bytes, description: "the maximum asked for (maxBytes)".to_owned() })
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;
    use crate::{system::board, units::GIB};

    fn line(machine: &Machine, options: &MachineOptions<'_>) -> (u64, TermKind) {
        let line = Line::for_machine(machine, options).unwrap();
        (line.bytes(), line.binding().kind)
    }

    #[test]
    fn the_lowest_term_draws_the_line() {
        let machine = Machine::new(7620 * MIB, 7000 * MIB, vec![]);
        let plain = MachineOptions { safety_margin_percent: 25.0, ..MachineOptions::default() };
        assert_eq!(line(&machine, &plain), (5715 * MIB, TermKind::SafetyMargin));
        let nano = MachineOptions { board: board("orin-nano-8gb"), ..MachineOptions::default() };
        assert_eq!(line(&machine, &nano), ((7620 - 2048) * MIB, TermKind::Reserve));
        let capped = MachineOptions { max_bytes: Some(GIB), ..nano };
        assert_eq!(line(&machine, &capped), (GIB, TermKind::Maximum));
        let larger = Machine::new(64 * GIB, 60 * GIB, vec![]);
        assert_eq!(line(&larger, &nano), (6144 * MIB, TermKind::Preset));
        let grouped = Machine::new(64 * GIB, 60 * GIB, vec![Cgroup::with_limit("/a/b", 512 * MIB)]);
        assert_eq!(line(&grouped, &nano), (496 * MIB, TermKind::Cgroup));
    }

    #[test]
    fn the_binding_term_says_where_it_comes_from() {
        let machine = Machine::new(8 * GIB, 8 * GIB, vec![Cgroup::with_limit("/a/b", 512 * MIB)]);
        let line = Line::for_machine(&machine, &MachineOptions::default()).unwrap();
        let expected = "the line is 496.00 MiB, cgroup /a/b: 512.00 MiB limit less a floor of 16.00 MiB";
        assert_eq!(line.binding().to_string(), expected);
        assert_eq!(line.terms().len(), 3);
    }

    #[test]
    fn a_tiny_machine_or_group_leaves_zero_and_never_wraps() {
        let machine = Machine::new(100 * MIB, 0, vec![Cgroup::with_limit("/", 10 * MIB)]);
        assert_eq!(line(&machine, &MachineOptions::default()), (0, TermKind::Cgroup));
        let nano = MachineOptions { board: board("orin-nano-8gb"), ..MachineOptions::default() };
        assert_eq!(line(&Machine::new(100 * MIB, 0, vec![]), &nano), (0, TermKind::Reserve));
    }

    #[test]
    fn options_out_of_range_are_refused_by_name() {
        let machine = Machine::new(8 * GIB, GIB, vec![]);
        for percent in [-1.0, 100.0, f64::NAN, f64::INFINITY] {
            let options = MachineOptions { safety_margin_percent: percent, ..MachineOptions::default() };
            let error = Line::for_machine(&machine, &options).unwrap_err();
            assert!(error.to_string().contains("safetyMarginPercent"), "{error}");
        }
        assert!(Line::for_machine(&Machine::new(0, 0, vec![]), &MachineOptions::default()).is_err());
        assert!(Line::from_numbers(10, 11).is_err());
        assert!(Line::from_numbers(u64::MAX, 0).is_err());
    }
}
