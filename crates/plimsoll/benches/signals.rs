//! What a reading of the system costs: every signal at once, parts of it, and all of it after a sleep, when nothing of it
//! is in the processor's caches.
//!
//! Prints a line for each: name and microseconds, apart by a tab; medians of 501 readings.

use std::{
    fs,
    hint::black_box,
    thread,
    time::{Duration, Instant},
};

use plimsoll::system::{DetectedBoard, Machine, Sampler, SystemRoot};

fn main() {
    let mut sampler = Sampler::default();
    report("every signal, files kept open", || drop(black_box(sampler.read())));
    report("as the monitor reads, files kept open", || drop(black_box(sampler.read_often())));
    report_woken("a thread that wakes 10 times a second and does nothing", || {});
    report_woken("the same, reading as the monitor does", || drop(black_box(sampler.read_often())));
    report("every signal, files opened anew", || drop(black_box(Sampler::default().read())));
    report("the machine alone, files opened anew", || drop(black_box(Machine::read())));
    report("the board", || drop(black_box(DetectedBoard::read(&SystemRoot::default()))));
}

fn report(name: &str, mut run: impl FnMut()) {
    let mut times: Vec<_> = (0..501)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("{name}\t{:.1}", times.get(250).copied().unwrap_or_default());
}

/// What a thread runs each time that it is woken after 100 ms, the waking included, by the kernel's account of it.
fn report_woken(name: &str, mut run: impl FnMut()) {
    const WAKES: u32 = 50;
    let before = run_ns();
    for _ in 0..WAKES {
        thread::sleep(Duration::from_millis(100));
        run();
    }
    println!("{name}\t{:.1}", run_ns().saturating_sub(before) as f64 / 1e3 / f64::from(WAKES));
}

/// Nanoseconds that this thread has run. Source: the kernel's `scheduler/sched-stats.rst`.
fn run_ns() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_ascii_whitespace().next().and_then(|ns| ns.parse().ok()).unwrap_or_default()
}
