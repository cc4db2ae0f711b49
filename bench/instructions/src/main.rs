//! Converts so many blocks of a format to `f32`, once, for counting instructions: `npm run bench:instructions`. Without arguments,
//! names the formats and how many values a block of each makes.
//!
//!     instructions [FORMAT BLOCKS]

use std::hint::black_box;

use gguf_dequant::{Format, to_f32};

/// Made in any case, so that two runs differ by their conversions alone.
const MOST_BLOCKS: usize = 96;

fn main() -> Result<(), String> {
    let mut arguments = std::env::args().skip(1);
    let Some(name) = arguments.next() else {
        for format in Format::ALL {
            println!("{format} {}", format.block_elements());
        }
        return Ok(());
    };
    let format = Format::ALL.iter().find(|format| format.name() == name);
    let format = *format.ok_or_else(|| format!("expected the name of a format, got {name}"))?;
    let count: Option<usize> = arguments.next().and_then(|count| count.parse().ok());
    let count = count.filter(|count| *count <= MOST_BLOCKS);
    let count = count.ok_or_else(|| format!("expected a number of blocks up to {MOST_BLOCKS}"))?;

    let bytes = [0x35; MOST_BLOCKS * 292];
    let mut values = [0.0; MOST_BLOCKS * 256];
    let blocks = bytes.get(..count * format.block_bytes()).unwrap_or_default();
    let out = values.get_mut(..count * format.block_elements()).unwrap_or_default();
    to_f32(format, black_box(blocks), black_box(out)).map_err(|error| error.to_string())
}
