//! Prints how fast each format is dequantised on one thread, per instruction set of this machine: into memory, and
//! into a buffer that stays in the cache, as when a loader fills the same few buffers again and again.
//!
//! ```text
//! cargo run --release -p gguf-dequant --example throughput
//! ```

use std::hint::black_box;
use std::time::Instant;

use gguf_dequant::{Error, Format, InstructionSet};

const OUT_BYTES: usize = 256 << 20;
const CACHED_BYTES: usize = 256 << 10;
const RUNS: usize = 5;

fn main() -> Result<(), Error> {
    println!("GB/s of output, one thread, {} MiB of it a run, median of {RUNS} runs", OUT_BYTES >> 20);
    println!("{:<12}{:<8}{:>16}{:>16}{:>16}", "", "", "f32", "f16", "bf16");
    let (memory, cache) = ("memory", "cache");
    println!("{:<12}{:<8}{memory:>8}{cache:>8}{memory:>8}{cache:>8}{memory:>8}{cache:>8}", "set", "format");
    for set in InstructionSet::available() {
        for &format in Format::ALL {
            let single = |blocks: &[u8], out: &mut [f32]| set.to_f32(format, blocks, out);
            let half = |blocks: &[u8], out: &mut [u16]| set.to_f16(format, blocks, out);
            let bfloat = |blocks: &[u8], out: &mut [u16]| set.to_bf16(format, blocks, out);
            println!(
                "{:<12}{format:<8}{:>8.1}{:>8.1}{:>8.1}{:>8.1}{:>8.1}{:>8.1}",
                set.name(),
                gb_per_s(format, OUT_BYTES, single)?,
                gb_per_s(format, CACHED_BYTES, single)?,
                gb_per_s(format, OUT_BYTES, half)?,
                gb_per_s(format, CACHED_BYTES, half)?,
                gb_per_s(format, OUT_BYTES, bfloat)?,
                gb_per_s(format, CACHED_BYTES, bfloat)?,
            );
        }
    }
    Ok(())
}

/// Fills a buffer of `buffer_bytes` as often as makes `OUT_BYTES`; the buffer has been written before.
fn gb_per_s<T: Clone + From<u8>>(
    format: Format,
    buffer_bytes: usize,
    dequantize: impl Fn(&[u8], &mut [T]) -> Result<(), Error>,
) -> Result<f64, Error> {
    let mut out = vec![T::from(1); buffer_bytes / size_of::<T>()];
    let blocks = random_bytes(out.len() / format.block_elements() * format.block_bytes());
    let mut seconds = [0.0; RUNS];
    for slot in &mut seconds {
        let start = Instant::now();
        for _ in 0..OUT_BYTES / buffer_bytes {
            dequantize(black_box(&blocks), black_box(&mut out))?;
        }
        *slot = start.elapsed().as_secs_f64();
    }
    seconds.sort_by(f64::total_cmp);
    let [.., median, _, _] = seconds;
    Ok(OUT_BYTES as f64 / median / 1e9)
}

/// A fixed xorshift sequence.
fn random_bytes(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    });
    words.take(length.div_ceil(8)).flat_map(u64::to_le_bytes).take(length).collect()
}
