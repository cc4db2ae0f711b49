//! What one writer left, from its start to its end.

use super::{
    block::MomentKind,
    happening::{Happening, HappeningKind},
    moment::{BlackBoxMoment, HolderMoment},
    verdict::Verdict,
};

/// What one process wrote into a black box, as far as it is still there.
#[derive(Debug, Clone, PartialEq)]
pub struct BlackBoxRun {
    /// Which start of the board it was, as `/proc/sys/kernel/random/boot_id` had it, without hyphens.
    pub boot: String,
    /// Whether the board has not been started again since.
    pub is_this_boot: bool,
    /// The process that wrote.
    pub pid: u32,
    /// What it called itself.
    pub name: String,
    /// When it began, in milliseconds since 1970 by the clock of its last block.
    pub began_ms: u64,
    /// When it wrote the last block, in milliseconds since 1970.
    pub ended_ms: u64,
    /// Whether it still writes.
    pub is_running: bool,
    /// Whether it was closed. One that neither was nor runs was killed, or the power went.
    pub ended_cleanly: bool,
    /// Kills by the OOM killer from its first block that is there to its last, where the kernel counts them.
    pub kill_count: Option<u64>,
    /// Kills since its last block, where the board has not been started again.
    pub later_kill_count: Option<u64>,
    /// The blocks, oldest first. There is at least one.
    pub moments: Vec<BlackBoxMoment>,
}

impl BlackBoxRun {
    /// The last block.
    #[must_use]
    pub fn last(&self) -> Option<&BlackBoxMoment> {
        self.moments.last()
    }

    /// Whether it ended without being closed.
    #[must_use]
    pub const fn was_cut(&self) -> bool {
        !self.is_running && !self.ended_cleanly
    }

    /// The last refusal, if there was one.
    #[must_use]
    pub fn last_refusal(&self) -> Option<&Happening> {
        self.happenings().filter(|each| each.kind == HappeningKind::Refusal).last()
    }

    /// Those who waited at the end.
    pub fn waiting(&self) -> impl Iterator<Item = &HolderMoment> {
        self.last().into_iter().flat_map(|last| &last.holders).filter(|holder| holder.waiting_bytes.is_some())
    }

    /// All that happened, oldest first.
    pub fn happenings(&self) -> impl Iterator<Item = &Happening> {
        self.moments.iter().flat_map(|moment| &moment.happenings)
    }

    /// Who held what at the end, and what was missing.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        Some(Verdict::of(self.last()?, self.last_refusal()))
    }

    pub(super) fn count_kills(&mut self, now: Option<u64>) {
        let counts = || self.moments.iter().filter_map(|moment| moment.machine.as_ref()?.oom_kill_count);
        let (first, last) = (counts().next(), counts().next_back());
        self.kill_count = first.zip(last).map(|(first, last)| last.saturating_sub(first));
        let later = now.zip(last).map(|(now, last)| now.saturating_sub(last));
        self.later_kill_count = later.filter(|_| self.is_this_boot);
        self.ended_cleanly = self.last().is_some_and(|last| last.kind == MomentKind::End);
    }
}
