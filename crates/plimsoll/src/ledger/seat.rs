//! The place of a process in the ledger: what it takes and gives back.

use crate::sorting::sort_by_key;
use std::{
    fmt,
    os::fd::{AsFd, BorrowedFd},
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering, fence},
    },
    thread,
    time::Duration,
};

use super::{
    file::Condition,
    fork::ForkMark,
    holder::LedgerHolder,
    identity::{Identity, nanoseconds, now_ns},
    listing::holders,
    notice::SlotNotice,
    options::LedgerOptions,
    place::ledger_error,
    points::{Point, reach},
    queues::{Offered, Queues},
    seated::{Seated, seated},
    share::{LedgerWaiting, SlotShare},
    slots::{SlotSums, Slots},
};
use crate::{
    budget::{Crowded, Sharers, Unsettled, Unshared},
    error::Result,
    sync::lock,
    units::format_bytes,
};

/// How often a process that is just asking is waited for, while it may get what it asks for or give it up.
const MOST_TURNS: u32 = 64;

/// Tells what the machine can give, in bytes, whatever anybody was granted; none where it cannot be read.
pub type Measure = Box<dyn Fn() -> Option<u64> + Send + Sync>;

/// The place of this process in a ledger, until it is dropped or the process ends.
///
/// What it holds counts for all who share the ledger. It is the [`Sharers`] of budgets. A process may have several, each by
/// an open file of its own.
pub struct Seat {
    path: PathBuf,
    pub(super) options: LedgerOptions,
    pub(super) measure: Measure,
    fork: ForkMark,
    is_abandoned: AtomicBool,
    pub(super) queues: Mutex<Queues>,
    state: Mutex<Seated>,
}

/// What came of asking.
enum TakeAnswer {
    Granted,
    /// Others were asking at the same time: it may be granted the next time.
    Again,
    Refused(SlotSums),
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seat").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Seat {
    /// Takes a place in the ledger, which is made where it is missing. `name` is what others see of this process, of which
    /// 64 bytes are kept. `measure` says what the machine can give: the bytes of a process that died count until that has
    /// risen by them.
    ///
    /// # Errors
    ///
    /// [`Error::Ledger`](crate::Error::Ledger) where the ledger lies where it must not, is another's, damaged or of another version while others
    /// have a share in it, or full; [`Error::InvalidArgument`](crate::Error::InvalidArgument) for a name that is none.
    pub fn take_in(options: &LedgerOptions, name: &str, measure: Measure) -> Result<Self> {
        let identity = Identity::own();
        let notice = SlotNotice {
            pid: identity.pid,
            uid: identity.uid,
            started_ticks: identity.started_ticks,
            pid_namespace: identity.pid_namespace,
            since_ns: now_ns(),
            name: name.to_owned(),
            waiting_label: String::new(),
        };
        let state = seated(options, SlotShare::default(), notice, &*measure)?;
        Ok(Self {
            path: state.file.place.path.clone(),
            options: options.clone(),
            measure,
            fork: ForkMark::new(),
            is_abandoned: AtomicBool::new(false),
            queues: Mutex::default(),
            state: Mutex::new(state),
        })
    }

    /// Whether this process was forked from the one that took it, whose it still is.
    pub(super) fn is_in_child(&self) -> bool {
        self.fork.is_in_child()
    }

    /// Where the ledger is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Who holds, waits and drains, in the order of their slots. The dead are found first.
    ///
    /// # Errors
    ///
    /// [`Error::Ledger`](crate::Error::Ledger) where the ledger was removed or cut short and cannot be made again.
    pub fn holders(&self) -> Result<Vec<LedgerHolder>> {
        let mut state = self.state()?;
        self.mend(&mut state)?;
        let slots = self.slots(&state);
        slots.reap(&*self.measure);
        Ok(holders(&slots))
    }

    /// The descriptor that keeps the slot. A process that inherits it holds the slot as long as it lives, whatever becomes
    /// of this one.
    #[must_use]
    pub fn with_descriptor<T>(&self, act: impl FnOnce(BorrowedFd<'_>) -> T) -> T {
        act(lock(&self.state).file.file.as_fd())
    }

    /// Who holds it: another process that inherited the [descriptor](Self::with_descriptor), by its number here.
    ///
    /// # Errors
    ///
    /// As [`holders`](Self::holders).
    pub fn set_process(&self, pid: u32) -> Result<()> {
        let mut state = self.state()?;
        let identity = Identity::of(pid);
        state.notice.pid = identity.pid;
        state.notice.started_ticks = identity.started_ticks;
        // All that it has resident is of what it was granted.
        state.share.unsettled.base_bytes = Some(0);
        self.mend(&mut state)?;
        self.slots(&state).write_notice(state.slot, &state.notice);
        Ok(())
    }

    /// Leaves the slot to whoever else has its [descriptor](Self::with_descriptor) open: what is held stays held, and from now
    /// on nothing that this process does changes it. Of a process that has ended nothing is taken any longer, so that it is
    /// all given back at once with the last of those descriptors.
    pub fn abandon(&self) {
        self.change(|share| {
            share.unsettled = Unsettled { reported_bytes: share.held_bytes, ..Unsettled::default() };
        });
        self.is_abandoned.store(true, Ordering::Release);
    }

    /// Says how important it is, how much of what it holds could go, and when it was last used, for those who need room.
    pub(super) fn describe(&self, offer: Offered) {
        self.change(|share| {
            share.priority = offer.priority;
            share.revocable_bytes = offer.revocable_bytes;
            share.used_at_ns = offer.used_at_ns;
        });
    }

    /// Says which request of this process is next, and its label; `None` where none waits any longer.
    pub(super) fn wait_with(&self, waiting: Option<LedgerWaiting>, label: &str) -> Result<()> {
        let mut state = self.state()?;
        self.mend(&mut state)?;
        state.share.waiting = waiting;
        label.clone_into(&mut state.notice.waiting_label);
        self.write(&state);
        reach(Point::Queued);
        let slots = self.slots(&state);
        slots.write_notice(state.slot, &state.notice);
        Ok(())
    }

    /// Says that this process loads that, unless another does, or it has as many loads under way as it may.
    pub(super) fn try_load(&self, load: u64) -> Result<bool> {
        let mut state = self.state()?;
        if state.share.loads.has(load) || !state.share.loads.insert(load) {
            return Ok(false);
        }
        self.mend(&mut state)?;
        // As with bytes: of two who do that at once at least one sees the other.
        fence(Ordering::SeqCst);
        if self.slots(&state).loads_elsewhere(load) {
            state.share.loads.remove(load);
            self.write(&state);
            return Ok(false);
        }
        Ok(true)
    }

    pub(super) fn end_of_load(&self, load: u64) {
        self.change(|share| share.loads.remove(load));
    }

    /// The state, in the process that took the seat.
    pub(super) fn state(&self) -> Result<MutexGuard<'_, Seated>> {
        if self.fork.is_in_child() {
            return Err(ledger_error(
                &self.path,
                "this process was forked from the one that has the share: make a manager of its own here",
            ));
        }
        if self.is_abandoned.load(Ordering::Acquire) {
            return Err(ledger_error(&self.path, "this process has left its share to another"));
        }
        Ok(lock(&self.state))
    }

    pub(super) fn slots<'a>(&self, state: &'a Seated) -> Slots<'a> {
        Slots { file: &state.file, own: Some(state.slot), drain_ns: nanoseconds(self.options.drain) }
    }

    /// Where the file was spoilt, makes it whole with what stands here; where it was removed, takes a place in the one that is
    /// there now, with all that is held.
    fn mend(&self, state: &mut Seated) -> Result<()> {
        match state.file.condition() {
            Condition::Good => {}
            Condition::Spoilt => state.file.repair()?,
            Condition::Gone => {
                let here = seated(&self.options, state.share, state.notice.clone(), &*self.measure)?;
                let left = std::mem::replace(state, here);
                if left.file.is_removed() {
                    self.slots(&left).leave(left.slot, left.claim);
                }
            }
        }
        self.write(state);
        Ok(())
    }

    /// Writes what the process holds into its slot, with the state of it where something else was written there.
    fn write(&self, state: &Seated) {
        let slots = self.slots(state);
        slots.write(state.slot, &state.share);
        let own = state.claim.waiting(state.share.waiting.is_some());
        if slots.state(state.slot) != Some(own) {
            slots.write_notice(state.slot, &state.notice);
            slots.write_state(state.slot, own);
        }
        if let Some(granted) = state.file.words.granted().get(state.slot) {
            granted.store(state.granted_bytes, Ordering::SeqCst);
        }
    }

    /// Changes what stands in the slot. Where the file is gone, it is told at the next call that can say so.
    fn change(&self, change: impl FnOnce(&mut SlotShare)) {
        let Ok(mut state) = self.state() else { return };
        change(&mut state.share);
        // It writes what has changed.
        let _ = self.mend(&mut state);
    }

    /// Writes what is asked for, and then counts: of two who do that at once at least one sees the other.
    fn try_take(&self, state: &mut Seated, bytes: u64, line_bytes: u64, turn: u32) -> TakeAnswer {
        let held_bytes = state.share.held_bytes.checked_add(bytes).filter(|bytes| *bytes <= line_bytes);
        // Whatever the others hold, and without a word to them.
        let Some(held_bytes) = held_bytes else {
            return TakeAnswer::Refused(self.slots(state).sums());
        };
        state.share.held_bytes = held_bytes;
        state.share.asked_bytes = state.share.asked_bytes.saturating_add(bytes);
        state.granted_bytes = state.granted_bytes.wrapping_add(bytes);
        self.write(state);
        reach(Point::Asked);
        fence(Ordering::SeqCst);
        let slots = self.slots(state);
        let mut sums = slots.sums();
        if sums.held_bytes <= line_bytes && sums.damaged.is_none() {
            return granted(state, bytes);
        }
        // Those who ask at the same time give way to the first of them.
        let is_first = sums.first_asking.is_none_or(|other| state.slot < other);
        let fits_without = |sums: &SlotSums| sums.held_bytes.saturating_sub(sums.asked_bytes) <= line_bytes;
        let mut left = MOST_TURNS;
        while is_first && sums.asked_bytes > 0 && fits_without(&sums) && left > 0 {
            pause(MOST_TURNS - left);
            left -= 1;
            sums = slots.sums();
            if sums.held_bytes <= line_bytes && sums.damaged.is_none() {
                return granted(state, bytes);
            }
        }
        reach(Point::Crowded);
        let is_contended = sums.asked_bytes > 0 && fits_without(&sums);
        state.share.held_bytes = state.share.held_bytes.saturating_sub(bytes);
        state.share.asked_bytes = state.share.asked_bytes.saturating_sub(bytes);
        self.write(state);
        sums.held_bytes = sums.held_bytes.saturating_sub(bytes);
        if is_contended && !is_first && turn < MOST_TURNS {
            pause(turn);
            return TakeAnswer::Again;
        }
        if self.slots(state).reap(&*self.measure) && turn < 2 * MOST_TURNS {
            TakeAnswer::Again
        } else {
            TakeAnswer::Refused(sums)
        }
    }

    fn refusal(&self, state: &Seated, bytes: u64, line_bytes: u64, sums: &SlotSums) -> Unshared {
        let slots = self.slots(state);
        if let Some(slot) = sums.damaged {
            let process =
                slots.notice(slot).map_or("a process".to_owned(), |notice| format!("process {}", notice.pid));
            return Unshared::Broken(ledger_error(
                &self.path,
                format!(
                    "nobody knows what {process} holds, its slot {slot} is damaged: let that process grant or release \
                     something, which writes it anew, or end it"
                ),
            ));
        }
        let others = sums.held_bytes.saturating_sub(state.share.held_bytes);
        let list = holders(&slots);
        let mut largest: Vec<_> = list.iter().filter(|holder| holder.slot != state.slot).collect();
        sort_by_key(&mut largest, |holder| std::cmp::Reverse(holder.held_bytes));
        let named: Vec<String> = largest.iter().take(3).map(ToString::to_string).collect();
        let available_bytes = line_bytes.saturating_sub(sums.held_bytes);
        // What another asked for meanwhile may be refused yet.
        let available_bytes = available_bytes.min(bytes.saturating_sub(1));
        Unshared::Crowded(Crowded {
            available_bytes,
            constraint: format!(
                "all who share the ledger {} may hold {}, and others hold {} of it: {}",
                self.path.display(),
                format_bytes(line_bytes),
                format_bytes(others),
                if named.is_empty() { "nobody".to_owned() } else { named.join("; ") }
            ),
            suggestion: "Ask for less, wait for your turn (acquire), or end one of them".to_owned(),
        })
    }
}

impl Sharers for Seat {
    fn take(&self, bytes: u64, line_bytes: u64) -> std::result::Result<(), Unshared> {
        let mut state = self.state().map_err(Unshared::Broken)?;
        let mut turn = 0;
        loop {
            self.mend(&mut state).map_err(Unshared::Broken)?;
            match self.try_take(&mut state, bytes, line_bytes, turn) {
                TakeAnswer::Granted => return Ok(()),
                TakeAnswer::Again => turn += 1,
                TakeAnswer::Refused(sums) => return Err(self.refusal(&state, bytes, line_bytes, &sums)),
            }
        }
    }

    fn settle(&self, bytes: u64, unsettled: Unsettled) {
        self.change(|share| {
            share.asked_bytes = share.asked_bytes.saturating_sub(bytes);
            share.unsettled = unsettled;
        });
    }

    fn cancel(&self, bytes: u64) {
        self.change(|share| {
            share.asked_bytes = share.asked_bytes.saturating_sub(bytes);
            share.held_bytes = share.held_bytes.saturating_sub(bytes);
        });
    }

    fn release(&self, bytes: u64, unsettled: Unsettled) {
        reach(Point::Released);
        self.change(|share| {
            share.held_bytes = share.held_bytes.saturating_sub(bytes);
            share.unsettled = unsettled;
        });
    }

    fn update(&self, unsettled: Unsettled) {
        self.change(|share| share.unsettled = unsettled);
    }

    fn available_bytes(&self, line_bytes: u64) -> u64 {
        let Ok(mut state) = self.state() else { return 0 };
        if self.mend(&mut state).is_err() {
            return 0;
        }
        let slots = self.slots(&state);
        slots.reap(&*self.measure);
        let sums = slots.sums();
        if sums.damaged.is_some() { 0 } else { line_bytes.saturating_sub(sums.held_bytes) }
    }

    fn granted_bytes(&self) -> u64 {
        let Ok(state) = self.state() else { return 0 };
        if state.file.condition() == Condition::Good { self.slots(&state).granted_to_others() } else { 0 }
    }

    fn pending_bytes(&self) -> u64 {
        let Ok(state) = self.state() else { return 0 };
        if state.file.condition() == Condition::Good { self.slots(&state).pending_of_others() } else { 0 }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        // A forked child must not give away what its parent holds.
        let Ok(state) = self.state() else { return };
        if state.file.condition() == Condition::Good || state.file.is_removed() {
            self.slots(&state).leave(state.slot, state.claim);
        }
    }
}

/// Grants what was written and counted, if that was in the file that others open: who makes another one later has seen it.
fn granted(state: &mut Seated, bytes: u64) -> TakeAnswer {
    reach(Point::Counted);
    if state.file.condition() == Condition::Good {
        return TakeAnswer::Granted;
    }
    state.share.held_bytes = state.share.held_bytes.saturating_sub(bytes);
    state.share.asked_bytes = state.share.asked_bytes.saturating_sub(bytes);
    TakeAnswer::Again
}

/// Gives another process time: first a moment, then a turn of the processor, then longer.
fn pause(turn: u32) {
    match turn {
        0..8 => (0..1 << turn).for_each(|_| std::hint::spin_loop()),
        8..24 => thread::yield_now(),
        _ => thread::sleep(Duration::from_micros(50)),
    }
}
