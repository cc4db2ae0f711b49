//! What the system can give at this moment: the least room of the machine and its cgroups, less what is pending.
//!
//! The line says how much may ever be used; headroom says how much of that is there now. The reserve has no place in
//! it: what the system uses has already left `MemAvailable`. Files that live processes have mapped come off it, which
//! `MemAvailable` takes for free: they are the weights of servers that map their models.

use std::{fmt, sync::OnceLock};

use super::{driver_rule::DriverRule, line::cgroup_floor_bytes, promised::Promised};
use crate::{
    system::{Cgroup, DetectedBoard, Machine, Probe, SystemRoot},
    units::{MIB, format_bytes},
};

/// What the system can give now, and why not more.
#[derive(Debug, Clone, PartialEq)]
pub struct Headroom {
    /// The least room of the terms, less what is promised; in bytes.
    pub bytes: u64,
    /// What is promised and has not yet been taken.
    pub promised: Promised,
    /// The largest single allocation the board would accept now, in bytes. On Jetson a driver refuses larger ones; since
    /// Linux for Tegra 36.4.7 by a rule that nobody outside it knows, so `None` there: no size is promised.
    pub largest_allocation_bytes: Option<u64>,
    /// Every bound that was weighed: the machine, then the cgroups from the process's own upwards.
    pub terms: Vec<HeadroomTerm>,
    /// The bound with the least room.
    pub binding: HeadroomTerm,
}

/// One upper bound on headroom.
#[derive(Debug, Clone, PartialEq)]
pub struct HeadroomTerm {
    /// Where the bound comes from.
    pub kind: HeadroomKind,
    /// The cgroup's path.
    pub path: Option<String>,
    /// All that could be given were nothing in use: the whole less the floor, in bytes.
    pub capacity_bytes: u64,
    /// What is left untouched for the system around the model, in bytes.
    pub floor_bytes: u64,
    /// What can be given now, the floor left untouched, in bytes.
    pub room_bytes: u64,
    /// The bound in words.
    pub description: String,
}

/// Where a bound on headroom comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeadroomKind {
    /// The machine's available memory.
    Machine,
    /// A cgroup's limit.
    Cgroup,
}

names!(HeadroomKind {
    Machine => "machine",
    Cgroup => "cgroup",
});

/// What a caller may say about headroom.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HeadroomOptions {
    /// What is left untouched of the machine's memory, in bytes; 3 % of it, at least 256 MiB, by default.
    pub floor_bytes: Option<u64>,
    /// The rule of the driver that gives large buffers, where there is one.
    pub driver_rule: Option<DriverRule>,
}

impl HeadroomTerm {
    /// Share of the capacity that is in use, 0 to 100.
    #[must_use]
    pub fn used_percent(&self) -> f64 {
        if self.capacity_bytes == 0 {
            return 100.0;
        }
        (1.0 - self.room_bytes as f64 / self.capacity_bytes as f64).clamp(0.0, 1.0) * 100.0
    }

    fn of_machine(machine: &Machine, options: &HeadroomOptions) -> Self {
        let memory = &machine.memory;
        let total_bytes = memory.ordinary_bytes();
        let floor_bytes = options.floor_bytes.unwrap_or_else(|| (total_bytes / 100 * 3).max(256 * MIB));
        let mapped_bytes = memory.mapped_file_bytes();
        let description = format!(
            "{} available without CMA, less {} of files that are mapped and a floor of {}",
            format_bytes(memory.allocatable_bytes()),
            format_bytes(mapped_bytes),
            format_bytes(floor_bytes)
        );
        Self {
            kind: HeadroomKind::Machine,
            path: None,
            capacity_bytes: (total_bytes.saturating_sub(memory.cma_free_bytes.unwrap_or(0)))
                .saturating_sub(floor_bytes),
            floor_bytes,
            room_bytes: memory.allocatable_bytes().saturating_sub(mapped_bytes).saturating_sub(floor_bytes),
            description,
        }
    }

    fn of_cgroup(cgroup: &Cgroup) -> Option<Self> {
        let (bound_bytes, room_bytes) = (cgroup.bound_bytes()?, cgroup.room_bytes()?);
        let floor_bytes = cgroup_floor_bytes(bound_bytes);
        let description = format!(
            "cgroup {}: {} limit, {} of it in use, less a floor of {}",
            cgroup.path,
            format_bytes(bound_bytes),
            format_bytes(cgroup.working_set_bytes()),
            format_bytes(floor_bytes)
        );
        Some(Self {
            kind: HeadroomKind::Cgroup,
            path: Some(cgroup.path.clone()),
            capacity_bytes: bound_bytes.saturating_sub(floor_bytes),
            floor_bytes,
            room_bytes: room_bytes.saturating_sub(floor_bytes),
            description,
        })
    }
}

impl HeadroomOptions {
    /// Those of the machine under that root, with the rule of its board's driver.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::system::Unavailable) where the files that tell the rule could not be opened for want of
    /// descriptors.
    pub fn at(root: &SystemRoot, floor_bytes: Option<u64>) -> Probe<Self> {
        /// The rule of this machine, which does not change while a process runs.
        static OF_THIS_MACHINE: OnceLock<Option<DriverRule>> = OnceLock::new();
        let probe = || DetectedBoard::probe(root).map(|board| DriverRule::of_board(&board));
        let driver_rule = match (root.is_this_machine(), OF_THIS_MACHINE.get()) {
            (true, Some(rule)) => *rule,
            (true, None) => {
                let found = probe()?;
                *OF_THIS_MACHINE.get_or_init(|| found)
            }
            (false, _) => probe()?,
        };
        Ok(Self { floor_bytes, driver_rule })
    }
}

impl fmt::Display for HeadroomTerm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} can be given, {}", format_bytes(self.room_bytes), self.description)
    }
}

impl Headroom {
    /// What `machine` can give when so much of it is already promised.
    #[must_use]
    pub fn of(machine: &Machine, promised: Promised, options: &HeadroomOptions) -> Self {
        let first = HeadroomTerm::of_machine(machine, options);
        let others: Vec<_> = machine.cgroups.iter().filter_map(HeadroomTerm::of_cgroup).collect();
        let least = |least: HeadroomTerm, term: &HeadroomTerm| {
            if term.room_bytes < least.room_bytes { term.clone() } else { least }
        };
        let binding = others.iter().fold(first.clone(), least);
        let bytes = binding.room_bytes.saturating_sub(promised.bytes());
        let accepted = options.driver_rule.map_or(Some(u64::MAX), |rule| rule.largest_bytes(machine));
        Self {
            bytes,
            promised,
            largest_allocation_bytes: accepted.map(|accepted| bytes.min(accepted)),
            terms: std::iter::once(first).chain(others).collect(),
            binding,
        }
    }

    /// Share of the memory that is in use, 0 to 100: the highest among the terms. Pending bytes are not in use.
    #[must_use]
    pub fn used_percent(&self) -> f64 {
        self.terms.iter().map(HeadroomTerm::used_percent).fold(0.0, f64::max)
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;
    use crate::{system::MemInfo, units::GIB};

    fn machine(total: u64, available: u64, cgroups: Vec<Cgroup>) -> Machine {
        Machine::new(total, available, cgroups)
    }

    fn cgroup(path: &str, limit: u64, usage: u64, inactive: u64) -> Cgroup {
        Cgroup { usage_bytes: usage, inactive_file_bytes: inactive, ..Cgroup::with_limit(path, limit) }
    }

    #[test]
    fn the_least_room_binds_and_what_is_pending_comes_off_it() {
        let groups = vec![cgroup("/a/b", 512 * MIB, 300 * MIB, 100 * MIB), cgroup("/a", 2 * GIB, GIB, 0)];
        let headroom = Headroom::of(
            &machine(8 * GIB, 4 * GIB, groups),
            Promised::granted(40 * MIB),
            &HeadroomOptions::default(),
        );
        assert_eq!(headroom.binding.path.as_deref(), Some("/a/b"));
        assert_eq!(headroom.bytes, (512 - 200 - 16 - 40) * MIB);
        assert_eq!(headroom.terms.len(), 3);
        assert!(
            headroom.binding.to_string().contains("cgroup /a/b: 512.00 MiB limit"),
            "{}",
            headroom.binding
        );
    }

    #[test]
    fn free_contiguous_memory_and_the_floor_are_no_headroom() {
        let mut board = machine(8 * GIB, 2 * GIB, vec![]);
        board.memory = MemInfo { cma_total_bytes: Some(GIB), cma_free_bytes: Some(GIB), ..board.memory };
        let headroom = Headroom::of(&board, Promised::NOTHING, &HeadroomOptions::default());
        assert_eq!(headroom.bytes, GIB - 256 * MIB);
        let none = HeadroomOptions { floor_bytes: Some(0), ..HeadroomOptions::default() };
        assert_eq!(Headroom::of(&board, Promised::NOTHING, &none).bytes, GIB);
        board.memory.available_bytes = 8 * GIB;
        assert!(Headroom::of(&board, Promised::NOTHING, &none).used_percent() < 1e-9, "nor is it in use");
    }

    #[test]
    fn files_that_are_mapped_are_no_headroom_and_are_in_use() {
        let mut board = machine(8 * GIB, 6 * GIB, vec![]);
        board.memory = MemInfo {
            mapped_bytes: Some(3 * GIB),
            shmem_bytes: Some(GIB),
            file_cache_bytes: Some(4 * GIB),
            ..board.memory
        };
        let none = HeadroomOptions { floor_bytes: Some(0), ..HeadroomOptions::default() };
        let headroom = Headroom::of(&board, Promised::NOTHING, &none);
        assert_eq!(headroom.bytes, 4 * GIB);
        assert!((headroom.used_percent() - 50.0).abs() < 1e-9);
        let said = "6.00 GiB available without CMA, less 2.00 GiB of files that are mapped";
        assert!(headroom.binding.description.starts_with(said), "{}", headroom.binding);
        board.memory.available_bytes = GIB;
        assert_eq!(Headroom::of(&board, Promised::NOTHING, &none).bytes, 0);
        let group = Cgroup { mapped_file_bytes: 60 * MIB, ..cgroup("/a", 512 * MIB, 300 * MIB, 100 * MIB) };
        let grouped = Headroom::of(&machine(8 * GIB, 8 * GIB, vec![group]), Promised::NOTHING, &none);
        assert_eq!(grouped.bytes, (512 - 260 - 16) * MIB);
    }

    #[test]
    fn nothing_wraps_below_zero() {
        let full = machine(8 * GIB, 10 * MIB, vec![cgroup("/", 5 * MIB, 9 * MIB, 0)]);
        let headroom = Headroom::of(&full, Promised::granted(u64::MAX), &HeadroomOptions::default());
        assert_eq!((headroom.bytes, headroom.largest_allocation_bytes), (0, Some(0)));
        assert!((headroom.used_percent() - 100.0).abs() < f64::EPSILON);
    }

    #[test]
    fn one_allocation_is_bound_by_the_drivers_rule_too() {
        let board = machine(8 * GIB, 4 * GIB, vec![]);
        let largest = |rule| {
            let options = HeadroomOptions { floor_bytes: Some(0), driver_rule: Some(rule) };
            Headroom::of(&board, Promised::NOTHING, &options).largest_allocation_bytes
        };
        assert_eq!(largest(DriverRule::Nvmap { before_5_15: true }), Some(4 * GIB / 16 * 15));
        let newer = largest(DriverRule::Nvmap { before_5_15: false }).unwrap();
        assert!(newer < 4 * GIB && newer > 4 * GIB / 16 * 15);
        assert_eq!(largest(DriverRule::Unknown), None, "nobody can promise a size");
    }

    #[test]
    fn use_is_measured_against_what_could_be_given_at_most() {
        let half = machine(8 * GIB + 256 * MIB, 4 * GIB + 256 * MIB, vec![]);
        let options = HeadroomOptions { floor_bytes: Some(256 * MIB), ..HeadroomOptions::default() };
        assert!((Headroom::of(&half, Promised::NOTHING, &options).used_percent() - 50.0).abs() < 1e-9);
    }
}
