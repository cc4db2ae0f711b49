//! Any sequence of what seats can do, their deaths included, beside a plain list of slots.

#![allow(unsafe_code, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::{
    os::fd::AsRawFd,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use plimsoll::{
    budget::{SharedQueue, SharedTurn, Sharers, Unsettled, Unshared},
    ledger::{LedgerOptions, Seat},
};
use proptest::prelude::*;

const LINE_BYTES: u64 = 1000;

/// Nobody waits for a request whose process has not said for a second that it goes on: see `turn_elsewhere`.
const SAID_WITHIN: Duration = Duration::from_millis(900);

#[derive(Debug, Clone)]
enum Step {
    /// A process comes.
    Come,
    Take {
        seat: usize,
        bytes: u64,
    },
    /// What was taken last and not settled.
    Settle {
        seat: usize,
        reported_bytes: u64,
        silent_bytes: u64,
    },
    Cancel {
        seat: usize,
    },
    Release {
        seat: usize,
        which: usize,
        reported_bytes: u64,
    },
    Update {
        seat: usize,
        reported_bytes: u64,
        silent_bytes: u64,
    },
    Wait {
        seat: usize,
        bytes: u64,
        priority: i32,
        count: u32,
    },
    /// It leaves.
    Drop {
        seat: usize,
    },
    /// It is killed.
    Kill {
        seat: usize,
    },
    /// What the machine can give changes.
    Available {
        bytes: u64,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let seat = 0..8_usize;
    let bytes = prop_oneof![0..300_u64, 0..1100_u64, Just(u64::MAX)];
    let part = 0..300_u64;
    let step = prop_oneof![
        2 => Just(Step::Come),
        6 => (seat.clone(), bytes).prop_map(|(seat, bytes)| Step::Take { seat, bytes }),
        4 => (seat.clone(), part.clone(), part.clone()).prop_map(|(seat, reported_bytes, silent_bytes)| Step::Settle { seat, reported_bytes, silent_bytes }),
        1 => seat.clone().prop_map(|seat| Step::Cancel { seat }),
        3 => (seat.clone(), 0..8_usize, part.clone()).prop_map(|(seat, which, reported_bytes)| Step::Release { seat, which, reported_bytes }),
        1 => (seat.clone(), part.clone(), part.clone()).prop_map(|(seat, reported_bytes, silent_bytes)| Step::Update { seat, reported_bytes, silent_bytes }),
        1 => (seat.clone(), part, any::<i32>(), 0..3_u32).prop_map(|(seat, bytes, priority, count)| Step::Wait { seat, bytes, priority, count }),
        1 => seat.clone().prop_map(|seat| Step::Drop { seat }),
        1 => seat.prop_map(|seat| Step::Kill { seat }),
        1 => (0..2000_u64).prop_map(|bytes| Step::Available { bytes }),
    ];
    prop::collection::vec(step, 1..120)
}

/// What stands in a slot.
#[derive(Debug, Clone, Default)]
struct Slot {
    name: String,
    held: u64,
    asked: u64,
    unsettled: Unsettled,
    waiting: Option<SharedTurn>,
    life: Life,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
enum Life {
    #[default]
    Lives,
    Dead,
    Drains {
        available_before: u64,
        taken: u64,
    },
}

impl Slot {
    fn pending(&self) -> u64 {
        if matches!(self.life, Life::Drains { .. }) {
            0
        } else {
            (self.unsettled.pending_bytes(None) + self.asked).min(self.held)
        }
    }
}

#[derive(Debug, Default)]
struct Model {
    slots: Vec<Option<Slot>>,
}

impl Model {
    fn held(&self) -> u64 {
        self.slots.iter().flatten().map(|slot| slot.held).sum()
    }

    /// Finds the dead, and those of them whose memory is back.
    fn reap(&mut self, available: u64) -> bool {
        let mut has_changed = false;
        for place in &mut self.slots {
            let Some(slot) = place else { continue };
            match slot.life {
                Life::Dead => {
                    let taken = slot.held.saturating_sub(slot.asked + slot.unsettled.reported_bytes);
                    if taken == 0 {
                        *place = None;
                    } else {
                        slot.life = Life::Drains { available_before: available, taken };
                    }
                    has_changed = true;
                }
                Life::Drains { available_before, taken }
                    if available.saturating_sub(available_before) >= taken =>
                {
                    *place = None;
                    has_changed = true;
                }
                Life::Lives | Life::Drains { .. } => {}
            }
        }
        has_changed
    }

    fn claim(&mut self, name: String) -> usize {
        let slot = Some(Slot { name, ..Slot::default() });
        let free = self.slots.iter().position(Option::is_none).unwrap_or(self.slots.len());
        self.slots.resize(self.slots.len().max(free + 1), None);
        self.slots[free] = slot;
        free
    }

    fn take(&mut self, at: usize, bytes: u64, available: u64) -> bool {
        let own = self.slots[at].as_ref().unwrap().held;
        // Beyond the line alone: nobody looks for the dead.
        let fits = own.checked_add(bytes).is_some_and(|sum| sum <= LINE_BYTES);
        loop {
            if fits && self.held() + bytes <= LINE_BYTES {
                let slot = self.slots[at].as_mut().unwrap();
                slot.held += bytes;
                slot.asked += bytes;
                return true;
            }
            if !fits || !self.reap(available) {
                return false;
            }
        }
    }
}

struct Process {
    seat: Seat,
    at: usize,
    unsettled: Vec<u64>,
    settled: Vec<u64>,
}

struct Board {
    folder: tempfile::TempDir,
    available: Arc<AtomicU64>,
    model: Model,
    processes: Vec<Process>,
    looker: Option<Seat>,
    granted: u64,
    come: usize,
}

impl Board {
    fn new() -> Self {
        let folder = tempfile::tempdir_in("/dev/shm").unwrap();
        let available = Arc::new(AtomicU64::new(1000));
        let (model, processes) = (Model::default(), Vec::new());
        let mut board = Self { folder, available, model, processes, looker: None, granted: 0, come: 0 };
        board.model.claim("looker".to_owned());
        board.looker = Some(board.seat("looker"));
        board
    }

    fn seat(&self, name: &str) -> Seat {
        let path: &Path = self.folder.path();
        let drain = Duration::from_hours(1);
        let options = LedgerOptions { directory: Some(path.to_owned()), drain, ..LedgerOptions::default() };
        let available = Arc::clone(&self.available);
        Seat::take_in(&options, name, Box::new(move || Some(available.load(Ordering::Relaxed)))).unwrap()
    }

    fn available(&self) -> u64 {
        self.available.load(Ordering::Relaxed)
    }

    fn slot(&mut self, process: usize) -> &mut Slot {
        let at = self.processes[process].at;
        self.model.slots[at].as_mut().unwrap()
    }

    fn index(&self, seat: usize) -> Option<usize> {
        seat.checked_rem(self.processes.len())
    }

    fn act(&mut self, step: &Step) -> Option<()> {
        let available = self.available();
        match *step {
            Step::Come => {
                if self.processes.len() < 6 {
                    self.come += 1;
                    let name = format!("process {}", self.come);
                    self.model.reap(available);
                    let at = self.model.claim(name.clone());
                    let seat = self.seat(&name);
                    self.processes.push(Process { seat, at, unsettled: Vec::new(), settled: Vec::new() });
                }
            }
            Step::Take { seat, bytes } => {
                let index = self.index(seat)?;
                let at = self.processes[index].at;
                let is_granted = self.model.take(at, bytes, available);
                let process = &mut self.processes[index];
                match process.seat.take(bytes, LINE_BYTES) {
                    Ok(()) => {
                        assert!(is_granted, "{bytes} are granted");
                        process.unsettled.push(bytes);
                        self.granted += bytes;
                    }
                    Err(Unshared::Crowded(crowded)) => {
                        assert!(!is_granted, "{bytes} are refused");
                        let left = LINE_BYTES - self.model.held();
                        assert_eq!(crowded.available_bytes, left.min(bytes - 1));
                    }
                    Err(Unshared::Broken(error)) => panic!("{error}"),
                }
            }
            Step::Settle { seat, reported_bytes, silent_bytes } => {
                let index = self.index(seat)?;
                let bytes = self.processes[index].unsettled.pop()?;
                self.processes[index].settled.push(bytes);
                let unsettled = Unsettled { reported_bytes, silent_bytes, base_bytes: None };
                self.processes[index].seat.settle(bytes, unsettled);
                let slot = self.slot(index);
                (slot.asked, slot.unsettled) = (slot.asked - bytes, unsettled);
            }
            Step::Cancel { seat } => {
                let index = self.index(seat)?;
                let bytes = self.processes[index].unsettled.pop()?;
                self.processes[index].seat.cancel(bytes);
                let slot = self.slot(index);
                (slot.asked, slot.held) = (slot.asked - bytes, slot.held - bytes);
            }
            Step::Release { seat, which, reported_bytes } => {
                let index = self.index(seat)?;
                let which = which.checked_rem(self.processes[index].settled.len())?;
                let bytes = self.processes[index].settled.swap_remove(which);
                let unsettled = Unsettled { reported_bytes, ..Unsettled::default() };
                self.processes[index].seat.release(bytes, unsettled);
                let slot = self.slot(index);
                (slot.held, slot.unsettled) = (slot.held - bytes, unsettled);
            }
            Step::Update { seat, reported_bytes, silent_bytes } => {
                let index = self.index(seat)?;
                let unsettled = Unsettled { reported_bytes, silent_bytes, base_bytes: None };
                self.processes[index].seat.update(unsettled);
                self.slot(index).unsettled = unsettled;
            }
            Step::Wait { seat, bytes, priority, count } => {
                let index = self.index(seat)?;
                let since_ns = self.granted;
                let kept_bytes = bytes / 2;
                let turn =
                    SharedTurn { bytes, priority, since_ns, kept_bytes, count, ..SharedTurn::default() };
                let waiting = (count > 0).then_some(turn);
                self.processes[index].seat.wait(0, waiting, "label");
                self.slot(index).waiting = waiting;
            }
            Step::Drop { seat } => {
                let index = self.index(seat)?;
                let process = self.processes.swap_remove(index);
                drop(process.seat);
                self.model.slots[process.at] = None;
            }
            Step::Kill { seat } => {
                let index = self.index(seat)?;
                self.slot(index).life = Life::Dead;
                let process = self.processes.swap_remove(index);
                let descriptor = process.seat.with_descriptor(|descriptor| descriptor.as_raw_fd());
                // SAFETY: the seat knows its file by more than the number: it writes nothing, and closes none that is not its.
                // The lock goes with the map, in the drop.
                unsafe { libc::close(descriptor) };
                drop(process.seat);
            }
            Step::Available { bytes } => self.available.store(bytes, Ordering::Relaxed),
        }
        Some(())
    }

    /// What the looker sees while all who wait have just said again that they go on, as queues do.
    fn turn_elsewhere(&self) -> Option<SharedTurn> {
        loop {
            let start = Instant::now();
            for process in &self.processes {
                let waiting = self.model.slots[process.at].as_ref().unwrap().waiting;
                if waiting.is_some() {
                    process.seat.wait(0, waiting, "label");
                }
            }
            let seen = self.looker.as_ref().unwrap().turn_elsewhere();
            // Else this process stood still meanwhile.
            if start.elapsed() < SAID_WITHIN {
                return seen;
            }
        }
    }

    fn check(&mut self) {
        let available = self.available();
        let looker = self.looker.as_ref().unwrap();
        let ever = looker.granted_bytes();
        assert!(ever >= self.granted, "what was ever granted only grows: {ever} of {}", self.granted);
        self.granted = ever;
        self.model.reap(available);
        let holders = looker.holders().unwrap();
        let slots =
            self.model.slots.iter().enumerate().filter_map(|(at, slot)| slot.as_ref().map(|slot| (at, slot)));
        let expected: Vec<_> = slots
            .clone()
            .map(|(at, slot)| {
                let is_draining = slot.life != Life::Lives;
                let waiting = slot.waiting.filter(|_| !is_draining);
                (at, slot.name.clone(), slot.held, slot.pending(), is_draining, waiting)
            })
            .collect();
        let seen: Vec<_> = holders
            .into_iter()
            .map(|holder| {
                (
                    holder.slot,
                    holder.name,
                    holder.held_bytes,
                    holder.pending_bytes,
                    holder.is_draining,
                    holder.waiting.map(|waiting| SharedTurn {
                        bytes: waiting.bytes,
                        priority: waiting.priority,
                        since_ns: waiting.since_ns,
                        kept_bytes: waiting.kept_bytes,
                        count: waiting.count,
                        ..SharedTurn::default()
                    }),
                )
            })
            .collect();
        assert_eq!(seen, expected);
        assert_eq!(looker.pending_bytes(), slots.clone().map(|(_, slot)| slot.pending()).sum::<u64>());
        let next = slots.filter(|(_, slot)| slot.life == Life::Lives).filter_map(|(_, slot)| slot.waiting);
        let next = next.min_by_key(|waiting| (std::cmp::Reverse(waiting.priority), waiting.since_ns));
        let seen = self.turn_elsewhere().map(|turn| SharedTurn { goes_first: false, ..turn });
        assert_eq!(seen, next);
        self.model.reap(available);
        assert_eq!(looker.available_bytes(LINE_BYTES), LINE_BYTES - self.model.held());
    }
}

fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(48)
}

proptest! {
    // `PROPTEST_CASES` for more.
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn seats_do_what_a_plain_list_of_slots_does(steps in steps()) {
        let mut board = Board::new();
        for step in &steps {
            board.act(step);
            board.check();
        }
    }
}
