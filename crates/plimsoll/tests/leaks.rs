//! Whatever call fails, nothing stays: no file descriptor, no map, no byte in the account.
//!
//! One test in a process of its own, as it counts what the process holds.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod suite;

use std::{fs, sync::Arc};

use plimsoll::{
    Result,
    budget::Promised,
    device::{
        DeviceContext, DmaHeapBackend, HostBackend, HostOptions, HostSource, HugePageUse, Request,
        SharedBackend, UdmabufBackend, kernel::Kernel,
    },
    units::{GIB, KIB, MIB},
};
use suite::{
    fake_kernel::{ERRNOS, FakeKernel},
    faults::Faults,
    faulty::Faulty,
    fixture::Fixture,
};

type Open = fn(Arc<dyn Kernel>, DeviceContext) -> Result<SharedBackend>;

#[allow(clippy::unnecessary_wraps)] // As those that may not open.
fn anonymous(kernel: Arc<dyn Kernel>, context: DeviceContext) -> Result<SharedBackend> {
    let options = HostOptions { huge_pages: HugePageUse::Explicit, ..HostOptions::default() };
    Ok(Arc::new(HostBackend::on(kernel, context, options)))
}

#[allow(clippy::unnecessary_wraps)] // As above.
fn memory_file(kernel: Arc<dyn Kernel>, context: DeviceContext) -> Result<SharedBackend> {
    let options = HostOptions { source: HostSource::MemoryFile, lock: true, ..HostOptions::default() };
    Ok(Arc::new(HostBackend::on(kernel, context, options)))
}

fn dma_heap(kernel: Arc<dyn Kernel>, context: DeviceContext) -> Result<SharedBackend> {
    Ok(Arc::new(DmaHeapBackend::open_on(kernel, context, None)?))
}

fn udmabuf(kernel: Arc<dyn Kernel>, context: DeviceContext) -> Result<SharedBackend> {
    Ok(Arc::new(UdmabufBackend::open_on(kernel, context)?))
}

const BACKENDS: [Open; 4] = [anonymous, memory_file, dma_heap, udmabuf];

const SLAB_BYTES: u64 = 256 * KIB;

/// Every call there is, however often one fails.
fn use_all(backend: &SharedBackend) -> Vec<Result<()>> {
    let request = Request::new(SLAB_BYTES - 1, "a label longer than the thirty-one bytes of a name");
    let slabs: Vec<_> = (0..3).map(|_| backend.take(&request)).collect();
    let mut results = Vec::new();
    for slab in slabs.iter().flatten() {
        results.push(slab.view().map(drop));
        results.push(slab.populate(Promised::NOTHING));
        results.push(slab.write(4095, &[7; 5000]));
        results.push(slab.read(1, &mut [0; 5000]));
        results.push(slab.fill(100..20_000, 3));
        results.push(slab.discard(0..SLAB_BYTES));
        results.push(slab.export_fd().map(drop));
        results.extend(slabs.iter().flatten().map(|to| slab.copy_to(0..100, &**to, 200)));
    }
    results.extend(slabs.into_iter().map(|slab| slab.map(drop)));
    results
}

/// Uses a back end to its end, and returns how many of its calls were refused.
fn run(open: Open, kernel: Arc<dyn Kernel>, context: DeviceContext, faults: Faults) -> usize {
    let backend = match open(kernel, context) {
        Ok(backend) => backend,
        Err(refusal) => {
            assert_eq!(refusal.code(), "ERR_DEVICE_UNAVAILABLE", "{refusal}");
            return 1;
        }
    };
    let failing: SharedBackend = Arc::new(Faulty::new(backend.clone(), faults));
    let refusals: Vec<_> = use_all(&failing).into_iter().filter_map(Result::err).collect();
    for refusal in &refusals {
        let code = refusal.code();
        assert!(["ERR_DEVICE", "ERR_INSUFFICIENT_MEMORY"].contains(&code), "{code}: {refusal}");
    }
    let usage = backend.usage();
    assert_eq!((usage.used_bytes, usage.slab_count), (0, 0), "after {refusals:?}");
    refusals.len()
}

/// Open files, and the size of all maps in bytes.
fn held() -> (usize, u64) {
    let files = fs::read_dir("/proc/self/fd").unwrap().count();
    let size = |line: &str| {
        let (start, end) = line.split(' ').next()?.split_once('-')?;
        Some(u64::from_str_radix(end, 16).ok()? - u64::from_str_radix(start, 16).ok()?)
    };
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    (files, maps.lines().map(|line| size(line).unwrap()).sum())
}

#[test]
fn whatever_call_fails_nothing_stays() {
    let fixture = Fixture::new(4 * GIB).with("dev/dma_heap/system", "").with("dev/udmabuf", "");
    let mut runs = 0;
    let before = held();
    let no_failures = || Arc::new(FakeKernel::default());
    for open in BACKENDS {
        let kernel = no_failures();
        run(open, kernel.clone(), fixture.context(), Faults::never());
        let calls = kernel.faults.calls();
        assert!(calls > 10, "{calls}");
        // Each system call in turn, with each error number.
        for call in 0..calls {
            for errno in ERRNOS {
                let kernel = Arc::new(FakeKernel::failing(Faults::once(call), Some(errno)));
                run(open, kernel.clone(), fixture.context(), Faults::never());
                assert_eq!(kernel.faults.failures(), 1);
                runs += 1;
            }
        }
        // Several system calls, and several calls of the back end, as 200 seeds will have them.
        for seed in 0..200 {
            let kernel = Arc::new(FakeKernel::failing(Faults::often(5, seed), None));
            run(open, kernel, fixture.context(), Faults::often(7, !seed));
            runs += 1;
        }
        // The device is lost, at each call of the back end.
        let whole = Faults::never();
        run(open, no_failures(), fixture.context(), whole.clone());
        for call in 0..whole.calls() {
            let refused = run(open, no_failures(), fixture.context(), Faults::from(call));
            assert!(refused > 0, "after call {call}");
            runs += 1;
        }
    }
    let after = held();
    println!("{runs} runs");
    assert_eq!(after.0, before.0, "file descriptors");
    assert!(after.1.abs_diff(before.1) < MIB, "maps: {before:?} before, {after:?} after {runs} runs");
}
