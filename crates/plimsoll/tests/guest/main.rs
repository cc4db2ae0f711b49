//! What real dma-heaps and udmabuf do, what becomes of those who do not ask first, and how a slow disk is read: in a guest that
//! may be hurt.
//!
//! `npm run test:vm` runs it there. Each test is alone in the guest, and some are run again as children.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod accounts;
mod cold;
#[allow(dead_code)] // A header is all that is needed of it here.
#[path = "../common/mod.rs"]
mod common;
mod heaps;
mod host_memory;
mod killer;
mod limits;
#[path = "../withheld/mod.rs"]
mod withheld;

use std::{
    env, fs,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use plimsoll::{
    device::{DeviceContext, DmaHeapBackend},
    system::{Machine, MemInfo, SystemRoot, oom_kill_count},
    units::MIB,
};
use withheld::withheld_bytes;

const CHILD: &str = "PLIMSOLL_CHILD";

/// Ends a test that would hurt a machine which is no guest, and spares the test itself when the killer comes.
fn in_a_guest() {
    assert!(env::var_os("PLIMSOLL_GUEST").is_some(), "only for a guest: npm run test:vm");
    fs::write("/proc/self/oom_score_adj", "-1000").unwrap();
}

/// The part that a child plays, of the test that is run again as one.
fn part() -> Option<String> {
    env::var(CHILD).ok()
}

/// A test, by its name with the module before it, that is run again to play a part.
fn child(test: &str, part: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args([test, "--exact", "--ignored", "--nocapture"]).env(CHILD, part).stdout(Stdio::null());
    command
}

fn memory() -> MemInfo {
    Machine::read_at(&SystemRoot::default()).unwrap().memory
}

/// `MemAvailable`, and what the kernel withholds from it for a while.
fn available_bytes() -> u64 {
    memory().available_bytes + withheld_bytes()
}

fn kills() -> u64 {
    oom_kill_count(&fs::read("/proc/vmstat").unwrap()).unwrap()
}

/// What is released comes back a little later.
fn settle(holds: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    while !holds() {
        if start.elapsed() > Duration::from_mins(1) {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
    true
}

fn system_heap() -> DmaHeapBackend {
    DmaHeapBackend::open(DeviceContext::default(), None).unwrap()
}

fn inmib(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / MIB as f64)
}
