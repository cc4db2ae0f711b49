//! Dequantises to `f32` on one thread, beside ggml's library and candle, and compares every value with ggml's.
//!
//!     npm run bench:dequant [-- --rounds N] [--mib N] [--only FORMAT] [--json]
//!
//! Each round runs all of them once, so that what else the machine does meets all alike. Times are the thread's own on the processor,
//! the figures medians; a ratio is the median of the rounds' ratios. ggml's is the library that node-llama-cpp ships, compiled for any x86-64.

mod blocks;
mod peers;
mod report;

use std::hint::black_box;

use gguf_dequant::{Format, instruction_set, to_f32};

use blocks::random_blocks;
use peers::{Ggml, candle};
use report::{Row, median, print_json, print_table};

/// What `npm run bench:dequant` passes.
struct Options {
    ggml: String,
    rounds: usize,
    mib: usize,
    only: Option<String>,
    json: bool,
}

fn options() -> Result<Options, String> {
    let mut options = Options { ggml: String::new(), rounds: 15, mib: 64, only: None, json: false };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--json" {
            options.json = true;
            continue;
        }
        let value = arguments.next().ok_or_else(|| format!("expected a value behind {argument}"))?;
        let number =
            || value.parse().map_err(|_| format!("expected a whole number behind {argument}, got {value}"));
        match argument.as_str() {
            "--ggml" => options.ggml = value,
            "--rounds" => options.rounds = number()?,
            "--mib" => options.mib = number()?,
            "--only" => options.only = Some(value),
            _ => return Err(format!("expected --ggml, --rounds, --mib, --only or --json, got {argument}")),
        }
    }
    Ok(options)
}

/// Seconds of the processor that a run takes: the time that others have it does not count.
fn seconds(run: impl FnOnce()) -> f64 {
    let start = thread_seconds();
    run();
    thread_seconds() - start
}

fn thread_seconds() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: it writes to `time`, and every thread has this clock.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// The value and its number, where the two differ; two NaN are the same.
fn difference(ours: &[f32], theirs: &[f32]) -> Option<String> {
    let differs = |(ours, theirs): (&f32, &f32)| {
        ours.to_bits() != theirs.to_bits() && !(ours.is_nan() && theirs.is_nan())
    };
    let place = ours.iter().zip(theirs).position(differs)?;
    Some(format!("value {place} is {:e}, ggml's {:e}", ours[place], theirs[place]))
}

/// The values in a page of the largest size.
const PAGE_ELEMENTS: usize = 65_536 / 4;

/// Memory as buffers of a loader are: from the start of a page on.
fn page_aligned(memory: &mut [f32], elements: usize) -> &mut [f32] {
    let start = memory.as_ptr().align_offset(4 * PAGE_ELEMENTS);
    &mut memory[start..start + elements]
}

fn measure(format: Format, options: &Options, ggml: &Ggml) -> Result<Row, String> {
    let elements = (options.mib << 20) / 4 / format.block_elements() * format.block_elements();
    let ggml_run = ggml.dequantizer(format);
    let (mut ours, mut theirs) =
        (vec![0.0_f32; elements + PAGE_ELEMENTS], vec![0.0_f32; elements + PAGE_ELEMENTS]);
    let (ours, theirs) = (page_aligned(&mut ours, elements), page_aligned(&mut theirs, elements));

    // Any bits at all, then such as a model has: special values take their own time.
    for ordinary in [false, true] {
        let blocks = random_blocks(format, elements, ordinary);
        to_f32(format, &blocks, ours).map_err(|error| error.to_string())?;
        if let Some(run) = &ggml_run {
            run(&blocks, theirs);
            if let Some(difference) = difference(ours, theirs) {
                return Err(format!("{format}: {difference}"));
            }
        }
    }

    let blocks = random_blocks(format, elements, true);
    let candle_run = candle(format);
    // All into the same memory: where it lies is no merit of anybody's.
    let out = ours;
    let mut times: [Vec<f64>; 3] = Default::default();
    for _ in 0..options.rounds {
        times[0].push(seconds(|| to_f32(format, black_box(&blocks), black_box(out)).expect("whole blocks")));
        if let Some(run) = &ggml_run {
            times[1].push(seconds(|| run(black_box(&blocks), black_box(out))));
        }
        if let Some(run) = &candle_run {
            times[2].push(seconds(|| run(black_box(&blocks), black_box(out))));
        }
    }
    Ok(Row::new(format, elements * 4, &times))
}

/// What the machine can: a page of zeros over all of the output, and a copy of it.
fn limits(options: &Options) -> [f64; 2] {
    let bytes = options.mib << 20;
    let (source, mut target) = (vec![1_u8; bytes], vec![0_u8; bytes]);
    let rate = |times: Vec<f64>| bytes as f64 / median(times) / 1e9;
    let mut fill = Vec::new();
    let mut copy = Vec::new();
    for round in 0..options.rounds {
        fill.push(seconds(|| black_box(&mut target).fill(round as u8)));
        copy.push(seconds(|| black_box(&mut target).copy_from_slice(black_box(&source))));
    }
    [rate(fill), rate(copy)]
}

fn run() -> Result<(), String> {
    let options = options()?;
    let ggml = Ggml::load(&options.ggml)?;
    let wanted = |format: &&Format| {
        options.only.as_deref().is_none_or(|only| only.eq_ignore_ascii_case(format.name()))
    };
    let formats: Vec<_> = Format::ALL.iter().filter(wanted).collect();
    if formats.is_empty() {
        return Err(format!("expected a format behind --only, got {}", options.only.unwrap_or_default()));
    }
    let mut rows = Vec::new();
    for format in formats {
        rows.push(measure(*format, &options, &ggml)?);
    }
    let limits = limits(&options);
    if options.json {
        print_json(&rows, limits, instruction_set());
    } else {
        print_table(&rows, limits, instruction_set());
    }
    Ok(())
}

fn main() -> std::process::ExitCode {
    match run() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("bench:dequant: {message}");
            std::process::ExitCode::FAILURE
        }
    }
}
