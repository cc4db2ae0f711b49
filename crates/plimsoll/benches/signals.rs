//! What a reading of the system costs: every signal at once, and sysinfo-free parts of it.
//!
//! Prints a line for each: name and microseconds, apart by a tab; medians of 501 readings.

use std::{hint::black_box, time::Instant};

use plimsoll::system::{DetectedBoard, Machine, Sampler, SystemRoot};

fn main() {
    let mut sampler = Sampler::default();
    report("every signal, files kept open", || drop(black_box(sampler.read())));
    report("as the monitor reads, files kept open", || drop(black_box(sampler.read_often())));
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
