//! Makes the next moment out of what is there: the machine, the holders, and a recording of the budget.

use crate::sorting::sort_by_key;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use super::{
    block::MomentKind,
    happening::{Happening, HappeningKind},
    moment::{BlackBoxMoment, HolderMoment, LabelMoment, MachineMoment},
    options::HolderSource,
};
use crate::{
    budget::{Event, EventKind, HeadroomOptions, LabelTotals, MemoryBudget, Recording},
    device::unseen_bytes,
    ledger::{LedgerHolder, now_ns},
    monitor::{Level, LevelLimits, Sample},
    sync::lock,
    system::Sampler,
};

/// What happened outside of the budget and has to be told; newer ones take the place of older ones.
#[derive(Debug, Default)]
pub(super) struct Notes(Mutex<VecDeque<(Instant, HappeningKind, String, u64)>>);

/// Events and notes kept between two blocks. A block has no room for more.
pub(super) const MOST_EVENTS: usize = 512;

impl Notes {
    pub(super) fn push(&self, kind: HappeningKind, label: &str, bytes: u64) {
        let mut notes = lock(&self.0);
        if notes.len() >= MOST_EVENTS {
            notes.pop_front();
        }
        notes.push_back((Instant::now(), kind, label.to_owned(), bytes));
    }

    fn take(&self) -> VecDeque<(Instant, HappeningKind, String, u64)> {
        std::mem::take(&mut *lock(&self.0))
    }
}

/// What a block says of the writer.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    pub(super) pid: u32,
    pub(super) name: String,
}

pub(super) struct Composer {
    pub(super) budget: MemoryBudget,
    pub(super) writer: Writer,
    pub(super) holders: Option<HolderSource>,
    recording: Recording,
    notes: Arc<Notes>,
    headroom: HeadroomOptions,
    sampler: Sampler,
    /// When the recording began.
    began: Instant,
    seen: u64,
    level: Level,
    oom_kill_count: Option<u64>,
    known: BTreeMap<(u32, String), Known>,
}

/// What was known of a holder.
#[derive(Debug, Clone, Default)]
struct Known {
    waiting: Option<(u64, String)>,
    is_draining: bool,
}

/// Labels that a block may have room for.
const MOST_LABELS: usize = 64;

impl Composer {
    pub(super) fn new(
        budget: MemoryBudget,
        writer: Writer,
        holders: Option<HolderSource>,
        recording: Recording,
        notes: Arc<Notes>,
        headroom: HeadroomOptions,
    ) -> Self {
        Self {
            budget,
            writer,
            holders,
            recording,
            notes,
            headroom,
            sampler: Sampler::default(),
            began: Instant::now(),
            seen: 0,
            level: Level::Normal,
            oom_kill_count: None,
            known: BTreeMap::new(),
        }
    }

    /// Looks at the machine.
    pub(super) fn sample(&mut self) -> Option<Sample> {
        let is_calm = self.level == Level::Normal;
        let signals = Arc::new(if is_calm { self.sampler.read_often() } else { self.sampler.read() });
        let limits = LevelLimits::default();
        Sample::judge(signals, &self.budget, &self.headroom, &limits, self.level, unseen_bytes()).ok()
    }

    /// Whether the machine has to be looked at more often than blocks are written.
    pub(super) fn is_tense(&self) -> bool {
        self.level != Level::Normal
    }

    /// Whether what a sample says cannot wait: the level has become critical, or the OOM killer has killed.
    pub(super) fn is_urgent(&mut self, sample: Option<&Sample>) -> bool {
        let Some(sample) = sample else { return false };
        let is_new = sample.level == Level::Critical && self.level != Level::Critical;
        self.level = sample.level;
        let kills = sample.signals.oom_kill_count.as_ref().ok().copied();
        let has_killed = self.oom_kill_count.zip(kills).is_some_and(|(before, now)| now > before);
        self.oom_kill_count = kills.or(self.oom_kill_count);
        is_new || has_killed
    }

    /// All there is to say now, with what happened since the moment before.
    pub(super) fn moment(&mut self, kind: MomentKind, sample: Option<&Sample>) -> BlackBoxMoment {
        let (time_ms, since_boot_ms) = (since_1970_ms(), now_ns() / 1_000_000);
        let shared: Vec<LedgerHolder> = self.holders.as_ref().map(|look| look()).unwrap_or_default();
        let latest = self.recording.latest(self.seen, MOST_LABELS);
        let missed = latest.event_count.saturating_sub(self.seen).saturating_sub(latest.events.len() as u64);
        self.seen = latest.event_count;
        let mut happenings: Vec<Happening> =
            latest.events.into_iter().filter_map(|event| self.happening(event, time_ms)).collect();
        happenings.extend(
            self.notes
                .take()
                .into_iter()
                .map(|(at, kind, label, bytes)| self.own(kind, label, bytes, before(time_ms, at))),
        );
        happenings.extend(self.changes(&shared, time_ms));
        sort_by_key(&mut happenings, |each| each.time_ms);
        BlackBoxMoment {
            kind,
            sequence: 0,
            time_ms,
            since_boot_ms,
            machine: sample.map(machine_moment),
            line_bytes: self.budget.usable_bytes(),
            allocated_bytes: self.budget.allocated_bytes(),
            holders: self.holder_moments(&shared),
            other_holder_count: 0,
            labels: latest.labels.iter().map(label_moment).collect(),
            other_label_count: latest.other_label_count as u64,
            happenings,
            other_happening_count: missed,
        }
    }

    fn own(&self, kind: HappeningKind, label: String, bytes: u64, time_ms: u64) -> Happening {
        let (name, pid) = (String::new(), self.writer.pid);
        Happening { time_ms, kind, name, pid, label, bytes, available_bytes: None, constraint: None }
    }

    fn happening(&self, event: Event, time_ms: u64) -> Option<Happening> {
        let kind = match event.kind {
            EventKind::Grant => HappeningKind::Grant,
            EventKind::Release => HappeningKind::Release,
            EventKind::Refusal => HappeningKind::Refusal,
            EventKind::LoadStart => HappeningKind::LoadStart,
            EventKind::LoadEnd => HappeningKind::LoadEnd,
            EventKind::LoadFailed => HappeningKind::LoadFailed,
            EventKind::LoadCancelled => HappeningKind::LoadCancelled,
            // What is taken of a grant stands with its holder; the others grant nothing.
            EventKind::Held | EventKind::Commit | EventKind::Reuse | EventKind::Return => return None,
        };
        let at = before(time_ms, self.began + event.at);
        let mut happening = self.own(kind, event.label.to_string(), event.bytes, at);
        if let Some(refused) = event.refused {
            happening.available_bytes = Some(refused.available_bytes);
            happening.constraint = Some(refused.constraint.clone());
        }
        Some(happening)
    }

    /// Waits of holders that began and ended since the moment before, and holders that died.
    fn changes(&mut self, holders: &[LedgerHolder], time_ms: u64) -> Vec<Happening> {
        let mut found = Vec::new();
        let mut known = BTreeMap::new();
        for holder in holders {
            let key = (holder.pid, holder.name.clone());
            let old = self.known.remove(&key).unwrap_or_default();
            let waiting =
                holder.waiting.as_ref().map(|waiting| (waiting.bytes, holder.waiting_label.clone()));
            let mut tell = |kind, (bytes, label): (u64, String), time_ms| {
                let (pid, name) = key.clone();
                found.push(Happening {
                    time_ms,
                    kind,
                    name,
                    pid,
                    label,
                    bytes,
                    available_bytes: None,
                    constraint: None,
                });
            };
            if old.waiting != waiting {
                if let Some(ended) = old.waiting {
                    tell(HappeningKind::WaitEnd, ended, time_ms);
                }
                if let Some(begun) = waiting.clone() {
                    tell(HappeningKind::WaitBegin, begun, time_ms.saturating_sub(holder.waiting_ms));
                }
            }
            if holder.is_draining && !old.is_draining {
                tell(HappeningKind::Death, (holder.held_bytes, String::new()), time_ms);
            }
            known.insert(key, Known { waiting, is_draining: holder.is_draining });
        }
        self.known = known;
        found
    }

    fn holder_moments(&self, shared: &[LedgerHolder]) -> Vec<HolderMoment> {
        let own = |holder: &LedgerHolder| holder.is_seen && holder.pid == self.writer.pid;
        let mut list: Vec<HolderMoment> =
            shared.iter().map(|holder| holder_moment(holder, own(holder))).collect();
        // Who shares a ledger stands in it, by the number of a command where that holds the share: not twice.
        if shared.is_empty() {
            list.push(HolderMoment {
                name: self.writer.name.clone(),
                pid: self.writer.pid,
                is_writer: true,
                held_bytes: self.budget.allocated_bytes(),
                pending_bytes: self.budget.pending_bytes(),
                ..HolderMoment::default()
            });
        }
        sort_by_key(&mut list, |holder| {
            std::cmp::Reverse(holder.held_bytes.max(holder.waiting_bytes.unwrap_or(0)))
        });
        list
    }
}

fn holder_moment(holder: &LedgerHolder, is_writer: bool) -> HolderMoment {
    HolderMoment {
        name: holder.name.clone(),
        pid: holder.pid,
        is_writer,
        held_bytes: holder.held_bytes,
        pending_bytes: holder.pending_bytes,
        revocable_bytes: holder.revocable_bytes,
        is_draining: holder.is_draining,
        waiting_bytes: holder.waiting.as_ref().map(|waiting| waiting.bytes),
        waiting_label: holder.waiting_label.clone(),
        waiting_ms: holder.waiting_ms,
        waiting_count: holder.waiting.as_ref().map_or(0, |waiting| waiting.count.into()),
    }
}

fn label_moment(totals: &LabelTotals) -> LabelMoment {
    LabelMoment { label: totals.label.to_string(), bytes: totals.live_bytes, count: totals.live_count }
}

fn machine_moment(sample: &Sample) -> MachineMoment {
    let memory = sample.signals.memory.as_ref().ok();
    let pressure = sample.signals.pressure.as_ref().ok();
    MachineMoment {
        total_bytes: memory.map_or(0, |memory| memory.total_bytes),
        available_bytes: memory.map_or(0, |memory| memory.available_bytes),
        room_bytes: sample.headroom.binding.room_bytes,
        headroom_bytes: sample.headroom.bytes,
        constraint: sample.headroom.binding.description.clone(),
        used_percent: sample.used_percent,
        level: sample.level,
        stalled_percent: pressure.map(|pressure| pressure.some.avg10_percent),
        fully_stalled_percent: pressure.map(|pressure| pressure.full.avg10_percent),
        oom_kill_count: sample.signals.oom_kill_count.as_ref().ok().copied(),
    }
}

/// A moment by the clock whose time is `time_ms` now.
fn before(time_ms: u64, at: Instant) -> u64 {
    time_ms.saturating_sub(u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX))
}

/// Milliseconds since 1970.
fn since_1970_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
