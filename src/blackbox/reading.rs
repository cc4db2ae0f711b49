//! What a black box holds, for JavaScript.

use std::path::Path;

use napi::Env;
use napi_derive::napi;
use plimsoll::{
    blackbox::{
        BlackBoxMoment as CoreMoment, BlackBoxReading as CoreReading, BlackBoxRun as CoreRun, Happening,
        HappeningKind, HolderMoment, LabelMoment, MachineMoment, MomentKind, Verdict, default_black_box_path,
        read_black_box,
    },
    monitor::Level,
};

use crate::{
    error::to_js,
    mirror::{Cross, mirror},
};

mirror! {
    /// The machine's memory at one moment.
    pub struct BlackBoxMachine of MachineMoment {
        /// What the kernel has, in bytes.
        pub total_bytes: f64,
        /// What it calls available, in bytes.
        pub available_bytes: f64,
        /// What it could give: the least room under any bound, whatever was promised; in bytes.
        pub room_bytes: f64,
        /// The same, less what was promised and not taken; in bytes.
        pub headroom_bytes: f64,
        /// The bound that left no more, in words.
        pub constraint: String,
        /// Use in percent of what could be used at most.
        pub used_percent: f64,
        /// The level of that.
        pub level: Level as "'normal' | 'warning' | 'critical'",
        /// Share of the last 10 seconds in which some task stood still for want of memory, where the kernel tells.
        pub stalled_percent: Option<f64>,
        /// The same of all tasks at once.
        pub fully_stalled_percent: Option<f64>,
        /// Kills by the OOM killer since the board started, where the kernel counts them.
        pub oom_kill_count: Option<f64>,
    }
}

mirror! {
    /// A holder at one moment.
    pub struct BlackBoxHolder of HolderMoment {
        /// What it calls itself.
        pub name: String,
        /// Its id, in its own PID namespace.
        pub pid: u32,
        /// Whether it is the process that wrote.
        pub is_writer: bool,
        /// What it was granted, in bytes.
        pub held_bytes: f64,
        /// What of that it had not taken, in bytes.
        pub pending_bytes: f64,
        /// What of that it could be asked to give back, in bytes.
        pub revocable_bytes: f64,
        /// Whether it had died, and its memory was not back yet.
        pub is_draining: bool,
        /// What its next request waited for, in bytes; absent where none waited.
        pub waiting_bytes: Option<f64>,
        /// The label of that.
        pub waiting_label: String,
        /// How long it had waited, in milliseconds.
        pub waiting_ms: f64,
        /// How many of its requests waited.
        pub waiting_count: f64,
    }
}

mirror! {
    /// What the writer held under a label.
    pub struct BlackBoxLabel of LabelMoment {
        /// The label.
        pub label: String,
        /// What was held under it, in bytes.
        pub size_bytes: f64 = bytes.cross(),
        /// Allocations under it.
        pub count: f64,
    }
    reading { bytes }
}

mirror! {
    /// One of the things that happened.
    pub struct BlackBoxHappening of Happening {
        /// When, in milliseconds since 1970.
        pub time_ms: f64,
        /// What.
        pub kind: HappeningKind as "'grant' | 'release' | 'refusal' | 'wait-begin' | 'wait-end' | 'load-start' | 'load-end' | 'load-failed' | 'load-cancelled' | 'death' | 'command-start' | 'command-end'",
        /// Of another process, what that calls itself; empty for the writer's own.
        pub name: String,
        /// The id of the process.
        pub pid: u32,
        /// The label; of a load, the path of its file.
        pub label: String,
        /// The bytes it is about.
        pub size_bytes: f64 = bytes.cross(),
        /// Of a refusal: what there was, in bytes.
        pub available_bytes: Option<f64>,
        /// Of a refusal: the bound that left no more, in words.
        pub constraint: Option<String>,
    }
    reading { bytes }
}

mirror! {
    /// The machine, who held what of it, and what happened since the moment before.
    pub struct BlackBoxMoment of CoreMoment {
        /// Why it was written.
        pub kind: MomentKind as "'start' | 'regular' | 'urgent' | 'end'",
        /// Its number.
        pub sequence: f64,
        /// When, in milliseconds since 1970. A board without a clock starts anywhere.
        pub time_ms: f64,
        /// When, in milliseconds since the board started.
        pub since_boot_ms: f64,
        /// The machine's memory; absent where it could not be read.
        pub machine: Option<BlackBoxMachine>,
        /// The line of the writer's budget, in bytes.
        pub line_bytes: f64,
        /// What was granted under it, in bytes.
        pub allocated_bytes: f64,
        /// Who held what, those with the most first; the writer alone where it shares no ledger.
        pub holders: Vec<BlackBoxHolder>,
        /// Holders that had no room.
        pub other_holder_count: f64,
        /// What the writer held by label, the most first.
        pub labels: Vec<BlackBoxLabel>,
        /// Labels that had no room.
        pub other_label_count: f64,
        /// What happened since the moment before, oldest first.
        pub happenings: Vec<BlackBoxHappening>,
        /// Happenings that had no room; refusals, waits and the largest are kept.
        pub other_happening_count: f64,
    }
}

mirror! {
    /// What the last block of a run comes to.
    pub struct BlackBoxVerdict of Verdict {
        /// The holder that had most still to take; where all had taken everything, the one with the most.
        pub holder: Option<BlackBoxHolder>,
        /// What had been granted to anybody and was still to be taken, in bytes.
        pub outstanding_bytes: f64,
        /// What the machine could give, in bytes; absent where it could not be read.
        pub room_bytes: Option<f64>,
        /// What of the first was missing in the second, in bytes.
        pub missing_bytes: f64,
        /// What the last refusal lacked, in bytes; absent where nothing was refused.
        pub refused_missing_bytes: Option<f64>,
    }
}

mirror! {
    /// What one process wrote into a black box, as far as it is still there.
    pub struct BlackBoxRun of CoreRun {
        /// Which start of the board it was: its boot id, without hyphens.
        pub boot: String,
        /// Whether the board has not been started again since.
        pub is_this_boot: bool,
        /// The id of the process that wrote.
        pub pid: u32,
        /// What it called itself.
        pub name: String,
        /// When it began, in milliseconds since 1970.
        pub began_ms: f64,
        /// When it wrote its last block, in milliseconds since 1970.
        pub ended_ms: f64,
        /// Whether it still writes.
        pub is_running: bool,
        /// Whether it was closed. One that neither was nor runs was killed, or the power went.
        pub ended_cleanly: bool,
        /// Kills by the OOM killer from its first block that is there to its last, where the kernel counts them.
        pub kill_count: Option<f64>,
        /// Kills since its last block, where the board has not been started again.
        pub later_kill_count: Option<f64>,
        /// The blocks, oldest first.
        pub moments: Vec<BlackBoxMoment>,
        /// Who held what at the end, and what was missing.
        pub verdict: Option<BlackBoxVerdict> = verdict.cross(),
        /// What there is to say of it, a sentence each.
        pub words: Vec<String> = words,
    }
    asking run { verdict = run.verdict(), words = run.words() }
}

mirror! {
    /// All that a black box holds.
    pub struct BlackBoxReading of CoreReading {
        /// Its file.
        pub path: String,
        /// What each of its writers left, in the order in which they wrote last.
        pub runs: Vec<BlackBoxRun>,
        /// The place in `runs` of the one to tell of first: the last that was cut; where none was, the last. Absent where
        /// there is none.
        pub told_index: Option<f64> = told_index.cross(),
        /// Blocks that are not whole, or not of this version.
        pub damaged_count: f64,
    }
    asking reading { told_index = reading.told_index() }
}

/// Reads a black box; that of `name` where no path is given.
#[napi(catch_unwind)]
pub fn read_black_box_file(env: Env, path: Option<String>, name: String) -> napi::Result<BlackBoxReading> {
    let read = || {
        let default = || default_black_box_path(&name);
        let path = path.map_or_else(default, |path| Ok(Path::new(&path).to_path_buf()))?;
        read_black_box(&path)
    };
    read().map(BlackBoxReading::from).map_err(|error| to_js(env, &error))
}
