//! What ordinary RAM promises beyond what every back end does: pages that come and go, and what it says when they do not.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod suite;

use std::{
    fs,
    ops::Range,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use plimsoll::{
    budget::Promised,
    device::{
        Backend, Charge, DeviceContext, HostBackend, HostOptions, HostSource, HugePageUse, Request,
        kernel::{Kernel, RawMapping, RealKernel},
    },
    system::process_memory,
    units::{GIB, KIB, MIB},
};
use rustix::{
    fs::ftruncate,
    io::Errno,
    mm::{Advice, MapFlags},
};
use suite::{fake_kernel::FakeKernel, faults::Faults, fixture::Fixture};

const BOTH: [HostSource; 2] = [HostSource::Anonymous, HostSource::MemoryFile];

/// What is resident is the process's: one test looks at it at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An emulator of programs takes advice on memory and does nothing.
fn is_emulated() -> bool {
    let has_x86 = || fs::read_to_string("/proc/cpuinfo").unwrap_or_default().contains("vendor_id");
    let emulated = cfg!(target_arch = "aarch64") && has_x86();
    if emulated {
        println!("not under emulation: it takes no advice on memory");
    }
    emulated
}

fn resident_bytes() -> u64 {
    process_memory().unwrap().rss_bytes
}

fn host(options: HostOptions) -> HostBackend {
    HostBackend::with_options(DeviceContext::default(), options)
}

fn of(source: HostSource) -> HostOptions {
    HostOptions { source, ..HostOptions::default() }
}

fn failing(
    call: u64,
    errno: Errno,
    fixture: &Fixture,
    options: HostOptions,
) -> (HostBackend, Arc<FakeKernel>) {
    let kernel = Arc::new(FakeKernel::failing(Faults::once(call), Some(errno)));
    (HostBackend::on(kernel.clone(), fixture.context(), options), kernel)
}

#[test]
fn pages_come_when_populated_and_go_when_discarded_or_dropped() {
    const SIZE: u64 = 64 * MIB;
    const NOISE: u64 = 4 * MIB;
    if is_emulated() {
        return;
    }
    let _alone = alone();
    for huge_pages in [HugePageUse::None, HugePageUse::Transparent] {
        for source in BOTH {
            let backend = host(HostOptions { huge_pages, ..of(source) });
            let start = resident_bytes();
            let slab = backend.take(&Request::new(SIZE, "resident")).unwrap();
            assert!(resident_bytes() < start + NOISE, "{source:?}: nothing is there before it is touched");
            slab.populate(Promised::NOTHING).unwrap();
            assert!(resident_bytes() + NOISE > start + SIZE, "{source:?}: all of it is there");
            slab.discard(1..SIZE / 2).unwrap();
            assert!(resident_bytes() < start + SIZE / 2 + NOISE, "{source:?}: a half went back");
            slab.populate(Promised::NOTHING).unwrap();
            assert!(resident_bytes() + NOISE > start + SIZE, "{source:?}: and came again");
            drop(slab);
            assert!(resident_bytes() < start + NOISE, "{source:?}: nothing stays");
        }
    }
}

#[test]
fn memory_files_count_as_shared_memory_and_anonymous_memory_does_not() {
    let _alone = alone();
    for source in BOTH {
        let before = process_memory().unwrap();
        let slab = host(of(source)).take(&Request::new(16 * MIB, "counted")).unwrap();
        slab.fill(0..16 * MIB, 1).unwrap();
        let grown = process_memory().unwrap().shmem_bytes.saturating_sub(before.shmem_bytes);
        assert_eq!(grown >= 16 * MIB, source == HostSource::MemoryFile, "{source:?}: {grown}");
    }
}

#[test]
fn a_kernel_that_cannot_populate_has_its_pages_touched() {
    let _alone = alone();
    let fixture = Fixture::new(4 * GIB);
    // Taking is one call, so this is the first advice.
    let (backend, kernel) = failing(1, Errno::INVAL, &fixture, HostOptions::default());
    let slab = backend.take(&Request::new(32 * MIB, "old kernel")).unwrap();
    slab.write(5000, b"kept").unwrap();
    let before = resident_bytes();
    slab.populate(Promised::NOTHING).unwrap();
    assert_eq!(kernel.faults.failures(), 1);
    assert!(resident_bytes() > before + 28 * MIB);
    let mut bytes = [0; 4];
    slab.read(5000, &mut bytes).unwrap();
    assert_eq!(&bytes, b"kept");
}

/// A kernel before 5.14.
#[derive(Debug)]
struct OldKernel;

impl Kernel for OldKernel {
    fn advise(&self, mapping: &RawMapping, range: Range<u64>, advice: Advice) -> rustix::io::Result<()> {
        if advice == Advice::LinuxPopulateWrite {
            Err(Errno::INVAL)
        } else {
            RealKernel.advise(mapping, range, advice)
        }
    }
}

#[test]
fn every_page_is_there_on_an_old_kernel_too_in_whatever_memory() {
    const SIZE: u64 = 64 * MIB;
    const NOISE: u64 = 4 * MIB;
    if is_emulated() {
        return;
    }
    let _alone = alone();
    for huge_pages in [HugePageUse::None, HugePageUse::Transparent] {
        for source in BOTH {
            let options = HostOptions { huge_pages, ..of(source) };
            let backend = HostBackend::on(Arc::new(OldKernel), DeviceContext::default(), options);
            let start = resident_bytes();
            let slab = backend.take(&Request::new(SIZE, "resident")).unwrap();
            assert!(resident_bytes() < start + NOISE, "{source:?}: nothing is there before it is touched");
            slab.populate(Promised::NOTHING).unwrap();
            assert!(resident_bytes() + NOISE > start + SIZE, "{source:?}: all of it is there");
            slab.discard(0..SIZE / 2).unwrap();
            slab.populate(Promised::NOTHING).unwrap();
            assert!(resident_bytes() + NOISE > start + SIZE, "{source:?}: and what went came again");
        }
    }
}

#[test]
fn touching_pages_takes_back_nothing_that_somebody_writes_meanwhile() {
    const COUNT: u64 = 100_000;
    let _alone = alone();
    let slab = HostBackend::on(Arc::new(OldKernel), DeviceContext::default(), of(HostSource::MemoryFile))
        .take(&Request::new(MIB, "shared"))
        .unwrap();
    let page = rustix::param::page_size() as u64;
    thread::scope(|scope| {
        let counting = scope.spawn(|| {
            let counter = slab.view().unwrap().base().cast::<u64>();
            // SAFETY: the first bytes of a slab that outlives the thread, aligned as a page is.
            #[allow(unsafe_code)]
            let counter = unsafe { AtomicU64::from_ptr(counter.as_ptr()) };
            for _ in 0..COUNT {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        });
        while !counting.is_finished() {
            // So that there is something to touch again.
            slab.discard(page..2 * page).unwrap();
            slab.populate(Promised::NOTHING).unwrap();
        }
    });
    let mut bytes = [0; 8];
    slab.read(0, &mut bytes).unwrap();
    assert_eq!(u64::from_ne_bytes(bytes), COUNT);
}

#[test]
fn pages_that_the_system_has_not_got_are_insufficient_memory() {
    let fixture = Fixture::new(4 * GIB);
    for errno in [Errno::NOMEM, Errno::FAULT] {
        let (backend, _) = failing(1, errno, &fixture, HostOptions::default());
        let slab = backend.take(&Request::new(MIB, "pages")).unwrap();
        assert_eq!(slab.populate(Promised::NOTHING).unwrap_err().code(), "ERR_INSUFFICIENT_MEMORY");
        slab.populate(Promised::NOTHING).unwrap();
    }
}

#[test]
fn populating_weighs_what_the_machine_has_by_then() {
    let fixture = Fixture::new(4 * GIB);
    let backend = HostBackend::new(fixture.context());
    let slab = backend.take(&Request::new(GIB, "later")).unwrap();
    fixture.set_memory(GIB, 0);
    let refusal = slab.populate(Promised::NOTHING).unwrap_err();
    assert!(refusal.to_string().contains("and a floor of 256.00 MiB"), "{refusal}");
}

#[test]
fn populating_leaves_others_what_they_were_granted() {
    let fixture = Fixture::new(4 * GIB);
    let slab = HostBackend::new(fixture.context()).take(&Request::new(MIB, "last")).unwrap();
    let room_bytes = fixture.context().headroom(Promised::NOTHING, Charge::Process).unwrap().bytes;
    assert_eq!(slab.populate(Promised::granted(room_bytes)).unwrap_err().code(), "ERR_INSUFFICIENT_MEMORY");
    slab.populate(Promised::granted(room_bytes - MIB)).unwrap();
}

#[test]
fn locked_memory_is_there_at_once_and_stays() {
    if is_emulated() {
        return;
    }
    let _alone = alone();
    for source in BOTH {
        let backend = host(HostOptions { lock: true, ..of(source) });
        let slab = backend.take(&Request::new(MIB, "locked")).unwrap();
        assert_eq!(locked_bytes(), MIB, "{source:?}");
        slab.discard(0..MIB).unwrap();
        slab.populate(Promised::NOTHING).unwrap();
        assert_eq!(locked_bytes(), MIB, "{source:?}");
        drop(slab);
        assert_eq!(locked_bytes(), 0, "{source:?}");
    }
}

fn locked_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmLck:")).unwrap();
    line.trim_end_matches("kB").trim().parse::<u64>().unwrap() * KIB
}

#[test]
fn memory_that_may_not_be_locked_is_explained_by_its_limit() {
    let fixture = Fixture::new(4 * GIB);
    let options = HostOptions { lock: true, ..HostOptions::default() };
    for errno in [Errno::NOMEM, Errno::PERM, Errno::AGAIN] {
        let (backend, _) = failing(1, errno, &fixture, options);
        let refusal = backend.take(&Request::new(MIB, "locked")).unwrap_err();
        assert_eq!(refusal.code(), "ERR_DEVICE");
        assert!(refusal.to_string().contains("ulimit -l"), "{refusal}");
        assert_eq!((backend.usage().used_bytes, backend.usage().refused_count), (0, 1));
    }
}

const HUGE_PAGE_POOL: &str = "sys/kernel/mm/hugepages/hugepages-2048kB";

/// A machine with a pool of huge pages: all, free, and of these reserved.
fn with_huge_pages(fixture: Fixture, total: u64, free: u64, reserved: u64) -> Fixture {
    let file = |name: &str| format!("{HUGE_PAGE_POOL}/{name}_hugepages");
    let with = |fixture: Fixture, (name, count): (_, u64)| fixture.with(&file(name), &count.to_string());
    [("nr", total), ("free", free), ("resv", reserved)].into_iter().fold(fixture, with)
}

#[test]
fn without_explicit_huge_pages_transparent_ones_are_taken_and_that_is_said() {
    let fixture = with_huge_pages(Fixture::new(4 * GIB), 4, 3, 2);
    for source in BOTH {
        let options = HostOptions { huge_pages: HugePageUse::Explicit, ..of(source) };
        let (backend, kernel) = failing(0, Errno::NOMEM, &fixture, options);
        let slab = backend.take(&Request::new(5 * MIB, "huge")).unwrap();
        assert_eq!(slab.size_bytes(), 6 * MIB);
        assert_eq!(kernel.seen.lock().unwrap().advice, [Advice::LinuxHugepage]);
        let remarks = backend.remarks();
        assert!(remarks[0].contains("huge pages of 2.00 MiB has 2.00 MiB left"), "{remarks:?}");
    }
}

#[test]
fn explicit_huge_pages_or_none_is_a_refusal_that_says_how_to_have_them() {
    let fixture = Fixture::new(4 * GIB);
    for source in BOTH {
        let options = HostOptions { huge_pages: HugePageUse::ExplicitOnly, ..of(source) };
        let (backend, _) = failing(0, Errno::NOMEM, &fixture, options);
        let refusal = backend.take(&Request::new(5 * MIB, "huge")).unwrap_err();
        assert_eq!(refusal.code(), "ERR_INSUFFICIENT_MEMORY");
        assert!(refusal.to_string().contains("vm.nr_hugepages=3"), "{refusal}");
        assert!(backend.remarks().is_empty());
    }
}

#[test]
fn huge_pages_set_aside_are_given_though_the_machine_has_nothing_left() {
    let fixture = with_huge_pages(Fixture::new(0), 6, 6, 2);
    let options = HostOptions { huge_pages: HugePageUse::ExplicitOnly, ..HostOptions::default() };
    let asked = |bytes| {
        let (backend, kernel) = failing(0, Errno::NOMEM, &fixture, options);
        backend.take(&Request::new(bytes, "huge")).unwrap_err();
        kernel.faults.calls()
    };
    assert_eq!((asked(8 * MIB), asked(8 * MIB + 1)), (1, 0), "whether the kernel is asked at all");
}

#[test]
fn only_huge_pages_that_the_kernel_must_add_are_weighed() {
    let fixture = with_huge_pages(Fixture::new(2 * GIB), 1024, 1024, 0);
    let room_bytes =
        fixture.context().headroom(Promised::NOTHING, Charge::Machine).unwrap().bytes / (2 * MIB) * (2 * MIB);
    let options = HostOptions { huge_pages: HugePageUse::ExplicitOnly, ..HostOptions::default() };
    let asked = |bytes| {
        let (backend, kernel) = failing(0, Errno::NOMEM, &fixture, options);
        backend.take(&Request::new(bytes, "huge")).unwrap_err();
        kernel.faults.calls()
    };
    let most_bytes = 2 * GIB + room_bytes;
    assert_eq!((asked(most_bytes), asked(most_bytes + 1)), (1, 0), "whether the kernel is asked at all");
}

/// A kernel that reserves what is mapped, and is slow to say so.
#[derive(Debug)]
struct Reserving {
    resv: PathBuf,
    reserved_count: AtomicU64,
}

impl Kernel for Reserving {
    fn map_anonymous(&self, size_bytes: usize, _: MapFlags) -> rustix::io::Result<RawMapping> {
        let mine = size_bytes as u64 / (2 * MIB);
        let reserved_count = self.reserved_count.fetch_add(mine, Ordering::SeqCst) + mine;
        thread::sleep(Duration::from_millis(20));
        fs::write(&self.resv, reserved_count.to_string()).unwrap();
        RealKernel.map_anonymous(size_bytes, MapFlags::empty())
    }
}

#[test]
fn no_two_takers_count_on_the_same_huge_pages() {
    let fixture = with_huge_pages(Fixture::new(0), 4, 4, 0);
    let resv = fixture.context().root.path(format!("/{HUGE_PAGE_POOL}/resv_hugepages"));
    let kernel = Arc::new(Reserving { resv, reserved_count: AtomicU64::new(0) });
    let options = HostOptions { huge_pages: HugePageUse::ExplicitOnly, ..HostOptions::default() };
    let backend = HostBackend::on(kernel.clone(), fixture.context(), options);
    let take = || backend.take(&Request::new(2 * MIB, "one page")).is_ok();
    let taken = thread::scope(|scope| {
        let takers: Vec<_> = (0..8).map(|_| scope.spawn(take)).collect();
        takers.into_iter().map(|taker| taker.join().unwrap()).filter(|taken| *taken).count()
    });
    assert_eq!((taken, kernel.reserved_count.load(Ordering::SeqCst)), (4, 4));
}

#[test]
fn transparent_huge_pages_that_are_off_are_remarked() {
    let fixture =
        Fixture::new(4 * GIB).with("sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]\n");
    let remarks = |huge_pages| {
        let options = HostOptions { huge_pages, ..HostOptions::default() };
        HostBackend::with_options(fixture.context(), options).remarks()
    };
    assert!(remarks(HugePageUse::Transparent)[0].contains("transparent_hugepage/enabled"));
    assert!(remarks(HugePageUse::None).is_empty());
}

#[test]
fn nobody_who_holds_a_memory_file_can_change_its_size() {
    let slab = host(of(HostSource::MemoryFile)).take(&Request::new(MIB, "sealed")).unwrap();
    let fd = slab.export_fd().unwrap();
    for size in [0, MIB - 1, 2 * MIB] {
        assert_eq!(ftruncate(&fd, size), Err(Errno::PERM));
    }
}

#[test]
fn a_label_of_any_text_is_taken() {
    for label in ["", "a\0b", "\n", "ä".repeat(200).as_str()] {
        host(of(HostSource::MemoryFile)).take(&Request::new(1, label)).unwrap();
    }
}
