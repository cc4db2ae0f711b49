//! Cold reads of a disk that takes its time over each request and serves many at once, as a networked one does.

use std::{
    fs::{self, File},
    io::{Seek, SeekFrom, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use plimsoll::{
    loader::{IoMode, ModelFile, OpenOptions, Reader, Selection, StreamOptions, UnitStream},
    pool::{StagingPool, StagingPoolOptions},
    units::MIB,
};
use rustix::fs::{Advice, fadvise};

use crate::{
    common::{TensorSpec, gguf},
    in_a_guest,
};

/// Long, for an emulated processor is slow: what is to be seen is the waiting.
const LATENCY: Duration = Duration::from_millis(40);

const MODEL_BYTES: u64 = 32 * MIB;

/// A disk in memory, with a file system, that completes each request so long after it came.
struct SlowDisk {
    name: String,
    folder: PathBuf,
}

impl SlowDisk {
    fn make(latency: Duration) -> Self {
        let name = format!("slow{}", latency.as_millis());
        let settings = Path::new("/sys/kernel/config/nullb").join(&name);
        fs::create_dir(&settings).unwrap();
        let nanoseconds = latency.as_nanos().to_string();
        for (key, value) in [
            ("size", "64"), // MiB
            ("memory_backed", "1"),
            ("max_sectors", "2560"),
            ("hw_queue_depth", "128"),
            ("irqmode", "2"), // A timer completes each.
            ("completion_nsec", nanoseconds.as_str()),
            ("power", "1"),
        ] {
            fs::write(settings.join(key), value).unwrap();
        }
        let (device, folder) = (format!("/dev/{name}"), PathBuf::from(format!("/tmp/{name}")));
        fs::create_dir(&folder).unwrap();
        run("mke2fs", &["-q", "-t", "ext4", "-O", "^has_journal", &device]);
        run("mount", &["-t", "ext4", &device, folder.to_str().unwrap()]);
        Self { name, folder }
    }

    /// Requests so far, the milliseconds that all of them took together, and those in which there was any.
    fn served(&self) -> [u64; 3] {
        let text = fs::read_to_string(format!("/sys/block/{}/stat", self.name)).unwrap();
        let numbers: Vec<u64> = text.split_whitespace().map(|number| number.parse().unwrap()).collect();
        [numbers[0], numbers[3], numbers[9]]
    }
}

impl Drop for SlowDisk {
    fn drop(&mut self) {
        run("umount", &[self.folder.to_str().unwrap()]);
        fs::remove_dir(Path::new("/sys/kernel/config/nullb").join(&self.name)).unwrap();
    }
}

fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status().unwrap();
    assert!(status.success(), "{program} {arguments:?}: {status}");
}

/// A megabyte of which each part looks different, twice.
fn pattern() -> Vec<u8> {
    let once: Vec<u8> = (0..MIB).map(|at| (at % 251) as u8).collect();
    [once.as_slice(), &once].concat()
}

/// A model of one tensor. Where its data begins.
fn write_model(path: &Path, pattern: &[u8]) -> u64 {
    let mut file = File::create(path).unwrap();
    file.write_all(&gguf(
        &[TensorSpec { name: "big", dims: vec![MODEL_BYTES], type_id: 24, data: vec![] }],
        0,
    ))
    .unwrap();
    let start = file.seek(SeekFrom::End(0)).unwrap();
    (0..MODEL_BYTES / MIB).for_each(|_| file.write_all(&pattern[..MIB as usize]).unwrap());
    file.sync_all().unwrap();
    start
}

/// One megabyte after the other; whether the kernel reads ahead.
fn read_in_turn(path: &Path, start: u64, pattern: &[u8], reads_ahead: bool) {
    let file = File::open(path).unwrap();
    if !reads_ahead {
        fadvise(&file, 0, None, Advice::Random).unwrap();
    }
    let mut buffer = vec![0; MIB as usize];
    for index in 0..MODEL_BYTES / MIB {
        file.read_exact_at(&mut buffer, start + index * MIB).unwrap();
        assert!(buffer == pattern[..MIB as usize], "megabyte {index}");
    }
}

fn stream(path: &Path, of: &StreamOptions, pattern: &[u8]) {
    let io = of.io;
    let model = Arc::new(ModelFile::open(path, &OpenOptions::default()).unwrap());
    let pool = StagingPool::new(StagingPoolOptions::default());
    let selection = Selection::new(&model, of).unwrap();
    let mut units = UnitStream::new(Reader::new(model, selection, pool));
    let mut bytes = 0;
    for unit in units.by_ref() {
        let unit = unit.unwrap();
        let buffer = unit.unit().buffer.as_ref().unwrap();
        for chunk in &unit.unit().chunks {
            let data = &buffer[chunk.data.start as usize..chunk.data.end as usize];
            let from = (chunk.bytes.start % MIB) as usize;
            assert!(data == &pattern[from..from + data.len()], "{chunk:?}");
            bytes += data.len() as u64;
        }
    }
    assert_eq!(bytes, MODEL_BYTES);
    assert_eq!((units.reading().io, units.reading().reason), (io, None));
}

/// What reading the model took.
struct Measured {
    name: String,
    elapsed: Duration,
    requests: u64,
    /// How many requests there were at once, in the mean of the time in which there was one.
    in_flight: f64,
}

impl Measured {
    fn bytes_in_flight(&self) -> f64 {
        self.in_flight * MODEL_BYTES as f64 / self.requests as f64
    }

    fn print(&self, first: &Self) {
        let [ms, first_ms] = [self, first].map(|measured| measured.elapsed.as_secs_f64() * 1e3);
        let (ratio, mib) = (first_ms / ms, self.bytes_in_flight() / MIB as f64);
        let Self { name, requests, in_flight, .. } = self;
        println!("| {name} | {ms:.0} | {ratio:.1}x | {requests} | {in_flight:.1} | {mib:.1} |");
    }
}

/// With nothing of the file in the page cache.
fn measure(disk: &SlowDisk, name: impl Into<String>, read: impl FnOnce()) -> Measured {
    rustix::fs::sync();
    fs::write("/proc/sys/vm/drop_caches", "3").unwrap();
    let before = disk.served();
    let start = Instant::now();
    read();
    let elapsed = start.elapsed();
    let after = disk.served();
    let [requests, request_ms, busy_ms] = [0, 1, 2].map(|at| after[at] - before[at]);
    Measured { name: name.into(), elapsed, requests, in_flight: request_ms as f64 / busy_ms.max(1) as f64 }
}

#[test]
#[ignore = "in a guest: npm run test:vm"]
fn a_cold_file_is_read_with_several_requests_in_flight() {
    in_a_guest();
    let disk = SlowDisk::make(LATENCY);
    let (path, pattern) = (disk.folder.join("model.gguf"), pattern());
    let start = write_model(&path, &pattern);
    let in_turn =
        |name: &str, reads_ahead| measure(&disk, name, || read_in_turn(&path, start, &pattern, reads_ahead));
    let of = |io: IoMode, threads| {
        let name = format!("a stream, `io: '{}'`, `threads: {threads}`", io.name());
        let options = StreamOptions { io, threads, ..StreamOptions::default() };
        measure(&disk, name, || stream(&path, &options, &pattern))
    };
    let one = in_turn("reads of 1 MiB, one after the other", false);
    let kernels = in_turn("the same, the kernel reading ahead as it does", true);
    let hinted = [of(IoMode::Read, 1), of(IoMode::Read, 4), of(IoMode::Mmap, 1), of(IoMode::Mmap, 4)];
    let direct = [of(IoMode::Direct, 1), of(IoMode::Direct, 4)];
    println!("\n{} MiB from a disk of {} ms a request:\n", MODEL_BYTES / MIB, LATENCY.as_millis());
    println!("| cold | ms | against the first | requests | in flight | MiB in flight |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for measured in [&one, &kernels].into_iter().chain(&hinted).chain(&direct) {
        measured.print(&one);
    }
    // Some twenty were seen, and four times the bytes: wide of it, for a busy machine has fewer.
    for measured in &hinted {
        assert!(measured.in_flight >= 4.0, "{}", measured.name);
    }
    assert!(direct[1].in_flight >= 2.0);
    for measured in hinted.iter().chain(&direct[1..]) {
        assert!(measured.bytes_in_flight() >= 1.5 * one.bytes_in_flight(), "{}", measured.name);
    }
}
