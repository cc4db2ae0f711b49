//! How long opening takes, beside another parser in the same run:
//! `cargo run --release -p gguf-file --example against_peer -- model.gguf`

use std::{error::Error, fs::File, hint::black_box, io::BufReader, time::Duration, time::Instant};

use gguf_file::{GgufFile, Options};
use gguf_rs_lib::reader::GGUFFileReader;

const ROUNDS: usize = 50;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("expected the path of a GGUF file")?;
    let ours = median(|| {
        black_box(GgufFile::open(&path, &Options::default())?);
        Ok(())
    })?;
    let theirs = median(|| {
        black_box(GGUFFileReader::new(BufReader::new(File::open(&path)?))?);
        Ok(())
    })?;
    println!("gguf-file   {ours:>10.1?}");
    println!("gguf-rs-lib {theirs:>10.1?}");
    println!("ratio       {:>10.1}", theirs.as_secs_f64() / ours.as_secs_f64());
    Ok(())
}

fn median(mut work: impl FnMut() -> Result<(), Box<dyn Error>>) -> Result<Duration, Box<dyn Error>> {
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        work()?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    times.get(ROUNDS / 2).copied().ok_or_else(|| "no rounds".into())
}
