//! What holds on every GPU.

use std::{env, sync::Arc, thread};

use plimsoll::{
    Error, MemoryBudget,
    device::{
        Backend, CudaBackend, CudaChunks, CudaInfo, CudaKind, CudaOptions, CudaStaging, CudaUse,
        DeviceMemory, HostBackend, Request, SharedBackend,
    },
    pool::{Access, BufferOptions, MemoryPool, PoolOptions},
    units::{GIB, KIB, MIB},
};

use crate::{fake::Fake, fork::in_child, suite};

/// A real GPU if the environment says so, else the fake.
struct Gpu(Option<Fake>);

impl Gpu {
    fn new() -> Self {
        Self(env::var_os("PLIMSOLL_CUDA_REAL").is_none().then(Fake::new))
    }

    fn options(&self, kind: CudaKind) -> CudaOptions {
        let real = CudaOptions { kind, ..CudaOptions::default() };
        self.0.as_ref().map_or(real, |fake| fake.options(kind))
    }

    fn open(&self, kind: CudaKind) -> CudaBackend {
        CudaBackend::open(self.options(kind)).unwrap()
    }

    fn open_chunked(&self) -> CudaBackend {
        CudaBackend::open(CudaOptions { chunks: CudaChunks::Preferred, ..self.options(CudaKind::Device) })
            .unwrap()
    }

    /// Every way in which this GPU gives memory.
    fn back_ends(&self) -> Vec<CudaBackend> {
        let kinds = [CudaKind::Device, CudaKind::Pinned, CudaKind::Managed];
        let mut back_ends: Vec<_> = kinds.map(|kind| self.open(kind)).into();
        back_ends.push(self.open_chunked());
        back_ends
    }
}

impl Drop for Gpu {
    fn drop(&mut self) {
        if let Some(fake) = &self.0
            && !thread::panicking()
        {
            fake.assert_clean();
        }
    }
}

fn take(back_end: &CudaBackend, bytes: u64) -> Box<dyn DeviceMemory> {
    back_end.take(&Request::new(bytes, "test")).unwrap()
}

/// Bytes that no shift or stride of them repeats.
fn pattern(len: u64, seed: u64) -> Vec<u8> {
    (0..len).map(|at| ((at * 31 + (at >> 8) * 7 + seed * 101) % 251) as u8).collect()
}

fn read(memory: &dyn DeviceMemory, offset: u64, len: u64) -> Vec<u8> {
    let mut bytes = vec![0xee; len as usize];
    memory.read(offset, &mut bytes).unwrap();
    bytes
}

#[test]
fn every_kind_of_memory_holds_to_what_all_back_ends_do() {
    let gpu = Gpu::new();
    for back_end in gpu.back_ends() {
        suite::holds(&(Arc::new(back_end) as SharedBackend));
    }
}

#[test]
fn memory_of_the_machines_is_measured_against_its_headroom() {
    let gpu = Gpu::new();
    for kind in [CudaKind::Pinned, CudaKind::Managed] {
        suite::refuses_beyond_headroom(|context| {
            Arc::new(CudaBackend::open(CudaOptions { context, ..gpu.options(kind) }).unwrap())
        });
    }
}

#[test]
fn a_slab_whose_map_was_abandoned_is_kept_and_counted() {
    // Not a `Gpu`, which sees to it that nothing is left.
    let fake = Fake::new();
    let back_end: SharedBackend = Arc::new(CudaBackend::open(fake.options(CudaKind::Pinned)).unwrap());
    let budget = MemoryBudget::new(GIB, 0).unwrap();
    let options = PoolOptions { slab_bytes: 2 * MIB, budget: Some(budget.clone()), ..PoolOptions::default() };
    let pool = MemoryPool::create(Arc::clone(&back_end), options).unwrap();
    let buffer = pool.allocate_growing(1000, &BufferOptions::default(), &mut |_| false).unwrap();
    buffer.fill(0, 1000, 7).unwrap();
    let map = buffer.map(0, 1000, Access::Read).unwrap();
    let seen = map.view().base();
    map.abandon();
    drop(buffer);
    pool.close();
    drop(pool);
    // SAFETY: the driver's memory is never freed.
    #[allow(unsafe_code)]
    let byte = unsafe { seen.as_ptr().read_volatile() };
    assert_eq!((byte, budget.allocated_bytes(), back_end.usage().used_bytes), (7, 2 * MIB, 2 * MIB));
}

#[test]
fn bytes_are_copied_within_a_slab_between_slabs_and_between_kinds() {
    let gpu = Gpu::new();
    let back_ends = gpu.back_ends();
    let slabs: Vec<_> = back_ends.iter().map(|back_end| take(back_end, MIB)).collect();
    for (from, to) in slabs.iter().flat_map(|from| slabs.iter().map(move |to| (from, to))) {
        let bytes = pattern(4096, 3);
        from.write(100, &bytes).unwrap();
        from.copy_to(100..4196, &**to, 300_001).unwrap();
        assert_eq!(read(&**to, 300_001, 4096), bytes);
    }
    let slab = &slabs[0];
    slab.copy_to(5..5, &**slab, 5).unwrap();
    let refusal = slab.copy_to(0..4096, &**slab, 4095).unwrap_err();
    assert!(refusal.to_string().contains("overlap"), "{refusal}");
}

#[test]
fn more_than_there_is_is_refused_with_the_figures() {
    let gpu = Gpu::new();
    for back_end in gpu.back_ends() {
        let refusal = back_end.take(&Request::new(1 << 50, "huge")).unwrap_err();
        let Error::InsufficientMemory { requested_bytes, available_bytes, .. } = refusal else {
            panic!("{refusal}")
        };
        assert!(requested_bytes == 1 << 50 && available_bytes > 0 && available_bytes < 1 << 50);
        assert_eq!((back_end.usage().refused_count, back_end.usage().used_bytes), (1, 0));
        take(&back_end, 4096).write(0, b"still works").unwrap();
    }
}

#[test]
fn the_processor_sees_the_memory_where_the_limits_say_so() {
    let gpu = Gpu::new();
    for back_end in gpu.back_ends() {
        let slab = take(&back_end, MIB);
        assert_eq!(slab.view().is_ok(), back_end.limits().mappable, "{}", back_end.name());
        let Ok(view) = slab.view() else {
            let refusal = slab.view().unwrap_err();
            assert_eq!(refusal.code(), "ERR_DEVICE", "{refusal}");
            continue;
        };
        assert_eq!(view.size_bytes() as u64, slab.size_bytes());
        slab.fill(0..slab.size_bytes(), 7).unwrap();
        // SAFETY: within the view, whose slab lives, and nobody else writes it.
        unsafe {
            assert_eq!(view.base().add(777).read(), 7);
            view.base().add(777).write(8);
        }
        assert_eq!(read(&*slab, 776, 3), [7, 8, 7]);
    }
}

#[test]
fn slabs_of_several_chunks_are_one_range_of_memory() {
    let gpu = Gpu::new();
    let back_end = gpu.open_chunked();
    let slab = take(&back_end, 130 * MIB);
    assert_eq!(slab.size_bytes(), 130 * MIB);
    let bytes = pattern(MIB, 4);
    for border in [64 * MIB, 128 * MIB] {
        slab.write(border - 500_000, &bytes).unwrap();
        assert_eq!(read(&*slab, border - 500_000, MIB), bytes);
    }
    slab.fill(64 * MIB - 3..64 * MIB + 3, 9).unwrap();
    assert_eq!(read(&*slab, 64 * MIB - 3, 6), [9; 6]);
    slab.copy_to(64 * MIB - 500_000..64 * MIB + 500_000, &*slab, 100 * MIB).unwrap();
    assert_eq!(read(&*slab, 100 * MIB, 400_000), bytes[..400_000]);
}

#[test]
fn staged_bytes_arrive_in_every_kind_of_memory_whatever_the_sizes() {
    let gpu = Gpu::new();
    for back_end in gpu.back_ends() {
        let slab = take(&back_end, 9 * MIB);
        let mut staging = CudaStaging::new(&back_end, MIB).unwrap();
        assert_eq!(staging.window_bytes(), MIB);
        let expected = pattern(slab.size_bytes(), 5);
        let mut offset = 0;
        for len in [MIB, 1, MIB, 333_333, 0, 2 * KIB].into_iter().cycle() {
            let len = len.min(slab.size_bytes() - offset);
            let range = offset as usize..(offset + len) as usize;
            staging.window(len as usize).unwrap().copy_from_slice(&expected[range]);
            staging.flush(&*slab, offset).unwrap();
            offset += len;
            if offset == slab.size_bytes() {
                break;
            }
        }
        staging.finish().unwrap();
        assert!(read(&*slab, 0, slab.size_bytes()) == expected, "{}", back_end.name());
    }
}

#[test]
fn staging_refuses_what_fits_neither_its_window_nor_the_slab() {
    let gpu = Gpu::new();
    let back_end = gpu.open(CudaKind::Device);
    let mut staging = CudaStaging::new(&back_end, 4096).unwrap();
    let slab = take(&back_end, 4096);
    assert_eq!(staging.window(4097).unwrap_err().code(), "ERR_INVALID_ARGUMENT");
    staging.window(4096).unwrap().fill(1);
    assert_eq!(staging.flush(&*slab, 1).unwrap_err().code(), "ERR_INVALID_ARGUMENT");
    staging.window(4096).unwrap().fill(2);
    staging.flush(&*slab, 0).unwrap();
    staging.flush(&*slab, 0).unwrap();
    staging.finish().unwrap();
    assert_eq!(read(&*slab, 0, 4096), [2; 4096]);
}

#[test]
fn a_slab_released_during_a_copy_stays_until_it_is_done() {
    let gpu = Gpu::new();
    for back_end in [gpu.open(CudaKind::Device), gpu.open_chunked()] {
        let mut staging = CudaStaging::new(&back_end, 4 * MIB).unwrap();
        for _ in 0..4 {
            let slab = take(&back_end, 4 * MIB);
            staging.window(4 << 20).unwrap().fill(3);
            staging.flush(&*slab, 0).unwrap();
        }
        assert!(back_end.usage().slab_count <= 2, "only what is being copied into is still there");
        drop(staging);
        assert_eq!(back_end.usage().slab_count, 0);
    }
}

#[test]
fn memory_of_another_device_is_written_through_staging_but_not_copied_to() {
    let gpu = Gpu::new();
    let (back_end, other) =
        (gpu.open(CudaKind::Device), HostBackend::new(gpu.options(CudaKind::Device).context));
    let (slab, host) = (take(&back_end, 4096), other.take(&Request::new(4096, "host")).unwrap());
    let refusal = slab.copy_to(0..10, &*host, 0).unwrap_err();
    assert!(refusal.to_string().contains("the same CUDA device"), "{refusal}");
    let mut staging = CudaStaging::new(&back_end, 4096).unwrap();
    staging.window(3).unwrap().copy_from_slice(b"abc");
    staging.flush(&*host, 10).unwrap();
    assert_eq!(read(&*host, 10, 3), b"abc");
}

#[test]
fn slabs_are_exported_where_the_limits_say_so() {
    let gpu = Gpu::new();
    for back_end in gpu.back_ends() {
        let slab = take(&back_end, 4 * MIB);
        let exported = slab.export_fd();
        if !back_end.limits().exportable {
            assert_eq!(exported.unwrap_err().code(), "ERR_DEVICE");
        } else if gpu.0.is_some() {
            drop(exported.unwrap());
        } else if let Err(refusal) = exported {
            // Inside a sandbox a real driver may say that it can and then not.
            assert_eq!(refusal.code(), "ERR_DEVICE", "{refusal}");
            println!("{}: {refusal}", back_end.name());
        }
    }
}

#[test]
fn slabs_outlive_the_back_end_that_gave_them() {
    let gpu = Gpu::new();
    for back_end in gpu.back_ends() {
        let slab = take(&back_end, MIB);
        drop(back_end);
        slab.write(0, b"alive").unwrap();
        assert_eq!(read(&*slab, 0, 5), b"alive");
    }
}

#[test]
fn a_slab_taken_on_one_thread_is_used_and_released_on_another() {
    let gpu = Gpu::new();
    let back_end = gpu.open(CudaKind::Device);
    let slab = take(&back_end, MIB);
    slab.write(0, b"moved").unwrap();
    thread::spawn(move || assert_eq!(read(&*slab, 0, 5), b"moved")).join().unwrap();
    assert_eq!(back_end.usage().used_bytes, 0);
}

#[test]
fn a_forked_child_is_refused_and_gives_nothing_back() {
    let gpu = Gpu::new();
    let calls = || gpu.0.as_ref().map(|fake| fake.get("calls"));
    for back_end in gpu.back_ends() {
        let slab = take(&back_end, MIB);
        slab.fill(0..MIB, 1).unwrap();
        let mut staging = CudaStaging::new(&back_end, 4096).unwrap();
        staging.window(10).unwrap().fill(2);
        staging.flush(&*slab, 0).unwrap();
        let (held, status) = in_child((staging, slab, back_end), |(mut staging, slab, back_end)| {
            let before = calls();
            let refusals = [
                slab.read(0, &mut [0]),
                slab.view().map(drop),
                slab.fill(0..1, 0),
                staging.window(1).map(drop),
                back_end.take(&Request::new(MIB, "slab")).map(drop),
            ];
            let forked = |refusal: &plimsoll::Result<()>| {
                refusal.as_ref().is_err_and(|refusal| refusal.to_string().contains("forked"))
            };
            let all = refusals.iter().all(forked);
            drop((staging, slab, back_end));
            u8::from(!all) + 2 * u8::from(calls() != before)
        });
        assert_eq!(status, 0, "1: not refused, 2: the driver was called, less: a signal");
        let (mut staging, slab, back_end) = held;
        staging.finish().unwrap();
        assert_eq!(read(&*slab, 9, 2), [2, 1], "{}: the parent goes on", back_end.name());
    }
}

#[test]
fn free_memory_of_a_device_falls_and_rises_with_its_slabs() {
    let gpu = Gpu::new();
    for back_end in [gpu.open(CudaKind::Device), gpu.open_chunked()] {
        if back_end.info().integrated {
            continue;
        }
        let free = || back_end.usage().free_bytes.unwrap();
        let before = free();
        let slab = take(&back_end, GIB);
        assert!(free() <= before - GIB, "{} of {before} are free beside a slab of {GIB}", free());
        drop(slab);
        assert!(free() > before - GIB / 2, "{} of {before} are free again", free());
        assert!(back_end.usage().total_bytes.unwrap() >= before);
    }
}

#[test]
fn a_device_says_what_it_is_and_which_kind_is_for_what() {
    let gpu = Gpu::new();
    let back_end = gpu.open(CudaKind::Device);
    let info = back_end.info();
    println!("{info:#?}");
    println!("{:#?}", back_end.limits());
    assert_eq!(CudaInfo::all(gpu.options(CudaKind::Device).library.as_deref()).unwrap()[0], *info);
    assert!(!info.name.is_empty() && info.driver_version.0 >= 11 && info.compute_capability.0 >= 5);
    assert!(info.total_bytes > GIB && info.multiprocessor_count > 0 && info.unified_addressing);
    assert_eq!(info.advice(CudaUse::Device).kind, CudaKind::Device);
    if !info.integrated {
        assert_eq!(info.advice(CudaUse::Shared).kind, CudaKind::Pinned);
        assert_eq!(info.advice(CudaUse::SharedOften).kind, CudaKind::Device);
    }
    let names: Vec<_> = gpu.back_ends().iter().map(|back_end| back_end.name().to_owned()).collect();
    assert_eq!(names, ["cuda:0", "cuda:0:pinned", "cuda:0:managed", "cuda:0"]);
}
