//! Budgets of a machine that can be asked what it has.

use std::sync::{Arc, LazyLock};

use super::{
    HeadroomOptions, Line, MachineOptions, MemoryBudget, account::Account, shared, sharing::Sharers,
    weighing::Weighing,
};
use crate::{
    error::Result,
    system::{Machine, SystemRoot},
};

/// How a budget of a machine is made and how it grants.
#[derive(Debug, Clone)]
pub struct SystemOptions<'a> {
    /// Which machine, and whose cgroups: this one and those of this process by default.
    pub root: SystemRoot,
    /// How its line is drawn.
    pub line: MachineOptions<'a>,
    /// Whether it counts alone. By default all budgets of this process over this machine with the same board share what
    /// is allocated; one over a copy of a machine or over another process always counts alone.
    pub isolated: bool,
    /// Who else grants memory of that machine, if any do: other processes, by a ledger. Budgets with the same share an account,
    /// as without.
    pub sharing: Option<Arc<dyn Sharers>>,
    /// How the headroom is worked out that every grant is weighed against; `None` grants by the line alone.
    pub headroom: Option<HeadroomOptions>,
}

impl Default for SystemOptions<'_> {
    fn default() -> Self {
        Self {
            root: SystemRoot::default(),
            line: MachineOptions::default(),
            isolated: false,
            sharing: None,
            headroom: Some(HeadroomOptions::default()),
        }
    }
}

impl MemoryBudget {
    /// The budget of a machine, which is asked before anything is granted: a granted byte is one that the line leaves
    /// *and* that the machine can give, see [`Headroom`](super::Headroom). Where the machine cannot be read, nothing is
    /// granted.
    ///
    /// ```
    /// use plimsoll::{MemoryBudget, budget::SystemOptions, units::MIB};
    ///
    /// let budget = MemoryBudget::for_system(&SystemOptions::default())?;
    /// let weights = budget.allocate(16 * MIB, "weights")?;
    /// # drop(weights);
    /// # Ok::<(), plimsoll::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`for_machine`](Self::for_machine), and [`Error::Io`](crate::Error::Io) when the machine cannot be read.
    pub fn for_system(options: &SystemOptions<'_>) -> Result<Self> {
        let machine = Machine::read_at(&options.root)?;
        let line = Line::for_machine(&machine, &options.line)?;
        let is_own_machine = options.root == SystemRoot::default();
        let account = match (is_own_machine, options.isolated) {
            (true, false) => {
                shared::account(options.line.board.map(|board| board.id), options.sharing.clone())
            }
            (true, true) => shared::isolated_account(options.sharing.clone()),
            // What this process takes is none of a copy's memory, nor of another process's.
            (false, _) => Arc::new(Account::weighed().shared_by(options.sharing.clone())),
        };
        let is_alone = options.sharing.is_none();
        let weighing = options.headroom.map(|headroom| weighing(&options.root, headroom, is_alone));
        Ok(Self { weighing, ..Self::over(line, account) })
    }
}

/// What weighs the grants of budgets over that machine: one for all of this process, where nothing special is asked, so
/// that they share its readings and its open files. Those that share with other processes have readings of their own, which
/// leave room for what those were granted.
fn weighing(root: &SystemRoot, options: HeadroomOptions, is_alone: bool) -> Arc<Weighing> {
    static OF_THIS_MACHINE: LazyLock<Arc<Weighing>> =
        LazyLock::new(|| Arc::new(Weighing::new(SystemRoot::default(), HeadroomOptions::default())));
    if is_alone && *root == SystemRoot::default() && options == HeadroomOptions::default() {
        return Arc::clone(&OF_THIS_MACHINE);
    }
    Arc::new(Weighing::new(root.clone(), options))
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;
    use crate::{
        error::Error,
        system::board,
        units::{GIB, MIB},
    };
    use std::{
        fs,
        path::Path,
        sync::atomic::{AtomicBool, Ordering},
        thread,
    };

    /// A machine of 8 GiB that can be told what is available.
    struct Tree(tempfile::TempDir);

    impl Tree {
        fn with(available_bytes: u64) -> Self {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir(folder.path().join("proc")).unwrap();
            let tree = Self(folder);
            tree.set(available_bytes);
            tree
        }

        fn set(&self, available_bytes: u64) {
            let text = format!("MemTotal: 8388608 kB\nMemAvailable: {} kB\n", available_bytes / 1024);
            fs::write(self.0.path().join("proc/meminfo"), text).unwrap();
        }

        fn path(&self) -> &Path {
            self.0.path()
        }

        fn budget(&self) -> MemoryBudget {
            let options = SystemOptions {
                root: SystemRoot::at(self.path()),
                headroom: Some(HeadroomOptions {
                    floor_bytes: Some(256 * MIB),
                    ..HeadroomOptions::default()
                }),
                ..SystemOptions::default()
            };
            MemoryBudget::for_system(&options).unwrap()
        }
    }

    fn refused(budget: &MemoryBudget, bytes: u64) -> (u64, String, String) {
        match budget.allocate(bytes, "refused") {
            Err(Error::InsufficientMemory {
                available_bytes,
                largest_free_bytes,
                binding_constraint,
                suggestion,
                ..
            }) => {
                assert_eq!(available_bytes, largest_free_bytes);
                (available_bytes, binding_constraint, suggestion)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_granted_byte_is_there_and_what_was_granted_comes_off() {
        let tree = Tree::with(GIB);
        let budget = tree.budget();
        assert_eq!((budget.line_available_bytes() > 6 * GIB, budget.available_bytes()), (true, 768 * MIB));
        assert!(budget.can_allocate(768 * MIB) && !budget.can_allocate(768 * MIB + 1));
        let (available, constraint, suggestion) = refused(&budget, 5 * GIB);
        assert_eq!(available, 768 * MIB);
        assert!(constraint.contains("1.00 GiB available without CMA"), "{constraint}");
        assert!(suggestion.contains("another program"), "{suggestion}");
        let held = budget.allocate(500 * MIB, "held").unwrap();
        assert_eq!(budget.available_bytes(), 268 * MIB);
        let (available, constraint, _) = refused(&budget, 269 * MIB);
        assert_eq!(available, 268 * MIB);
        assert!(constraint.contains("500.00 MiB of it are granted and not yet taken"), "{constraint}");
        let rest = budget.allocate(available, "what it said was there").unwrap();
        assert_eq!((budget.available_bytes(), budget.can_allocate(0)), (0, true));
        assert!(budget.allocate(0, "nothing").is_ok());
        drop((held, rest));
        assert_eq!(budget.available_bytes(), 768 * MIB, "released, it is there again at once");
    }

    #[test]
    fn what_has_been_taken_counts_once() {
        let tree = Tree::with(GIB);
        let budget = tree.budget();
        let held = budget.allocate(400 * MIB, "weights").unwrap();
        tree.set(GIB - 400 * MIB);
        held.commit(400 * MIB);
        assert!(budget.allocate(368 * MIB, "the rest").is_ok());
        assert_eq!(refused(&budget, 369 * MIB).0, 368 * MIB);
    }

    #[test]
    fn the_lesser_of_line_and_machine_is_named() {
        let tree = Tree::with(8 * GIB);
        let options = SystemOptions {
            root: SystemRoot::at(tree.path()),
            line: MachineOptions { max_bytes: Some(GIB), ..MachineOptions::default() },
            ..SystemOptions::default()
        };
        let budget = MemoryBudget::for_system(&options).unwrap();
        let (available, constraint, suggestion) = refused(&budget, 2 * GIB);
        assert_eq!(available, GIB);
        assert!(constraint.contains("maxBytes") && suggestion.contains("whole line"), "{constraint}");
        tree.set(512 * MIB);
        let (available, constraint, suggestion) = refused(&budget, 2 * GIB);
        assert_eq!(available, 256 * MIB, "{constraint}");
        assert!(
            constraint.contains("512.00 MiB available") && suggestion.contains("whole line"),
            "{suggestion}"
        );
    }

    #[test]
    fn a_small_request_is_served_by_the_last_reading_and_a_large_one_by_its_own() {
        let tree = Tree::with(GIB);
        let budget = tree.budget();
        assert!(budget.can_allocate(700 * MIB));
        tree.set(300 * MIB);
        let small = budget.allocate(MIB, "by a reading of a moment ago");
        assert!(budget.allocate(300 * MIB, "more than a quarter").is_err());
        assert_eq!(budget.available_bytes(), 43 * MIB);
        drop(small);
        thread::sleep(std::time::Duration::from_millis(120));
        tree.set(0);
        assert!(budget.allocate(1, "the reading is too old").is_err());
    }

    #[test]
    fn what_cannot_be_read_is_refused_and_said() {
        let tree = Tree::with(GIB);
        let budget = tree.budget();
        let by_line =
            SystemOptions { root: SystemRoot::at(tree.path()), headroom: None, ..SystemOptions::default() };
        let by_line = MemoryBudget::for_system(&by_line).unwrap();
        fs::write(tree.path().join("proc/meminfo"), "nonsense").unwrap();
        assert!(!budget.can_allocate(1));
        assert_eq!(budget.available_bytes(), 0);
        let (available, constraint, suggestion) = refused(&budget, 1);
        assert_eq!(available, 0);
        assert!(
            constraint.contains("proc/meminfo") && suggestion.contains("headroom: false"),
            "{constraint}"
        );
        assert!(by_line.can_allocate(6 * GIB) && by_line.allocate(6 * GIB, "by the line alone").is_ok());
        tree.set(GIB);
        assert!(budget.allocate(700 * MIB, "it can be read again").is_ok());
    }

    #[test]
    fn a_limit_that_cannot_be_read_closes() {
        let tree = Tree::with(4 * GIB);
        let write = |path: &str, text: &str| {
            let path = tree.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("proc/self/cgroup", "0::/a\n");
        write("proc/self/mountinfo", "33 32 0:29 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
        let group = "sys/fs/cgroup/a/memory";
        for (name, text) in
            [("max", "419430400\n"), ("high", "max\n"), ("current", "5000\n"), ("stat", "inactive_file 0\n")]
        {
            write(&format!("{group}.{name}"), text);
        }
        let budget = tree.budget();
        assert!(budget.can_allocate(300 * MIB));
        write(&format!("{group}.current"), "garbage\n");
        let (_, constraint, _) = refused(&budget, 200 * MIB);
        assert!(constraint.contains("memory.current"), "{constraint}");
    }

    #[test]
    fn budgets_of_this_machine_promise_each_byte_once_whoever_counts_alone() {
        let alone = SystemOptions { isolated: true, ..SystemOptions::default() };
        let [first, second] = [&alone, &alone].map(|options| MemoryBudget::for_system(options).unwrap());
        let nano = MachineOptions { board: board("orin-nano-8gb"), ..MachineOptions::default() };
        let shared =
            MemoryBudget::for_system(&SystemOptions { line: nano, ..SystemOptions::default() }).unwrap();
        let before = second.pending_bytes();
        let most = first.available_bytes() / 2;
        let held = first.allocate(most, "promised").unwrap();
        assert!(
            second.pending_bytes() >= before + most / 2,
            "some of it may be taken for growth of other tests"
        );
        assert!(shared.pending_bytes() >= before + most / 2);
        assert_eq!((second.allocated_bytes(), first.allocated_bytes()), (0, most));
        drop(held);
    }

    #[test]
    fn what_is_there_is_granted_whatever_others_grant_and_release_meanwhile() {
        let tree = Tree::with(GIB);
        let budget = tree.budget();
        let is_done = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while !is_done.load(Ordering::Relaxed) {
                        drop(budget.allocate(60 * MIB, "it comes and goes"));
                    }
                });
            }
            let refused = (0..3000).find_map(|_| budget.allocate(500 * MIB, "it fits").err());
            is_done.store(true, Ordering::Relaxed);
            assert!(refused.is_none(), "{refused:?}");
        });
    }

    #[test]
    fn many_threads_are_granted_no_more_than_is_there() {
        let tree = Tree::with(GIB + 256 * MIB);
        let budget = tree.budget();
        thread::scope(|scope| {
            for seed in 0..8_u64 {
                let budget = &budget;
                scope.spawn(move || {
                    let mut held = Vec::new();
                    for step in 0..400_u64 {
                        held.extend(budget.allocate((seed * 7919 + step * 31) % 97 * MIB, "worker"));
                        assert!(budget.allocated_bytes() <= GIB);
                        if step % 3 == 0 {
                            held.clear();
                        }
                    }
                });
            }
        });
        assert_eq!((budget.allocated_bytes(), budget.pending_bytes()), (0, 0));
    }
}
