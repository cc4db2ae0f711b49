//! The budget itself.

use std::{
    borrow::Cow,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use super::{
    Allocation, AllocationInfo, ClosedGate, EventKind, Headroom, HeadroomOptions, Line, MachineOptions,
    Promised, RecordAlarm, RecordOptions, Recording, Refused, RefusedRequest, RefusedRequests, Term,
    account::Account,
    gate::Gate,
    shared,
    weighing::{Lacking, Weighing},
};
use crate::{
    error::{Error, Result},
    system::{Board, Machine, resident_bytes},
    units::MAX_BYTES,
};

/// How much of a machine may be used, and who uses it.
///
/// Cheap to clone; clones share the same line and the same account. All methods may be called from any thread.
///
/// ```
/// use plimsoll::{MemoryBudget, system::board, units::MIB};
///
/// let budget = MemoryBudget::for_board(board("orin-nano-8gb").unwrap());
/// assert_eq!(budget.usable_bytes(), 6144 * MIB);
/// let weights = budget.allocate(2000 * MIB, "weights")?;
/// assert_eq!(budget.available_bytes(), 4144 * MIB);
/// drop(weights);
/// assert_eq!(budget.allocated_bytes(), 0);
/// # Ok::<(), plimsoll::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct MemoryBudget {
    pub(super) line: Arc<Line>,
    /// The caller's own bound while running; above every size when there is none.
    pub(super) ceiling: Arc<AtomicU64>,
    pub(super) account: Arc<Account>,
    pub(super) gate: Arc<Gate>,
    /// What asks the machine too; budgets of numbers, and those whose maker wants the line alone, have none.
    pub(super) weighing: Option<Arc<Weighing>>,
}

/// A ceiling that bounds nothing.
const NO_CEILING: u64 = u64::MAX;

impl MemoryBudget {
    /// A budget of just these numbers: total less reserve.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] when more is reserved than there is, or a size is above
    /// [`MAX_BYTES`].
    pub fn new(total_bytes: u64, reserved_bytes: u64) -> Result<Self> {
        Ok(Self::over(Line::from_numbers(total_bytes, reserved_bytes)?, Arc::default()))
    }

    /// A budget of just the board's numbers, whatever machine this is.
    #[must_use]
    pub fn for_board(board: &Board) -> Self {
        Self::over(Line::from_board(board), Arc::default())
    }

    /// A budget of its own for a machine: the lowest of the terms in [`Line::for_machine`]. It is one of just the numbers
    /// in `machine`; see [`for_system`](Self::for_system) for one that asks the machine itself before it grants.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] when the machine's memory is unknown or an option is out of range.
    pub fn for_machine(machine: &Machine, options: &MachineOptions<'_>) -> Result<Self> {
        let account = Arc::new(Account::measured_by(resident_bytes));
        Ok(Self::over(Line::for_machine(machine, options)?, account))
    }

    /// As [`for_machine`](Self::for_machine), but what is allocated counts for every shared budget of this
    /// process with the same board, on all threads; a process is in one cgroup. Each keeps its own line.
    ///
    /// # Errors
    ///
    /// As [`for_machine`](Self::for_machine).
    pub fn shared_for_machine(machine: &Machine, options: &MachineOptions<'_>) -> Result<Self> {
        let line = Line::for_machine(machine, options)?;
        Ok(Self::over(line, shared::account(options.board.map(|board| board.id), None)))
    }

    pub(super) fn over(line: Line, account: Arc<Account>) -> Self {
        let ceiling = Arc::new(AtomicU64::new(NO_CEILING));
        Self { line: Arc::new(line), ceiling, account, gate: Arc::default(), weighing: None }
    }

    /// The line as it was drawn, with its terms and the binding one. A [maximum](Self::set_maximum) is not part of it.
    #[must_use]
    pub fn line(&self) -> &Line {
        &self.line
    }

    /// The upper bound set while running, in bytes, if one was.
    #[must_use]
    pub fn maximum(&self) -> Option<u64> {
        Some(self.ceiling.load(Ordering::Relaxed)).filter(|bytes| *bytes != NO_CEILING)
    }

    /// Bounds this budget and its clones from now on, or no longer. What is allocated above it stays.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for more than [`MAX_BYTES`].
    pub fn set_maximum(&self, bytes: Option<u64>) -> Result<()> {
        if let Some(bytes) = bytes.filter(|bytes| *bytes > MAX_BYTES) {
            return Err(Error::invalid_argument(
                "maxBytes",
                format!("at most {MAX_BYTES}"),
                bytes.to_string(),
            ));
        }
        self.ceiling.store(bytes.unwrap_or(NO_CEILING), Ordering::Relaxed);
        self.account.waiting.freed();
        Ok(())
    }

    /// Every bound there is now: the line's terms, and the maximum set while running.
    #[must_use]
    pub fn terms(&self) -> Vec<Term> {
        self.line.terms().iter().cloned().chain(self.maximum().map(Term::set_while_running)).collect()
    }

    /// The lowest of the [terms](Self::terms).
    #[must_use]
    pub fn binding(&self) -> Term {
        let lower = self.maximum().filter(|bytes| *bytes < self.line.bytes());
        lower.map_or_else(|| self.line.binding().clone(), Term::set_while_running)
    }

    /// Memory of the board or machine, in bytes.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.line.total_bytes()
    }

    /// What is kept for the system, in bytes.
    #[must_use]
    pub fn reserved_bytes(&self) -> u64 {
        self.line.reserved_bytes()
    }

    /// What may be used at most: the line, or the maximum set while running where that is lower, in bytes. For a budget
    /// of numbers the line is total less reserve.
    #[must_use]
    pub fn usable_bytes(&self) -> u64 {
        self.line.bytes().min(self.ceiling.load(Ordering::Relaxed))
    }

    /// What live allocations hold, in bytes.
    #[must_use]
    pub fn allocated_bytes(&self) -> u64 {
        self.account.allocated_bytes()
    }

    /// The most that was ever allocated at once, in bytes.
    #[must_use]
    pub fn peak_bytes(&self) -> u64 {
        self.account.peak_bytes()
    }

    /// What can still be allocated now, in bytes: what is left of the line, or what the machine can give where that is less
    /// and the budget [asks it](Self::for_system); less what is kept for whoever has [waited](crate::admission) long for its
    /// turn. It is measured anew, and 0 where it cannot be.
    #[must_use]
    pub fn available_bytes(&self) -> u64 {
        self.free_bytes().saturating_sub(self.account.kept_bytes())
    }

    /// What is left of the line, in bytes, whatever the machine can give.
    #[must_use]
    pub fn line_available_bytes(&self) -> u64 {
        self.usable_bytes().saturating_sub(self.allocated_bytes())
    }

    /// What is left of the line that all who share a ledger have in common, in bytes; above every size where none do.
    pub(super) fn shared_available_bytes(&self) -> u64 {
        let sharing = self.account.sharing();
        sharing.map_or(u64::MAX, |sharing| sharing.available_bytes(self.line.board_bytes()))
    }

    /// Share of the line that is allocated, 0 to 100; above 100 only where a budget with a higher line shares
    /// the account. A line of zero bytes reads 0 while nothing is allocated and 100 otherwise.
    #[must_use]
    pub fn utilization_percent(&self) -> f64 {
        match (self.allocated_bytes(), self.usable_bytes()) {
            (0, _) => 0.0,
            (_, 0) => 100.0,
            (allocated, usable) => allocated as f64 / usable as f64 * 100.0,
        }
    }

    /// Whether [`allocate`](Self::allocate) would grant this many bytes now. Another thread may take them
    /// between the question and the deed: the deed alone is binding.
    #[must_use]
    pub fn can_allocate(&self, bytes: u64) -> bool {
        let kept_bytes = self.account.kept_bytes();
        self.gate.is_open() && self.has_beside(bytes, kept_bytes)
    }

    /// Takes `bytes` off the budget until the guard is dropped, or refuses and takes nothing.
    ///
    /// No memory is allocated: the budget counts what its user is about to take. Zero bytes are granted and
    /// listed. One atomic step decides; the sum of live guards passes the line in no interleaving of threads.
    ///
    /// A budget [of a system](Self::for_system) asks the machine, too: by a reading of at most 100 ms ago, less what was
    /// granted since, and by a new one where a request would use more than a quarter of that.
    ///
    /// # Errors
    ///
    /// [`Error::InsufficientMemory`] when that many bytes are not available, or cannot be known to be, or the budget is
    /// [closed](Self::close_gate).
    pub fn allocate(&self, bytes: u64, label: impl Into<Cow<'static, str>>) -> Result<Allocation> {
        self.allocate_from(bytes, label, None)
    }

    /// The same, and tells recordings who asked: the caller's stack, innermost frame first, a line each.
    ///
    /// # Errors
    ///
    /// As [`allocate`](Self::allocate).
    pub fn allocate_from(
        &self,
        bytes: u64,
        label: impl Into<Cow<'static, str>>,
        stack: Option<&str>,
    ) -> Result<Allocation> {
        let label = label.into();
        if let Some(reason) = self.gate.reason() {
            let refused = self.refused_at_gate(bytes, reason, label.clone().into_owned());
            return Err(self.recorded(refused, bytes, &label, stack));
        }
        let now = Instant::now();
        match self.take(bytes, now) {
            Ok(()) => Ok(Allocation::insert(&self.account, bytes, label, stack, now)),
            Err(lacking) => {
                let refused = self.refusal(bytes, *lacking, label.clone().into_owned());
                Err(self.recorded(refused, bytes, &label, stack))
            }
        }
    }

    /// Takes bytes off the line, and off what the machine can give, and leaves what is kept for who waits.
    #[inline]
    pub(super) fn take(&self, bytes: u64, now: Instant) -> std::result::Result<(), Box<Lacking>> {
        match self.account.kept_bytes() {
            0 => self.take_of(self.usable_bytes(), bytes, now),
            kept_bytes => self.take_beside(bytes, kept_bytes, now),
        }
    }

    /// As [`take`](Self::take), by a line of so many bytes: first off what all have in common who share a ledger, if any do.
    #[inline]
    pub(super) fn take_of(
        &self,
        line_bytes: u64,
        bytes: u64,
        now: Instant,
    ) -> std::result::Result<(), Box<Lacking>> {
        let Some(sharing) = self.account.sharing() else { return self.take_own(line_bytes, bytes, now) };
        let kept_bytes = self.usable_bytes().saturating_sub(line_bytes);
        // First there: from then on others leave room for it, whatever they measure.
        sharing
            .take(bytes, self.line.board_bytes().saturating_sub(kept_bytes))
            .map_err(|unshared| Box::new(Lacking::Shared(unshared)))?;
        let taken = self.take_own(line_bytes, bytes, now);
        match taken {
            Ok(()) => self.account.tell(|sharing, unsettled| sharing.settle(bytes, unsettled)),
            Err(_) => sharing.cancel(bytes),
        }
        taken
    }

    /// The same off the line, and off what the machine can give.
    #[inline]
    fn take_own(&self, line_bytes: u64, bytes: u64, now: Instant) -> std::result::Result<(), Box<Lacking>> {
        let Some(weighing) = &self.weighing else {
            self.account.try_take(bytes, line_bytes).map_err(|of_line| Box::new(Lacking::Line(of_line)))?;
            self.account.grant_unweighed(bytes, now);
            return Ok(());
        };
        let of_line = line_bytes.saturating_sub(self.allocated_bytes());
        if bytes > of_line {
            return Err(Box::new(Lacking::Line(of_line)));
        }
        // The machine first: a request that it cannot serve takes nothing off the line meanwhile.
        weighing.grant(bytes, &self.account, now).map_err(|found| Box::new(Lacking::Machine(found)))?;
        self.account.try_take(bytes, line_bytes).map_err(|of_line| {
            self.account.ungrant(bytes);
            Box::new(Lacking::Line(of_line))
        })
    }

    /// Tells recordings of a refusal, and returns it.
    fn recorded(&self, error: Error, bytes: u64, label: &str, stack: Option<&str>) -> Error {
        if self.account.is_recorded() {
            self.account.note_refusal(label, bytes, stack, Refused::by(&error).as_ref());
        }
        error
    }

    /// How many frames of the caller's stack recordings would like to know; 0 while there is no such recording. One
    /// relaxed load.
    #[must_use]
    pub fn stack_depth(&self) -> u32 {
        self.account.stack_depth()
    }

    /// Starts to record every grant, release, refusal and commit, and what pools and loads over this budget do.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for a capacity of 0 or above [`MAX_CAPACITY`](super::MAX_CAPACITY).
    pub fn record(&self, options: RecordOptions) -> Result<Recording> {
        Recording::start(&self.account, options, None)
    }

    /// The same, and wakes a thread when something happens that it wants to know at once.
    ///
    /// # Errors
    ///
    /// As [`record`](Self::record).
    pub fn record_with_alarm(&self, options: RecordOptions, alarm: RecordAlarm) -> Result<Recording> {
        Recording::start(&self.account, options, Some(alarm))
    }

    /// The number of a load that begins.
    pub(crate) fn next_load_id(&self) -> u64 {
        self.account.take_serial()
    }

    /// Tells recordings what happened to a load.
    pub(crate) fn note_load(&self, kind: EventKind, id: u64, label: &str, bytes: u64) {
        self.account.note_load(kind, id, label, bytes);
    }

    /// What was granted and has not yet been taken, in bytes: of this budget, or of all in this process where it is one of
    /// this machine. See [`Allocation::commit`].
    #[must_use]
    pub fn pending_bytes(&self) -> u64 {
        self.promised().granted_bytes
    }

    /// The same as [`Headroom`] and devices take it.
    #[must_use]
    pub fn promised(&self) -> Promised {
        self.account.promised()
    }

    /// Whether what it grants is promised of the memory of the machine that this process runs on.
    pub(crate) fn is_of_this_process(&self) -> bool {
        self.account.is_of_this_process()
    }

    /// What `machine` can give now, less what is pending here. See [`Headroom`].
    #[must_use]
    pub fn headroom(&self, machine: &Machine, options: &HeadroomOptions) -> Headroom {
        Headroom::of(machine, self.promised(), options)
    }

    /// The live allocations, oldest first. What another copy of this crate in the process holds is one line, the last.
    #[must_use]
    pub fn allocations(&self) -> Vec<AllocationInfo> {
        let mut list = self.account.list();
        list.extend(self.account.of_other_copies());
        list
    }

    /// Counts and keeps a request that was refused in the end. No allocation does so by itself: a call may get by what it was
    /// refused, by another slab or by its turn, so whoever answers for it notes what it comes to.
    pub fn note_refused(&self, request: RefusedRequest) {
        self.account.add_refused(request);
    }

    /// What was refused of all budgets that share the count, in all threads.
    #[must_use]
    pub fn refused_requests(&self) -> RefusedRequests {
        self.account.refused_requests()
    }

    /// Refuses every new allocation of this budget and its clones, for that reason, until the result is dropped. What
    /// is allocated stays, and other budgets go on, also those that share the count. A monitor does this while memory
    /// is critical.
    pub fn close_gate(&self, reason: impl Into<String>) -> ClosedGate {
        self.gate.hold(&self.account, reason.into())
    }
}
