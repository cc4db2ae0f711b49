//! A process that can start no thread: alone in its binary, for the limit is the process's.

// A test fails by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{fs, sync::Arc, thread};

use plimsoll::{
    Error,
    loader::{ModelFile, OpenOptions, Reader, Selection, StreamOptions, UnitStream},
    pool::{StagingPool, StagingPoolOptions},
    units::MIB,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/models/plimsoll-sample-llama.gguf");

/// Bytes of address space that the process takes.
fn size_bytes() -> u64 {
    let text = fs::read_to_string("/proc/self/statm").unwrap();
    text.split_whitespace().next().unwrap().parse::<u64>().unwrap() * rustix::param::page_size() as u64
}

#[test]
fn a_stream_that_can_start_no_thread_is_an_error_and_the_next_one_reads() {
    let model = Arc::new(ModelFile::open(SAMPLE, &OpenOptions::default()).unwrap());
    let stream = |threads| {
        let options = StreamOptions { threads, ..StreamOptions::default() };
        let selection = Selection::new(&model, &options).unwrap();
        let pool = StagingPool::new(StagingPoolOptions::default());
        UnitStream::new(Reader::new(Arc::clone(&model), selection, pool))
    };
    let before = getrlimit(Resource::As);
    for threads in [1, 4] {
        // A thread's stack is 2 MiB.
        setrlimit(Resource::As, Rlimit { current: Some(size_bytes() + MIB), ..before }).unwrap();
        let refused = thread::Builder::new().spawn(|| {}).is_err();
        let mut units = stream(threads);
        let first = units.next();
        setrlimit(Resource::As, before).unwrap();
        if !refused {
            return eprintln!("skipped: a thread starts whatever the limit is");
        }
        assert!(matches!(first, Some(Err(Error::Io { call: "clone", .. }))), "told once, and nobody waits");
        assert!(units.next().is_none());
        assert!(stream(threads).all(|unit| unit.is_ok()));
    }
}
