//! Streams and loads, as a Rust program uses them.

// A test fails by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod chunks;
#[path = "../common/mod.rs"]
mod common;
mod damage;
mod destinations;
mod reading;
mod recordings;
mod remote;
mod shards;
mod streams;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use common::{TensorSpec, gguf};
use plimsoll::{
    loader::{ModelFile, OpenOptions, Output, Reader, Selection, StreamOptions, StreamedUnit, UnitStream},
    pool::{StagingPool, StagingPoolOptions},
};

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/models/plimsoll-sample-llama.gguf");

fn open(path: impl AsRef<Path>) -> Arc<ModelFile> {
    Arc::new(ModelFile::open(path, &OpenOptions::default()).unwrap())
}

fn from_bytes(tensors: &[TensorSpec], gap: usize) -> Arc<ModelFile> {
    Arc::new(ModelFile::from_bytes(gguf(tensors, gap), &OpenOptions::default()).unwrap())
}

fn pool() -> StagingPool {
    StagingPool::new(StagingPoolOptions::default())
}

fn stream(model: &Arc<ModelFile>, options: &StreamOptions, pool: &StagingPool) -> UnitStream {
    let selection = Selection::new(model, options).unwrap();
    UnitStream::new(Reader::new(Arc::clone(model), selection, pool.clone()))
}

fn options(output: Output, chunk_bytes: u64) -> StreamOptions {
    StreamOptions { output, chunk_bytes, ..StreamOptions::default() }
}

/// Every tensor's data put together from its chunks, which must follow each other without a gap.
fn reassemble(units: impl Iterator<Item = plimsoll::Result<StreamedUnit>>) -> BTreeMap<usize, Vec<u8>> {
    let mut tensors: BTreeMap<usize, (u64, u64, Vec<u8>)> = BTreeMap::new();
    for unit in units {
        let unit = unit.unwrap();
        let buffer = unit.unit().buffer.as_ref().unwrap();
        for chunk in &unit.unit().chunks {
            let (element, byte, data) = tensors.entry(chunk.tensor).or_default();
            assert_eq!((chunk.elements.start, chunk.bytes.start), (*element, *byte));
            (*element, *byte) = (chunk.elements.end, chunk.bytes.end);
            data.extend_from_slice(&buffer[chunk.data.start as usize..chunk.data.end as usize]);
        }
    }
    tensors.into_iter().map(|(index, (_, _, data))| (index, data)).collect()
}

/// The reader's thread may still be at its last unit when its stream is gone.
fn expect_all_back(pool: &StagingPool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while pool.stats().in_use_count > 0 && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(pool.stats().in_use_count, 0);
}
