//! A defragmentation within bounds, and what came of it.

use std::time::{Duration, Instant};

use super::{
    super::MemoryPool,
    moves::{Move, MoveInProgress},
    pass::Pass,
    plan::{Outcome, Plan, Tried},
};
use crate::error::Result;

/// How far a defragmentation goes. Whatever bound is met first ends it; another begins from what it left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DefragmentOptions {
    /// Bytes moved at most; looked at between moves. No bound by default.
    pub max_bytes: Option<u64>,
    /// Buffers moved at most. No bound by default.
    pub max_moves: Option<u64>,
    /// How long it goes on copying the map and beginning moves. Any time but none lets one move be tried, or a slow machine
    /// would never get on. No bound by default.
    pub max_time: Option<Duration>,
    /// A hole of so many bytes ends it. By default it goes on while there is anything to mend.
    pub enough_bytes: Option<u64>,
    /// Whether nothing is moved, and the report says what would come of it.
    pub dry_run: bool,
}

/// What came of a defragmentation.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct DefragmentReport {
    /// Buffers moved.
    pub moved_count: u64,
    /// Bytes moved.
    pub moved_bytes: u64,
    /// Moves that the caller did not want.
    pub vetoed_count: u64,
    /// Bytes of slabs that became empty.
    pub emptied_bytes: u64,
    /// The largest hole before, in bytes.
    pub largest_free_bytes_before: u64,
    /// The largest hole after, in bytes.
    pub largest_free_bytes_after: u64,
    /// Whether nothing is left that a move would mend.
    pub complete: bool,
}

/// A defragmentation within bounds whose moves the caller makes, one after the other, and the report of it. Dropped at any
/// time it leaves no place taken.
///
/// ```
/// use std::sync::Arc;
/// use plimsoll::{
///     device::{DeviceContext, HostBackend},
///     pool::{BufferOptions, DefragmentOptions, MemoryPool, PoolOptions},
///     units::MIB,
/// };
///
/// let backend = Arc::new(HostBackend::new(DeviceContext::default()));
/// let pool = MemoryPool::create(backend, PoolOptions { initial_bytes: MIB, ..PoolOptions::default() })?;
/// let buffers = [(); 2].map(|()| pool.allocate(1000, &BufferOptions::default()));
/// let [first, _second] = buffers;
/// drop(first);
/// let mut run = pool.begin_run(&DefragmentOptions::default())?;
/// while run.next_move()?.is_some() {
///     if let Some(begun) = run.begin_move()? {
///         let emptied_bytes = begun.make()?;
///         run.count_move(emptied_bytes);
///     }
/// }
/// assert_eq!((run.report().moved_count, run.report().complete), (1, true));
/// # Ok::<(), plimsoll::Error>(())
/// ```
#[derive(Debug)]
pub struct DefragmentRun {
    pool: MemoryPool,
    pass: Pass,
    bounds: DefragmentOptions,
    began: Instant,
    /// Whether a move was found since it began.
    tried: bool,
    /// The move that is neither begun nor cancelled.
    offered: Option<Move>,
    /// The bytes of the move that was begun.
    moving_bytes: u64,
    report: DefragmentReport,
}

impl MemoryPool {
    /// Moves buffers together within the bounds of `options`. `wanted` is asked of each move before it is made. Slabs that
    /// become empty are released or cached as with freed buffers.
    ///
    /// The map is copied whole before time is looked at, as nobody could go on with a part of them: a
    /// [run](Self::begin_run) can, in a further call.
    ///
    /// # Errors
    ///
    /// [`Error::Device`](crate::Error::Device) when a copy failed: that buffer stays as it was, and what was moved before
    /// stays moved. [`Error::Released`](crate::Error::Released) after [`close`](Self::close).
    pub fn defragment(
        &self,
        options: &DefragmentOptions,
        wanted: &mut dyn FnMut(&Move) -> bool,
    ) -> Result<DefragmentReport> {
        if options.dry_run {
            return self.defragment_dry(options, wanted);
        }
        let mut run = self.begin_run(options)?;
        if run.may_go_on() {
            run.pass.copy_map()?;
        }
        while let Some(planned) = run.next_move()? {
            if !wanted(&planned) {
                run.veto_move();
            } else if let Some(begun) = run.begin_move()? {
                let emptied_bytes = begun.make()?;
                run.count_move(emptied_bytes);
            }
        }
        self.collect();
        Ok(run.report())
    }

    fn defragment_dry(
        &self,
        options: &DefragmentOptions,
        wanted: &mut dyn FnMut(&Move) -> bool,
    ) -> Result<DefragmentReport> {
        let mut report = DefragmentReport {
            largest_free_bytes_before: self.0.live()?.map.largest_free_bytes(),
            ..DefragmentReport::default()
        };
        let (began, mut plan) = (Instant::now(), Plan::default());
        plan.read_on(&self.0, &Tried::new(), None)?;
        let mut tried = false;
        while options.allow(&report, began, tried) && !options.is_enough(plan.largest_free_bytes()) {
            tried = true;
            let Some(step) = plan.next_step() else {
                report.complete = true;
                break;
            };
            let planned = step.as_move();
            if wanted(&planned) {
                report.count(planned.bytes, plan.settle(&step, Outcome::Moved));
            } else {
                plan.settle(&step, Outcome::Stayed);
                report.vetoed_count += 1;
            }
        }
        report.largest_free_bytes_after = plan.largest_free_bytes();
        Ok(report)
    }

    /// Begins a defragmentation whose moves the caller makes. It takes nothing until it is asked for a move.
    ///
    /// # Errors
    ///
    /// [`Error::Released`](crate::Error::Released) after [`close`](Self::close).
    pub fn begin_run(&self, bounds: &DefragmentOptions) -> Result<DefragmentRun> {
        let mut run = DefragmentRun {
            pool: self.clone(),
            pass: Pass::new(self),
            bounds: *bounds,
            began: Instant::now(),
            tried: false,
            offered: None,
            moving_bytes: 0,
            report: DefragmentReport::default(),
        };
        run.begin(bounds)?;
        Ok(run)
    }
}

impl DefragmentRun {
    fn begin(&mut self, bounds: &DefragmentOptions) -> Result<()> {
        self.cancel_move();
        let largest_free_bytes_before = self.pool.0.live()?.map.largest_free_bytes();
        self.report = DefragmentReport { largest_free_bytes_before, ..DefragmentReport::default() };
        (self.bounds, self.began, self.tried) = (*bounds, Instant::now(), false);
        Ok(())
    }

    /// Goes on within new bounds, with a new report, from where the last ones ended it; others may have done much meanwhile,
    /// so the map is copied once more before it is complete. With `ask_again`, the moves that were not made until now are
    /// found again; those that were made are not, so a run that ever goes on ends, too.
    ///
    /// # Errors
    ///
    /// As [`begin_run`](MemoryPool::begin_run).
    pub fn go_on(&mut self, bounds: &DefragmentOptions, ask_again: bool) -> Result<()> {
        self.begin(bounds)?;
        self.pass.resume(ask_again);
        Ok(())
    }

    /// The next move, which is to be [begun](Self::begin_move), or is cancelled; its buffer can be used until then. `None`
    /// once a bound is met or nothing is left to mend. It may take as long as copying the map does.
    ///
    /// # Errors
    ///
    /// As [`begin_run`](MemoryPool::begin_run).
    pub fn next_move(&mut self) -> Result<Option<Move>> {
        self.cancel_move();
        if !self.may_go_on() {
            return Ok(None);
        }
        let until = self.bounds.max_time.and_then(|most| self.began.checked_add(most));
        self.offered = self.pass.next_move(until)?;
        self.tried |= self.offered.is_some();
        self.report.complete = self.offered.is_none() && self.pass.is_complete();
        Ok(self.offered)
    }

    fn may_go_on(&self) -> bool {
        let Self { bounds, report, began, tried, .. } = self;
        bounds.allow(report, *began, *tried)
            && (bounds.enough_bytes.is_none()
                || !bounds.is_enough(self.pool.0.state().map.largest_free_bytes()))
    }

    /// The move is not wanted.
    pub fn veto_move(&mut self) {
        self.report.vetoed_count += u64::from(self.offered.is_some());
        self.cancel_move();
    }

    /// The move need not be made: its buffer was freed.
    pub fn cancel_move(&mut self) {
        if let Some(planned) = self.offered.take() {
            self.pool.cancel_move(&planned);
        }
    }

    /// Begins the move: whoever wants to use the buffer from now on waits for the end of it. `None` where it was freed,
    /// pinned, or moved by somebody else since.
    ///
    /// # Errors
    ///
    /// As [`begin_run`](MemoryPool::begin_run).
    pub fn begin_move(&mut self) -> Result<Option<MoveInProgress>> {
        let Some(planned) = self.offered.take() else { return Ok(None) };
        self.moving_bytes = planned.bytes;
        self.pool.begin_move(planned)
    }

    /// Counts a move that was made, which left a slab of so many bytes empty.
    pub fn count_move(&mut self, emptied_bytes: u64) {
        self.report.count(self.moving_bytes, emptied_bytes);
    }

    /// What has come of it until now.
    #[must_use]
    pub fn report(&self) -> DefragmentReport {
        let largest_free_bytes_after = self.pool.0.state().map.largest_free_bytes();
        DefragmentReport { largest_free_bytes_after, ..self.report }
    }
}

impl Drop for DefragmentRun {
    fn drop(&mut self) {
        self.cancel_move();
    }
}

impl DefragmentOptions {
    /// Whether moves, bytes and time are left.
    fn allow(&self, report: &DefragmentReport, began: Instant, tried: bool) -> bool {
        self.max_bytes.is_none_or(|most| report.moved_bytes < most)
            && self.max_moves.is_none_or(|most| report.moved_count < most)
            && self.max_time.is_none_or(|most| if tried { began.elapsed() < most } else { !most.is_zero() })
    }

    /// Whether the largest hole ends it.
    fn is_enough(&self, largest_free_bytes: u64) -> bool {
        self.enough_bytes.is_some_and(|enough| largest_free_bytes >= enough)
    }
}

impl DefragmentReport {
    fn count(&mut self, moved_bytes: u64, emptied_bytes: u64) {
        self.moved_count += 1;
        self.moved_bytes += moved_bytes;
        self.emptied_bytes += emptied_bytes;
    }
}
