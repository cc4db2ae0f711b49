//! The thread that writes a black box.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::SyncSender,
    },
    thread,
    time::{Duration, Instant},
};

use super::{
    block::{BLOCK_BYTES, BlockStamp, MomentKind},
    composer::Composer,
    moment_codec::payload_of,
    options::TroubleObserver,
    ring::Ring,
};
use crate::{
    error::Result,
    ledger::{boot_id, now_ns},
    sync::lock,
};

/// The shortest time between two blocks: four a second.
pub(super) const LEAST_INTERVAL: Duration = Duration::from_millis(250);

/// What the handle and the thread of a black box share.
#[derive(Debug, Default)]
pub(super) struct Progress {
    pub(super) is_closed: AtomicBool,
    pub(super) block_count: AtomicU64,
    pub(super) failed_count: AtomicU64,
    /// Why the last block could not be written; none once one could again.
    pub(super) trouble: Mutex<Option<String>>,
}

pub(super) struct Task {
    pub(super) path: PathBuf,
    pub(super) ring: Ring,
    pub(super) composer: Composer,
    pub(super) interval: Duration,
    pub(super) on_trouble: Option<TroubleObserver>,
    pub(super) progress: Arc<Progress>,
    pub(super) boot: [u64; 2],
    pub(super) began_ns: u64,
}

impl Task {
    pub(super) fn new(
        path: PathBuf,
        ring: Ring,
        composer: Composer,
        interval: Duration,
        on_trouble: Option<TroubleObserver>,
        progress: Arc<Progress>,
    ) -> Self {
        let (boot, began_ns) = (boot_id().unwrap_or_default(), now_ns());
        Self { path, ring, composer, interval, on_trouble, progress, boot, began_ns }
    }

    /// Writes until it is closed. `started` is told whether the first block is there, and `ended` goes with the last.
    pub(super) fn run(mut self, started: &SyncSender<Result<()>>, ended: SyncSender<()>) {
        let first = self.write(MomentKind::Start);
        let has_failed = first.is_err();
        // Whoever starts it waits for this.
        let _ = started.send(first);
        if !has_failed {
            self.go_on();
        }
        drop(ended);
    }

    fn go_on(&mut self) {
        let mut written = Instant::now();
        let mut is_urgent = false;
        while !self.progress.is_closed.load(Ordering::Acquire) {
            let wanted = if is_urgent { LEAST_INTERVAL } else { self.interval };
            let left = wanted.saturating_sub(written.elapsed());
            if !left.is_zero() {
                is_urgent |= self.wait(left);
                continue;
            }
            let kind = if is_urgent { MomentKind::Urgent } else { MomentKind::Regular };
            is_urgent = false;
            let outcome = self.write(kind);
            self.report(outcome);
            written = Instant::now();
        }
        let outcome = self.write(MomentKind::End);
        self.report(outcome);
    }

    /// Waits so long at most, and looks at the machine where it is short; whether something cannot wait.
    fn wait(&mut self, left: Duration) -> bool {
        let is_tense = self.composer.is_tense();
        let most = if is_tense { left.min(LEAST_INTERVAL) } else { left };
        let from = Instant::now();
        thread::park_timeout(most);
        if from.elapsed() < most {
            return true;
        }
        if !is_tense || most >= left {
            return false;
        }
        let sample = self.composer.sample();
        self.composer.is_urgent(sample.as_ref())
    }

    fn write(&mut self, kind: MomentKind) -> Result<()> {
        let sample = self.composer.sample();
        self.composer.is_urgent(sample.as_ref());
        let moment = self.composer.moment(kind, sample.as_ref());
        let stamp = BlockStamp {
            kind,
            sequence: 0,
            boot: self.boot,
            time_ms: moment.time_ms,
            boot_ns: now_ns(),
            pid: self.composer.writer.pid,
            began_ns: self.began_ns,
        };
        let payload = payload_of(&moment, &self.composer.writer.name);
        if self.ring.is_gone() {
            self.ring = Ring::open(&self.path)?;
        }
        self.ring.write(stamp, &payload)?;
        self.progress.block_count.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Counts a block that could not be written, and tells of the first one.
    fn report(&self, outcome: Result<()>) {
        let mut trouble = lock(&self.progress.trouble);
        let Err(error) = outcome else {
            *trouble = None;
            return;
        };
        self.progress.failed_count.fetch_add(1, Ordering::Relaxed);
        let is_first = trouble.replace(error.to_string()).is_none();
        drop(trouble);
        if let Some(observer) = self.on_trouble.as_ref().filter(|_| is_first) {
            observer(&error);
        }
    }
}

impl Progress {
    pub(super) fn written_bytes(&self) -> u64 {
        self.block_count.load(Ordering::Relaxed).saturating_mul(BLOCK_BYTES as u64)
    }
}
