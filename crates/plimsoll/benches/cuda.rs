//! What a GPU's memory costs: taking it, freeing it, filling it. The driver's own calls stand beside ours.
//!
//! Prints one JSON document; medians. `PLIMSOLL_CUDA_LIBRARY` names another driver. Where there is no GPU, it says so
//! and ends.

// What goes wrong ends a benchmark; the driver's own calls are raw.
#![allow(clippy::unwrap_used, clippy::expect_used, unsafe_code)]

use std::{
    env, fs,
    hint::black_box,
    process::ExitCode,
    time::{Instant, SystemTime},
};

use libloading::Library;
use plimsoll::{
    budget::Promised,
    device::{
        Backend, CudaBackend, CudaChunks, CudaInfo, CudaKind, CudaOptions, CudaStaging, DeviceMemory, Request,
    },
    units::{GIB, KIB, MIB},
};

fn main() -> ExitCode {
    let gpu = match CudaBackend::open(CudaOptions::default()) {
        Ok(gpu) => gpu,
        Err(reason) => {
            eprintln!("cuda: {reason}");
            return ExitCode::SUCCESS;
        }
    };
    let mut report = Report::default();
    take_and_give(&mut report);
    fill(&mut report, &gpu);
    move_within(&mut report, &gpu);
    pinned_accounts(&mut report);
    report.print(gpu.info());
    ExitCode::SUCCESS
}

/// The ways in which our back end gives memory, and the driver's plain call.
fn take_and_give(report: &mut Report) {
    let driver = Driver::open();
    let chunked = open(CudaKind::Device, CudaChunks::Preferred);
    let piece = open(CudaKind::Device, CudaChunks::Never);
    for (size, bytes) in [("256 KiB", 256 * KIB), ("64 MiB", 64 * MIB), ("1 GiB", GIB)] {
        report.take(
            &format!("cuMemAlloc and cuMemFree alone, {size}"),
            51,
            || driver.alloc(bytes),
            |it| driver.free(it),
        );
        report.take(&format!("device in one piece, {size}"), 51, || take(&piece, bytes), drop);
        report.take(&format!("device in chunks, {size}"), 51, || take(&chunked, bytes), drop);
    }
    let pinned = open(CudaKind::Pinned, CudaChunks::Auto);
    let managed = open(CudaKind::Managed, CudaChunks::Auto);
    report.take("pinned, 64 MiB", 15, || take(&pinned, 64 * MIB), drop);
    report.take("managed, 64 MiB, untouched", 51, || take(&managed, 64 * MIB), drop);
    let populated = || {
        let slab = take(&managed, 64 * MIB);
        slab.populate(Promised::NOTHING).unwrap();
        slab
    };
    report.take("managed, 64 MiB, populated", 15, populated, drop);
}

/// From a program's ordinary memory into a slab of 1 GiB.
fn fill(report: &mut Report, gpu: &CudaBackend) {
    let slab = take(gpu, GIB);
    let source: Vec<u8> = (0..64 * MIB).map(|at| (at * 31 % 251) as u8).collect();
    for window in [MIB, 4 * MIB, 16 * MIB] {
        let size = window / MIB;
        let pieces = source.chunks_exact(window as usize).cycle();
        let pieces = || pieces.clone().zip((0..GIB).step_by(window as usize));
        report.throughput(&format!("write, {size} MiB at a time"), || {
            pieces().for_each(|(piece, offset)| slab.write(offset, piece).unwrap());
        });
        let mut staging = CudaStaging::new(gpu, window).unwrap();
        report.throughput(&format!("staging, windows of {size} MiB"), || {
            for (piece, offset) in pieces() {
                staging.window(window as usize).unwrap().copy_from_slice(piece);
                staging.flush(&*slab, offset).unwrap();
            }
            staging.finish().unwrap();
        });
        report.throughput(&format!("staging, windows of {size} MiB that are full already"), || {
            for (_, offset) in pieces() {
                black_box(staging.window(window as usize).unwrap());
                staging.flush(&*slab, offset).unwrap();
            }
            staging.finish().unwrap();
        });
    }
    let mut target = vec![0_u8; GIB as usize];
    report.throughput("memory to memory, no GPU, 4 MiB at a time", || {
        let pieces = source.chunks_exact(4 << 20).cycle();
        target.chunks_exact_mut(4 << 20).zip(pieces).for_each(|(to, from)| to.copy_from_slice(from));
        black_box(&mut target);
    });
}

/// What defragmentation and scrubbing are made of.
fn move_within(report: &mut Report, gpu: &CudaBackend) {
    let (from, to) = (take(gpu, GIB), take(gpu, GIB));
    report.throughput("copy_to, 1 GiB", || from.copy_to(0..GIB, &*to, 0).unwrap());
    report.throughput("fill, 1 GiB", || from.fill(0..GIB, 7).unwrap());
    report.time("copy_to, 256 KiB", || from.copy_to(0..256 * KIB, &*to, 0).unwrap());
    report.time("write, 4 KiB", || from.write(0, &[1; 4096]).unwrap());
    report.time("read, 4 KiB", || from.read(0, &mut [0; 4096]).unwrap());
    report.time("usage", || _ = black_box(gpu.usage()));
}

/// Where 256 MiB of pinned memory show in what the kernel counts.
fn pinned_accounts(report: &mut Report) {
    let pinned = open(CudaKind::Pinned, CudaChunks::Auto);
    drop(take(&pinned, 4096));
    let before = accounts();
    let slab = take(&pinned, 256 * MIB);
    slab.fill(0..256 * MIB, 1).unwrap();
    for ((name, after), (_, before)) in accounts().into_iter().zip(before) {
        report.add(&format!("256 MiB pinned: {name}"), "MiB", (after - before) / 1024.0);
    }
}

/// Lines of the kernel's that count kilobytes.
fn accounts() -> Vec<(&'static str, f64)> {
    const PLACES: [(&str, &str); 7] = [
        ("/proc/meminfo", "MemAvailable"),
        ("/proc/meminfo", "Shmem"),
        ("/proc/meminfo", "Mlocked"),
        ("/proc/self/status", "VmLck"),
        ("/proc/self/status", "RssAnon"),
        ("/proc/self/status", "RssFile"),
        ("/proc/self/status", "RssShmem"),
    ];
    let count = |(path, name): (&str, &str)| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap_or("0");
        line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0.0)
    };
    PLACES.map(|place| (place.1, count(place))).to_vec()
}

fn open(kind: CudaKind, chunks: CudaChunks) -> CudaBackend {
    CudaBackend::open(CudaOptions { kind, chunks, ..CudaOptions::default() }).unwrap()
}

fn take(back_end: &CudaBackend, bytes: u64) -> Box<dyn DeviceMemory> {
    back_end.take(&Request::new(bytes, "bench")).unwrap()
}

#[derive(Default)]
struct Report(Vec<String>);

impl Report {
    fn add(&mut self, name: &str, unit: &str, value: f64) {
        self.0.push(format!("{{\"name\": {name:?}, \"unit\": {unit:?}, \"value\": {value:.2}}}"));
    }

    fn take<T>(&mut self, name: &str, rounds: usize, take: impl Fn() -> T, give: impl Fn(T)) {
        give(take());
        let times: Vec<_> = (0..rounds)
            .map(|_| {
                let start = Instant::now();
                let taken = take();
                let between = Instant::now();
                give(taken);
                (between - start, between.elapsed())
            })
            .collect();
        self.add(&format!("take {name}"), "us", median(times.iter().map(|time| time.0.as_secs_f64() * 1e6)));
        self.add(&format!("free {name}"), "us", median(times.iter().map(|time| time.1.as_secs_f64() * 1e6)));
    }

    /// How fast 1 GiB goes.
    fn throughput(&mut self, name: &str, mut run: impl FnMut()) {
        let rates = (0..8).map(|_| 1.0 / seconds(&mut run)).skip(1);
        let rate = median(rates);
        self.add(name, "GiB/s", rate);
    }

    fn time(&mut self, name: &str, mut run: impl FnMut()) {
        let times = (0..1001).map(|_| seconds(&mut run) * 1e6);
        let time = median(times);
        self.add(name, "us", time);
    }

    fn print(&self, info: &CudaInfo) {
        let taken_at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let cuda = format!("{}.{}", info.driver_version.0, info.driver_version.1);
        let capability = format!("{}.{}", info.compute_capability.0, info.compute_capability.1);
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        println!("{{\n\"takenAtMs\": {},", taken_at.as_millis());
        println!("\"device\": {:?}, \"computeCapability\": {capability:?},", info.name);
        println!("\"driver\": {:?}, \"cuda\": {cuda:?},", first_line("/proc/driver/nvidia/version", ""));
        println!("\"processor\": {:?}, \"cores\": {cores},", first_line("/proc/cpuinfo", "model name"));
        println!("\"results\": [\n{}\n]\n}}", self.0.join(",\n"));
    }
}

fn seconds(run: &mut impl FnMut()) -> f64 {
    let start = Instant::now();
    run();
    start.elapsed().as_secs_f64()
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// What stands behind the colon of the first line that begins like that.
fn first_line(path: &str, beginning: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(beginning)).unwrap_or_default();
    line.split_once(':').map_or("unknown", |(_, value)| value.trim()).to_owned()
}

/// The driver's own calls, with the context that the back end has opened.
struct Driver {
    library: Library,
}

impl Driver {
    fn open() -> Self {
        let name = env::var_os("PLIMSOLL_CUDA_LIBRARY").unwrap_or("libcuda.so.1".into());
        // SAFETY: the library is already open; the functions have these signatures, and the context is never released.
        unsafe {
            let library = Library::new(name).unwrap();
            let mut context = 0_usize;
            let retain =
                library.get::<unsafe extern "C" fn(*mut usize, i32) -> i32>("cuDevicePrimaryCtxRetain");
            assert_eq!(retain.unwrap()(&raw mut context, 0), 0);
            let push = library.get::<unsafe extern "C" fn(usize) -> i32>("cuCtxPushCurrent_v2");
            assert_eq!(push.unwrap()(context), 0);
            Self { library }
        }
    }

    fn alloc(&self, bytes: u64) -> u64 {
        let mut address = 0;
        // SAFETY: `address` is a live place for one.
        unsafe {
            let alloc = self.library.get::<unsafe extern "C" fn(*mut u64, usize) -> i32>("cuMemAlloc_v2");
            assert_eq!(alloc.unwrap()(&raw mut address, bytes as usize), 0);
        }
        address
    }

    fn free(&self, address: u64) {
        // SAFETY: an address of `alloc`, once.
        unsafe {
            let free = self.library.get::<unsafe extern "C" fn(u64) -> i32>("cuMemFree_v2").unwrap();
            assert_eq!(free(address), 0);
        }
    }
}
