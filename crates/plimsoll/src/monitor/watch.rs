//! What the thread knows of one monitor: what it judges by, its level, its history, and whom it notifies.

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{
    level::{Level, LevelLimits},
    sample::Sample,
};
use crate::{
    budget::{ClosedGate, HeadroomOptions, MemoryBudget},
    device::unseen_bytes,
    sync::lock,
    system::{Signals, SystemRoot, Unavailable},
};

/// How a monitor judges and what it does.
#[derive(Debug, Clone)]
pub struct MonitorOptions {
    /// Where the signals are read, and whose they are: this machine and this process by default.
    pub root: SystemRoot,
    /// Where the levels begin.
    pub limits: LevelLimits,
    /// How headroom is worked out.
    pub headroom: HeadroomOptions,
    /// Whether the budget refuses new grants while the level is critical. It does by default.
    pub refuse_at_critical: bool,
    /// The time between two samples; by default as long as the memory can be left alone, 50 ms to a second.
    pub interval: Option<Duration>,
    /// How many samples are kept; 600 by default. The oldest goes first.
    pub history_count: usize,
}

impl Default for MonitorOptions {
    fn default() -> Self {
        Self {
            root: SystemRoot::default(),
            limits: LevelLimits::default(),
            headroom: HeadroomOptions::default(),
            refuse_at_critical: true,
            interval: None,
            history_count: 600,
        }
    }
}

/// What a monitor tells.
#[derive(Debug, Clone)]
pub enum Notice {
    /// A sample was taken.
    Sample {
        /// The sample, with the level it led to.
        sample: Arc<Sample>,
        /// The level before it.
        previous: Level,
        /// Whether the kernel's own trigger for stalls, and not the interval, called for it.
        stalled: bool,
        /// Kills by the OOM killer since the sample before it.
        kill_count: u64,
    },
    /// The machine's memory or a limit over the process cannot be read; the level is critical until it can, and the
    /// monitor goes on trying. Told once for each reason.
    Unavailable(Unavailable),
}

/// Whom a monitor tells. It is called on the monitor's thread and must not wait.
pub(super) type Observer = Box<dyn Fn(Notice) + Send + Sync>;

pub(super) struct Watch {
    budget: MemoryBudget,
    options: MonitorOptions,
    observer: Observer,
    closed: AtomicBool,
    state: Mutex<WatchState>,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("options", &self.options)
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct WatchState {
    level: Level,
    /// Limits set since the start.
    limits: Option<LevelLimits>,
    latest: Option<Arc<Sample>>,
    history: VecDeque<Arc<Sample>>,
    oom_kill_count: Option<u64>,
    /// Held while the level is critical.
    closed_gate: Option<ClosedGate>,
    /// The reason last notified of.
    unavailable: Option<Unavailable>,
}

impl Watch {
    pub(super) fn new(budget: MemoryBudget, options: MonitorOptions, observer: Observer) -> Self {
        Self { budget, options, observer, closed: AtomicBool::new(false), state: Mutex::default() }
    }

    pub(super) fn level(&self) -> Level {
        self.state().level
    }

    pub(super) fn latest(&self) -> Option<Arc<Sample>> {
        self.state().latest.clone()
    }

    pub(super) fn history(&self) -> Vec<Arc<Sample>> {
        self.state().history.iter().cloned().collect()
    }

    pub(super) fn set_limits(&self, limits: LevelLimits) {
        self.state().limits = Some(limits);
    }

    /// Whether it is this call that closes it.
    pub(super) fn close(&self) -> bool {
        let closes = !self.closed.swap(true, Ordering::AcqRel);
        if closes {
            self.state().closed_gate = None;
        }
        closes
    }

    fn state(&self) -> MutexGuard<'_, WatchState> {
        lock(&self.state)
    }

    pub(super) fn root(&self) -> &SystemRoot {
        &self.options.root
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Whether every figure has to be fresh: at the start, and where the next level is not far.
    pub(super) fn is_close(&self) -> bool {
        /// So far below a level nothing that is a second old can hide that it is reached.
        const FAR_PERCENT: f64 = 20.0;
        let state = self.state();
        let warn_percent = state.limits.unwrap_or(self.options.limits).warn_percent;
        state.latest.as_ref().is_none_or(|sample| sample.used_percent > warn_percent - FAR_PERCENT)
    }

    /// Judges signals, notifies its owner, and says when the next are wanted.
    pub(super) fn judge(&self, signals: &Arc<Signals>, stalled: bool) -> Duration {
        let mut state = self.state();
        let limits = state.limits.unwrap_or(self.options.limits);
        let previous = state.level;
        // What this process has taken is no matter of another's, nor of a copy's.
        let unseen_bytes = if *self.root() == SystemRoot::default() { unseen_bytes() } else { 0 };
        let judged = Sample::judge(
            Arc::clone(signals),
            &self.budget,
            &self.options.headroom,
            &limits,
            previous,
            unseen_bytes,
        );
        match judged {
            Ok(sample) => {
                let sample = Arc::new(sample);
                let kill_count = state.insert(&sample, self.options.history_count);
                state.closed_gate = self.gate_for(&sample);
                drop(state);
                let next = self.options.interval.unwrap_or_else(|| sample.next_in());
                self.notify(Notice::Sample { sample, previous, stalled, kill_count });
                next
            }
            Err(unavailable) => {
                let is_update = state.unavailable.as_ref() != Some(&unavailable);
                // Nobody can tell that it is not critical.
                (state.level, state.latest) = (Level::Critical, None);
                state.closed_gate =
                    self.closed_gate(|| format!("how full memory is cannot be told: {unavailable}"));
                state.unavailable = Some(unavailable.clone());
                drop(state);
                if is_update {
                    self.notify(Notice::Unavailable(unavailable));
                }
                Duration::from_millis(250)
            }
        }
    }

    /// What a critical sample holds the budget by. Asked under the lock of the state: a monitor that is closed
    /// meanwhile must leave nothing shut.
    fn gate_for(&self, sample: &Sample) -> Option<ClosedGate> {
        let (percent, constraint) = (sample.used_percent, &sample.constraint);
        let why = || format!("memory is at level critical, {percent:.1} % in use ({constraint})");
        (sample.level == Level::Critical).then(|| self.closed_gate(why)).flatten()
    }

    fn closed_gate(&self, why: impl FnOnce() -> String) -> Option<ClosedGate> {
        let refuses = self.options.refuse_at_critical && !self.is_closed();
        refuses.then(|| self.budget.close_gate(why()))
    }

    fn notify(&self, notice: Notice) {
        if !self.is_closed() {
            (self.observer)(notice);
        }
    }
}

impl WatchState {
    /// Keeps a sample, and says how many were killed since the one before it.
    fn insert(&mut self, sample: &Arc<Sample>, history_count: usize) -> u64 {
        self.level = sample.level;
        self.latest = Some(Arc::clone(sample));
        self.unavailable = None;
        while self.history.len() >= history_count.max(1) {
            self.history.pop_front();
        }
        if history_count > 0 {
            self.history.push_back(Arc::clone(sample));
        }
        let now = sample.signals.oom_kill_count.as_ref().ok().copied();
        // A counter that runs backwards counts nothing.
        let killed = now.zip(self.oom_kill_count).map_or(0, |(now, before)| now.saturating_sub(before));
        self.oom_kill_count = now.or(self.oom_kill_count);
        killed
    }
}
