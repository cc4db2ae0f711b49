//! What a block says.

use super::{block::MomentKind, happening::Happening};
use crate::monitor::Level;

/// The machine, who held what of it, and what happened since the moment before. Sizes are bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct BlackBoxMoment {
    /// Why it was written.
    pub kind: MomentKind,
    /// Its number.
    pub sequence: u64,
    /// When, in milliseconds since 1970. A board without a clock starts anywhere.
    pub time_ms: u64,
    /// When, in milliseconds since the board started.
    pub since_boot_ms: u64,
    /// The machine's memory; none where it could not be read.
    pub machine: Option<MachineMoment>,
    /// The line of the writer's budget.
    pub line_bytes: u64,
    /// Granted under it.
    pub allocated_bytes: u64,
    /// Who held what, those with the most first; the writer alone where it shares no ledger.
    pub holders: Vec<HolderMoment>,
    /// Holders that had no room.
    pub other_holder_count: u64,
    /// What the writer held by label, the most first.
    pub labels: Vec<LabelMoment>,
    /// Labels that had no room.
    pub other_label_count: u64,
    /// What happened since the moment before, oldest first.
    pub happenings: Vec<Happening>,
    /// Happenings that had no room; of those the largest, refusals and waits are kept.
    pub other_happening_count: u64,
}

/// The machine's memory at one moment. Sizes are bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct MachineMoment {
    /// What the kernel has.
    pub total_bytes: u64,
    /// What it calls available.
    pub available_bytes: u64,
    /// What it could give: the least room under any bound, whatever was promised.
    pub room_bytes: u64,
    /// The same, less what was promised and not taken.
    pub headroom_bytes: u64,
    /// The bound that left no more, in words. 240 bytes of it are kept.
    pub constraint: String,
    /// Use in percent of what could be used at most.
    pub used_percent: f64,
    /// The level of that.
    pub level: Level,
    /// Share of the last 10 seconds in which some task stood still for want of memory, where the kernel tells.
    pub stalled_percent: Option<f64>,
    /// The same of all tasks at once.
    pub fully_stalled_percent: Option<f64>,
    /// Kills by the OOM killer since the board started, where the kernel counts them.
    pub oom_kill_count: Option<u64>,
}

/// A holder at one moment. Sizes are bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HolderMoment {
    /// What it calls itself.
    pub name: String,
    /// The process, by its number in its own PID namespace.
    pub pid: u32,
    /// Whether it is the writer.
    pub is_writer: bool,
    /// Granted to it.
    pub held_bytes: u64,
    /// Of that, what it had not taken.
    pub pending_bytes: u64,
    /// Of that, what it could be asked to give back.
    pub revocable_bytes: u64,
    /// Whether it had died, and its memory was not back yet.
    pub is_draining: bool,
    /// What its next request waited for, if one did.
    pub waiting_bytes: Option<u64>,
    /// The label of that.
    pub waiting_label: String,
    /// How long it had waited, in milliseconds.
    pub waiting_ms: u64,
    /// How many of its requests waited.
    pub waiting_count: u64,
}

impl HolderMoment {
    /// What it had taken, in bytes.
    #[must_use]
    pub const fn taken_bytes(&self) -> u64 {
        self.held_bytes.saturating_sub(self.pending_bytes)
    }
}

/// What was held under a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelMoment {
    /// The label, of which the first 96 bytes are kept.
    pub label: String,
    /// Bytes held.
    pub bytes: u64,
    /// Allocations.
    pub count: u64,
}
