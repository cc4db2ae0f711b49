//! A black box, read. Its file may come from a power cut, another board, or a stranger: what is not whole counts for nothing,
//! and no more is read than a black box can have.

use crate::sorting::sort_by_key;
use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    path::{Path, PathBuf},
};

use super::{
    block::{BLOCK_BYTES, BlockStamp},
    moment::BlackBoxMoment,
    moment_codec::moment_of,
    ring::{PART_BYTES, contents, is_written, opened, stamps_of},
    run::BlackBoxRun,
};
use crate::{error::Result, ledger::boot_id, system::Sampler};

/// All that a black box holds.
#[derive(Debug, Clone, PartialEq)]
pub struct BlackBoxReading {
    /// Its file.
    pub path: PathBuf,
    /// What each of its writers left, in the order in which they wrote last.
    pub runs: Vec<BlackBoxRun>,
    /// Blocks that are not whole, or not of this version.
    pub damaged_count: u64,
}

impl BlackBoxReading {
    /// The run to tell of first: the last one that was cut; where none was, the last.
    #[must_use]
    pub fn told(&self) -> Option<&BlackBoxRun> {
        self.told_index().and_then(|index| self.runs.get(index))
    }

    /// Its place in the list.
    #[must_use]
    pub fn told_index(&self) -> Option<usize> {
        self.runs.iter().rposition(BlackBoxRun::was_cut).or_else(|| self.runs.len().checked_sub(1))
    }
}

/// Reads a black box, while it is written to or after. Nothing is changed.
///
/// # Errors
///
/// [`Error::Io`](crate::Error::Io) where there is no such file, or it cannot be read. Damage is none: see
/// [`damaged_count`](BlackBoxReading::damaged_count).
pub fn read_black_box(path: &Path) -> Result<BlackBoxReading> {
    let file = opened(path, OpenOptions::new().read(true))?;
    let bytes = contents(path, &file)?;
    let (mut runs, damaged_count) = runs_of(&bytes, &|part| is_written(&file, part));
    let kills = Sampler::default().read().oom_kill_count.ok();
    for run in &mut runs {
        run.count_kills(kills);
    }
    Ok(BlackBoxReading { path: path.to_owned(), runs, damaged_count })
}

/// Which writer a block is of: the part, the boot, when the run began, and the process.
type RunKey = (usize, [u64; 2], u64, u32);

/// The runs in the bytes of a file, and how many of its blocks are damaged.
pub(super) fn runs_of(bytes: &[u8], is_written: &dyn Fn(usize) -> bool) -> (Vec<BlackBoxRun>, u64) {
    let mut blocks: BTreeMap<RunKey, BTreeMap<u64, (BlockStamp, BlackBoxMoment, String)>> = BTreeMap::new();
    let mut whole_count = 0;
    let mut last_runs = BTreeMap::new();
    for (part, part_bytes) in bytes.chunks(PART_BYTES).enumerate() {
        for (stamp, payload) in stamps_of(part_bytes) {
            let Some((moment, writer)) = moment_of(&stamp, payload) else { continue };
            whole_count += 1;
            let key = (part, stamp.boot, stamp.began_ns, stamp.pid);
            let last = last_runs.entry(part).or_insert((stamp.sequence, key));
            *last = (*last).max((stamp.sequence, key));
            blocks.entry(key).or_default().insert(stamp.sequence, (stamp, moment, writer));
        }
    }
    let used_count = bytes.chunks(BLOCK_BYTES).filter(|block| block.iter().any(|byte| *byte != 0)).count();
    // Where it cannot be read, no run is of this boot.
    let this_boot = boot_id().unwrap_or_default();
    let mut runs: Vec<BlackBoxRun> = blocks
        .into_iter()
        .filter_map(|(key, blocks)| {
            let is_last = last_runs.get(&key.0).is_some_and(|(_, last)| *last == key);
            let is_running = is_last && key.1 == this_boot && is_written(key.0);
            run_of(blocks.into_values().collect(), is_running, key.1 == this_boot)
        })
        .collect();
    let number = |run: &BlackBoxRun| run.last().map_or(0, |last| last.sequence);
    // A board without a clock starts anywhere, so boots stand in the order of their numbers.
    let mut boots: BTreeMap<String, u64> = BTreeMap::new();
    for run in &runs {
        let highest = boots.entry(run.boot.clone()).or_default();
        *highest = (*highest).max(number(run));
    }
    sort_by_key(&mut runs, |run| {
        let since_boot_ms = run.last().map_or(0, |last| last.since_boot_ms);
        (run.is_this_boot, boots.get(&run.boot).copied(), since_boot_ms)
    });
    (runs, (used_count as u64).saturating_sub(whole_count))
}

fn run_of(
    blocks: Vec<(BlockStamp, BlackBoxMoment, String)>,
    is_running: bool,
    is_this_boot: bool,
) -> Option<BlackBoxRun> {
    let (stamp, _, name) = blocks.last().cloned()?;
    let lasted_ms = stamp.boot_ns.saturating_sub(stamp.began_ns) / 1_000_000;
    let mut run = BlackBoxRun {
        boot: format!("{:016x}{:016x}", stamp.boot[0], stamp.boot[1]),
        is_this_boot,
        pid: stamp.pid,
        name,
        began_ms: stamp.time_ms.saturating_sub(lasted_ms),
        ended_ms: stamp.time_ms,
        is_running,
        ended_cleanly: false,
        kill_count: None,
        later_kill_count: None,
        moments: blocks.into_iter().map(|(_, moment, _)| moment).collect(),
    };
    run.count_kills(None);
    Some(run)
}
