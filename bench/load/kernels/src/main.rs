//! What a stream is measured against, one run for each line of standard input, so that a stream and its limit take turns.
//!
//!     load-limits FILE FORMAT:OFFSET:BYTES...
//!
//! answers each line (`kernels`, with units `-in-turn` or `-and-read`, `read`, `copy`, `fill`, `fresh`, `copy-cached`, `fill-cached`) with bytes, seconds, and seconds of
//! the processor. Everything runs on one thread.

use std::fs::File;
use std::hint::black_box;
use std::io::{self, BufRead, Write};
use std::os::unix::fs::FileExt;
use std::time::Instant;

use gguf_dequant::{Format, to_f32};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// What a stream converts at a time: 1 MiB of values.
const UNIT_BYTES: usize = 1 << 20;
/// How many a stream has.
const UNITS: usize = 3;
/// Far more than the caches hold that one processor has to itself.
const MEMORY_BYTES: usize = 256 << 20;
/// The least work of a run: what is smaller is done again and again.
const RUN_BYTES: usize = 1 << 30;

struct Tensor {
    format: Format,
    offset: u64,
    blocks: Vec<u8>,
}

impl Tensor {
    fn read(file: &File, text: &str) -> Outcome<Self> {
        let [name, offset, bytes] = text.split(':').collect::<Vec<_>>()[..] else {
            return Err(format!("expected FORMAT:OFFSET:BYTES, got {text}").into());
        };
        let format = Format::ALL.iter().find(|format| format.name() == name);
        let format = *format.ok_or_else(|| format!("expected a format, got {name}"))?;
        let (offset, mut blocks) = (offset.parse()?, vec![0; bytes.parse()?]);
        file.read_exact_at(&mut blocks, offset)?;
        Ok(Self { format, offset, blocks })
    }

    /// Converts all of it unit by unit, into one buffer after the other, and reads it first if there is a file. The bytes written.
    fn convert(&self, units: &mut [Vec<f32>], file: Option<&File>) -> Outcome<usize> {
        let (block_bytes, block_elements) = (self.format.block_bytes(), self.format.block_elements());
        let span = units.first().ok_or("no unit")?.len() / block_elements * block_bytes;
        let mut stored = vec![0; span];
        let mut bytes = 0;
        for (place, blocks) in self.blocks.chunks(span).enumerate() {
            let unit = &mut units[place % units.len()];
            let values =
                unit.get_mut(..blocks.len() / block_bytes * block_elements).ok_or("a unit too small")?;
            let blocks = match file {
                None => blocks,
                Some(file) => {
                    let stored = &mut stored[..blocks.len()];
                    file.read_exact_at(stored, self.offset + (place * span) as u64)?;
                    stored
                }
            };
            to_f32(self.format, black_box(blocks), black_box(&mut *values))?;
            bytes += size_of_val(values);
        }
        Ok(bytes)
    }
}

struct Limits {
    file: File,
    tensors: Vec<Tensor>,
    units: Vec<Vec<f32>>,
    source: Vec<u8>,
    target: Vec<u8>,
}

impl Limits {
    fn run(&mut self, what: &str) -> Outcome<usize> {
        match what {
            "kernels" => self.convert(1, false),
            "kernels-in-turn" => self.convert(UNITS, false),
            "kernels-and-read" => self.convert(1, true),
            "kernels-in-turn-and-read" => self.convert(UNITS, true),
            "read" => self.read(),
            "copy" => Ok(copy(&self.source, &mut self.target, MEMORY_BYTES)),
            "fill" => Ok(fill(&mut self.target, MEMORY_BYTES)),
            "copy-cached" => Ok(copy(&self.source, &mut self.target, UNIT_BYTES / 2)),
            "fill-cached" => Ok(fill(&mut self.target, UNIT_BYTES)),
            // Every page of it is handed out by the kernel, and zeroed, when it is first written to.
            "fresh" => {
                let mut fresh = vec![0_u8; MEMORY_BYTES];
                fresh.fill(black_box(1));
                Ok(black_box(fresh).len())
            }
            _ => Err(format!("expected a limit, got {what}").into()),
        }
    }

    fn convert(&mut self, units: usize, is_read: bool) -> Outcome<usize> {
        let units = self.units.get_mut(..units).ok_or("too few units")?;
        let file = is_read.then_some(&self.file);
        self.tensors.iter().map(|tensor| tensor.convert(units, file)).sum()
    }

    /// The kernel's copy out of the page cache: the file in units, into one buffer.
    fn read(&mut self) -> Outcome<usize> {
        let buffer = self.target.get_mut(..UNIT_BYTES).ok_or("a target too small")?;
        let mut position = 0;
        loop {
            match self.file.read_at(black_box(&mut *buffer), position as u64)? {
                0 => return Ok(position),
                bytes => position += bytes,
            }
        }
    }
}

fn copy(source: &[u8], target: &mut [u8], bytes: usize) -> usize {
    for _ in 0..RUN_BYTES / bytes {
        black_box(&mut target[..bytes]).copy_from_slice(black_box(&source[..bytes]));
    }
    RUN_BYTES
}

fn fill(target: &mut [u8], bytes: usize) -> usize {
    for round in 0..RUN_BYTES / bytes {
        black_box(&mut target[..bytes]).fill(round as u8);
    }
    RUN_BYTES
}

/// Seconds that this thread had a processor.
fn thread_seconds() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: it writes to `time`, and every thread has this clock.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let file = File::open(arguments.next().ok_or("usage: load-limits FILE FORMAT:OFFSET:BYTES...")?)?;
    let tensors = arguments.map(|text| Tensor::read(&file, &text)).collect::<Outcome<_>>()?;
    let units = vec![vec![0.0; UNIT_BYTES / size_of::<f32>()]; UNITS];
    let mut limits =
        Limits { file, tensors, units, source: vec![1; MEMORY_BYTES], target: vec![1; MEMORY_BYTES] };
    for line in io::stdin().lock().lines() {
        let (start, thread_start) = (Instant::now(), thread_seconds());
        let bytes = limits.run(line?.trim())?;
        println!("{bytes} {} {}", start.elapsed().as_secs_f64(), thread_seconds() - thread_start);
        io::stdout().flush()?;
    }
    Ok(())
}
