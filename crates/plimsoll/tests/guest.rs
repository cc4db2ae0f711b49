//! What real dma-heaps and udmabuf do, and what becomes of those who do not ask first: in a guest that may be hurt.
//!
//! `npm run test:vm` runs it there. Each test is alone in the guest, and some are run again as children.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod withheld;

use std::{
    env, fs,
    os::{
        fd::AsFd,
        unix::process::{CommandExt, ExitStatusExt},
    },
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant, SystemTime},
};

use plimsoll::{
    budget::{MemoryBudget, Promised},
    device::{
        Backend, DeviceContext, DeviceMemory, DmaHeapBackend, HostBackend, HostOptions, HostSource, HostView,
        HugePages, Request, UdmabufBackend,
        kernel::{Kernel, RealKernel},
    },
    monitor::{Monitor, MonitorOptions, Notice, Sample},
    system::{
        HugePages as HugePagePool, Machine, MemInfo, Sampler, SystemRoot, oom_kill_count, process_memory,
    },
    units::{GIB, KIB, MIB},
};
use rustix::{
    fs::OFlags,
    process::{Resource, Rlimit, setrlimit},
};
use withheld::withheld_bytes;

const NOBODY: u32 = 65_534;
const CHILD: &str = "PLIMSOLL_CHILD";

/// Ends a test that would hurt a machine which is no guest, and spares the test itself when the killer comes.
fn in_a_guest() {
    assert!(env::var_os("PLIMSOLL_GUEST").is_some(), "only for a guest: npm run test:vm");
    fs::write("/proc/self/oom_score_adj", "-1000").unwrap();
}

/// The part that a child plays, of the test that is run again as one.
fn part() -> Option<String> {
    env::var(CHILD).ok()
}

fn child(test: &str, part: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args([test, "--exact", "--ignored", "--nocapture"]).env(CHILD, part).stdout(Stdio::null());
    command
}

fn memory() -> MemInfo {
    Machine::read_at(&SystemRoot::default()).unwrap().memory
}

/// `MemAvailable`, and what the kernel withholds from it for a while.
fn available_bytes() -> u64 {
    memory().available_bytes + withheld_bytes()
}

fn kills() -> u64 {
    oom_kill_count(&fs::read("/proc/vmstat").unwrap()).unwrap()
}

/// What is released comes back a little later.
fn settle(holds: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    while !holds() {
        if start.elapsed() > Duration::from_mins(1) {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
    true
}

fn system_heap() -> DmaHeapBackend {
    DmaHeapBackend::open(DeviceContext::default(), None).unwrap()
}

fn inmib(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / MIB as f64)
}

#[test]
#[ignore = "in a guest: npm run test:vm"]
fn slabs_released_a_thousand_times_leave_the_machine_as_it_was() {
    in_a_guest();
    let backend = system_heap();
    let round = || {
        let slabs: Vec<_> = (0..64).map(|_| backend.take(&Request::new(MIB, "again")).unwrap()).collect();
        assert_eq!(backend.usage().used_bytes, 64 * MIB);
        drop(slabs);
    };
    round();
    let (before, start) = (available_bytes(), Instant::now());
    for _ in 0..1000 {
        round();
    }
    let took = start.elapsed();
    let apart = || available_bytes().abs_diff(before);
    assert!(settle(|| apart() <= 8 * MIB), "{} MiB apart", inmib(apart()));
    assert_eq!((backend.usage().slab_count, backend.usage().allocated_count), (0, 64_064));
    println!(
        "64 slabs of 1 MiB taken and released 1000 times: {} MiB available before, {} MiB apart after; \
         {} µs a slab, emulated",
        inmib(before),
        inmib(apart()),
        took.as_micros() / 64_000
    );
}

#[test]
#[ignore = "in a guest: npm run test:vm"]
fn slabs_are_taken_until_headroom_ends_and_nobody_is_killed() {
    in_a_guest();
    let (backend, before) = (system_heap(), kills());
    let mut slabs = Vec::new();
    let refusal = loop {
        match backend.take(&Request::new(16 * MIB, "as many as there are")) {
            Ok(slab) => slabs.push(slab),
            Err(refusal) => break refusal,
        }
    };
    assert_eq!(refusal.code(), "ERR_INSUFFICIENT_MEMORY");
    assert!(slabs.len() > 10, "{}", slabs.len());
    let left = available_bytes();
    assert!((248 * MIB..320 * MIB).contains(&left), "the floor is left: {} MiB", inmib(left));
    assert_eq!(kills(), before);
    println!("{} slabs of 16 MiB, then: {refusal}", slabs.len());
}

/// How far the reading of what no counter owns is off, in percent of what was taken.
fn off_percent(grown: u64, taken: u64) -> f64 {
    (grown as f64 - taken as f64) / taken as f64 * 100.0
}

#[test]
#[ignore = "in a guest: npm run test:vm"]
fn what_a_heap_gives_is_ram_that_no_counter_owns_to_within_two_percent() {
    const TAKEN: u64 = 256 * MIB;
    in_a_guest();
    let (backend, mut sampler) = (system_heap(), Sampler::default());
    // The first taking fills the kernel's own caches.
    drop(backend.take(&Request::new(16 * MIB, "warm")).unwrap());
    let mut dark = || sampler.read_often().dark.unwrap().bytes;
    for slab_bytes in [TAKEN, 16 * MIB, MIB] {
        let before = dark();
        let slabs: Vec<_> = (0..TAKEN / slab_bytes)
            .map(|_| backend.take(&Request::new(slab_bytes, "a model")).unwrap())
            .collect();
        let off = off_percent(dark() - before, TAKEN);
        assert!(off.abs() < 2.0, "{off:.2} % off in slabs of {} MiB", inmib(slab_bytes));
        drop(slabs);
        let start = Instant::now();
        while dark().abs_diff(before) > TAKEN / 50 {
            assert!(
                start.elapsed() < Duration::from_mins(1),
                "{} MiB stayed",
                inmib(dark().abs_diff(before))
            );
            thread::sleep(Duration::from_millis(20));
        }
        println!(
            "256 MiB of a dma-heap in slabs of {} MiB: dark memory is {off:+.2} % off",
            inmib(slab_bytes)
        );
    }
}

#[test]
#[ignore = "in a guest: npm run test:vm"]
fn a_monitor_sees_what_a_heap_gives_in_its_next_sample() {
    const TAKEN: u64 = 256 * MIB;
    in_a_guest();
    let samples = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&samples);
    let options = MonitorOptions { interval: Some(Duration::from_millis(50)), ..MonitorOptions::default() };
    let monitor = Monitor::start(MemoryBudget::new(GIB, 0).unwrap(), options, move |notice| {
        if let Notice::Sample { sample, .. } = notice {
            seen.lock().unwrap().push(sample);
        }
    })
    .unwrap();
    let dark = |sample: &Sample| sample.signals.dark.as_ref().unwrap().bytes;
    assert!(settle(|| samples.lock().unwrap().len() > 3));
    let before = dark(samples.lock().unwrap().last().unwrap());
    let slab = system_heap().take(&Request::new(TAKEN, "a model")).unwrap();
    let taken_at = SystemTime::now();
    let find = || {
        let samples = samples.lock().unwrap();
        let later: Vec<_> = samples.iter().filter(|sample| sample.at >= taken_at).cloned().collect();
        let at = later.iter().position(|sample| dark(sample).saturating_sub(before) >= TAKEN / 50 * 49)?;
        Some((at, later[at].clone()))
    };
    assert!(settle(|| find().is_some()), "no sample shows it");
    let (earlier, sample) = find().unwrap();
    // One may have been read before the taking ended.
    assert!(earlier <= 1, "{earlier} samples did not show it");
    let delay = sample.at.duration_since(taken_at).unwrap();
    println!("a monitor at 50 ms shows 256 MiB of a dma-heap {} ms after they were taken", delay.as_millis());
    let samples = samples.lock().unwrap();
    let growth = samples.iter().filter_map(|it| it.signals.dark.as_ref().ok()?.growth_bytes_per_second);
    assert!(growth.fold(0.0, f64::max) > 0.0);
    drop(samples);
    drop((slab, monitor));
}

/// Asks the driver itself, as a program without headroom would.
fn allocate_raw(bytes: u64) -> rustix::io::Result<i32> {
    let heap = RealKernel.open(Path::new("/dev/dma_heap/system"), OFlags::RDONLY).unwrap();
    let mut argument = [0; 24];
    argument[..8].copy_from_slice(&bytes.to_ne_bytes());
    argument[12..16].copy_from_slice(&(OFlags::RDWR | OFlags::CLOEXEC).bits().to_ne_bytes());
    // SAFETY: these are the 24 bytes that DMA_HEAP_IOCTL_ALLOC takes, without a pointer among them.
    #[allow(unsafe_code)]
    unsafe {
        RealKernel.ioctl(heap.as_fd(), 0xc018_4800, &mut argument)
    }
}

#[test]
#[ignore = "in a guest: npm run test:vm"]
fn beyond_headroom_ours_is_refused_where_the_raw_call_is_killed() {
    const TEST: &str = "beyond_headroom_ours_is_refused_where_the_raw_call_is_killed";
    let bytes = memory().total_bytes;
    match part().as_deref() {
        Some("raw") => {
            fs::write("/proc/self/oom_score_adj", "1000").unwrap();
            let answer = allocate_raw(bytes);
            panic!("expected to be killed, got {answer:?}");
        }
        Some("ours") => {
            fs::write("/proc/self/oom_score_adj", "1000").unwrap();
            let refusal = system_heap().take(&Request::new(bytes, "all of it")).unwrap_err();
            assert_eq!(refusal.code(), "ERR_INSUFFICIENT_MEMORY");
            return;
        }
        _ => in_a_guest(),
    }
    let before = kills();
    let ours = child(TEST, "ours").status().unwrap();
    assert!(ours.success() && kills() == before, "{ours}");
    let raw = child(TEST, "raw").status().unwrap();
    assert_eq!(raw.signal(), Some(9), "{raw}");
    assert!(kills() > before);
    println!("{} MiB at once: ours is refused, the raw call is killed ({raw})", inmib(bytes));
}

#[test]
#[ignore = "in a guest: npm run test:vm"]
fn the_killer_takes_another_for_the_one_who_holds_a_heap() {
    const TEST: &str = "the_killer_takes_another_for_the_one_who_holds_a_heap";
    match part().as_deref() {
        Some("bystander") => {
            fs::write("/proc/self/oom_score_adj", "0").unwrap();
            let memory =
                HostBackend::new(DeviceContext::default()).take(&Request::new(64 * MIB, "ordinary")).unwrap();
            memory.populate(Promised::NOTHING).unwrap();
            fs::write("/tmp/bystander", "ready").unwrap();
            thread::sleep(Duration::from_mins(1));
            return;
        }
        Some("glutton") => {
            fs::write("/proc/self/oom_score_adj", "0").unwrap();
            // In pieces, so that it is alive between them.
            let answer: Result<Vec<_>, _> = (0..).map(|_| allocate_raw(16 * MIB)).take(1000).collect();
            panic!("expected to be killed, got {answer:?}");
        }
        _ => in_a_guest(),
    }
    let mut bystander = child(TEST, "bystander").spawn().unwrap();
    assert!(settle(|| Path::new("/tmp/bystander").exists()));
    let mut glutton = child(TEST, "glutton").spawn().unwrap();
    let first = loop {
        if let Some(status) = bystander.try_wait().unwrap() {
            break status;
        }
        assert!(glutton.try_wait().unwrap().is_none(), "the holder of the heap was killed first");
        thread::sleep(Duration::from_millis(1));
    };
    let then = glutton.wait().unwrap();
    assert_eq!((first.signal(), then.signal()), (Some(9), Some(9)));
    println!("a bystander of 64 MiB was killed first ({first}), the holder of the heap then ({then})");
}

/// What a process's accounts say it holds, in bytes.
#[derive(Clone, Copy)]
struct Accounts {
    unavailable: u64,
    resident: u64,
    shared: u64,
    group: u64,
    oom_score: u64,
}

const GROUP: &str = "/sys/fs/cgroup/plimsoll";

/// Moves this process into a group of its own, with a limit in bytes.
fn join_group(limit: &str) {
    fs::write("/sys/fs/cgroup/cgroup.subtree_control", "+memory").unwrap();
    let _ = fs::create_dir(GROUP);
    fs::write(format!("{GROUP}/memory.max"), limit).unwrap();
    fs::write(format!("{GROUP}/cgroup.procs"), "0").unwrap();
}

fn leave_group() {
    fs::write("/sys/fs/cgroup/cgroup.procs", "0").unwrap();
}

fn accounts() -> Accounts {
    let number = |path: &str| fs::read_to_string(path).unwrap().trim().parse().unwrap();
    let (memory, process) = (memory(), process_memory().unwrap());
    Accounts {
        unavailable: memory.total_bytes - available_bytes(),
        resident: process.rss_bytes,
        shared: process.shmem_bytes,
        group: number(&format!("{GROUP}/memory.current")),
        oom_score: number("/proc/self/oom_score"),
    }
}

/// How the accounts change with a slab of 256 MiB that is written from end to end.
fn seen(backend: &dyn Backend) -> [u64; 5] {
    const SIZE: u64 = 256 * MIB;
    fs::write("/proc/self/oom_score_adj", "0").unwrap();
    let before = accounts();
    let slab = backend.take(&Request::new(SIZE, "counted")).unwrap();
    slab.fill(0..SIZE, 1).unwrap();
    let during = accounts();
    drop(slab);
    let kept = || accounts().unavailable.saturating_sub(before.unavailable);
    assert!(settle(|| kept() < 8 * MIB), "{}: {} MiB did not come back", backend.name(), inmib(kept()));
    let change = |of: fn(Accounts) -> u64| of(during).saturating_sub(of(before));
    [
        change(|accounts| accounts.unavailable),
        change(|accounts| accounts.resident),
        change(|accounts| accounts.shared),
        change(|accounts| accounts.group),
        change(|accounts| accounts.oom_score),
    ]
}

#[test]
#[ignore = "in a guest: npm run test:vm"]
fn heap_memory_is_in_no_account_of_its_process_and_udmabuf_is_in_all() {
    in_a_guest();
    // The line that the refusal gives.
    fs::write("/sys/module/udmabuf/parameters/size_limit_mb", "4096").unwrap();
    join_group("max");
    let context = DeviceContext::default;
    let memory_file = HostOptions { source: HostSource::MemoryFile, ..HostOptions::default() };
    let backends: [Box<dyn Backend>; 4] = [
        Box::new(system_heap()),
        Box::new(UdmabufBackend::open(context()).unwrap()),
        Box::new(HostBackend::with_options(context(), memory_file)),
        Box::new(HostBackend::new(context())),
    ];
    println!("| 256 MiB of | the machine has less, MiB | VmRSS | RssShmem | memory.current | oom_score |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for backend in &backends {
        let [unavailable, resident, shared, group, score] = seen(&**backend);
        let cells = [unavailable, resident, shared, group].map(inmib).join(" | ");
        println!("| {} | {cells} | {score} |", backend.name());
        let all = 250 * MIB;
        let name = backend.name();
        assert!(unavailable > all, "{name}: the machine has less");
        let counted = !name.starts_with("dma-heap");
        assert_eq!(resident > all, counted, "{name}: {} MiB resident", inmib(resident));
        assert_eq!(group > all, counted, "{name}: {} MiB in the group", inmib(group));
        assert_eq!(shared > all, counted && name != "host", "{name}: {} MiB shared", inmib(shared));
        assert!(counted || resident + group < 16 * MIB, "{name}: next to nothing");
    }
    leave_group();
}

#[test]
#[ignore = "in a guest: npm run test:vm"]
fn a_group_binds_udmabuf_and_not_a_heap() {
    in_a_guest();
    join_group(&(128 * MIB).to_string());
    let request = Request::new(192 * MIB, "beyond the group");
    system_heap().take(&request).unwrap();
    fs::write("/sys/module/udmabuf/parameters/size_limit_mb", "4096").unwrap();
    let refusal = UdmabufBackend::open(DeviceContext::default()).unwrap().take(&request).unwrap_err();
    leave_group();
    assert!(refusal.to_string().contains("cgroup /plimsoll"), "{refusal}");
    println!("{refusal}");
}

#[test]
#[ignore = "in a guest: npm run test:vm"]
fn who_may_not_open_a_heap_is_told_the_line_that_mends_it() {
    const TEST: &str = "who_may_not_open_a_heap_is_told_the_line_that_mends_it";
    if part().is_some() {
        let context = DeviceContext::default;
        let refusals =
            [DmaHeapBackend::open(context(), None).map(drop), UdmabufBackend::open(context()).map(drop)];
        for (refusal, rule) in refusals.into_iter().zip(["SUBSYSTEM==\"dma_heap\"", "KERNEL==\"udmabuf\""]) {
            let refusal = refusal.unwrap_err();
            assert_eq!(refusal.code(), "ERR_DEVICE_UNAVAILABLE");
            assert!(refusal.to_string().contains(rule), "{refusal}");
        }
        return;
    }
    in_a_guest();
    let status = child(TEST, "nobody").uid(NOBODY).gid(NOBODY).status().unwrap();
    assert!(status.success(), "{status}");
}

#[test]
#[ignore = "in a guest: npm run test:vm"]
fn who_may_not_lock_memory_is_told_the_limit() {
    const TEST: &str = "who_may_not_lock_memory_is_told_the_limit";
    if part().is_some() {
        setrlimit(Resource::Memlock, Rlimit { current: Some(64 * KIB), maximum: Some(64 * KIB) }).unwrap();
        let options = HostOptions { lock: true, ..HostOptions::default() };
        let backend = HostBackend::with_options(DeviceContext::default(), options);
        backend.take(&Request::new(32 * KIB, "within")).unwrap();
        let refusal = backend.take(&Request::new(MIB, "beyond")).unwrap_err();
        assert!(refusal.to_string().contains("may lock 64.00 KiB in all"), "{refusal}");
        return;
    }
    in_a_guest();
    let status = child(TEST, "nobody").uid(NOBODY).gid(NOBODY).status().unwrap();
    assert!(status.success(), "{status}");
}

#[test]
#[ignore = "in a guest: npm run test:vm"]
fn explicit_huge_pages_come_out_of_their_pool_and_go_back() {
    in_a_guest();
    fs::write("/proc/sys/vm/nr_hugepages", "8").unwrap();
    let free = || HugePagePool::read(&SystemRoot::default()).unwrap()[0].free_count;
    assert_eq!(free(), 8);
    for source in [HostSource::Anonymous, HostSource::MemoryFile] {
        let options = HostOptions { source, huge_pages: HugePages::ExplicitOnly, lock: false };
        let backend = HostBackend::with_options(DeviceContext::default(), options);
        let slab = backend.take(&Request::new(7 * MIB, "huge")).unwrap();
        assert_eq!(slab.size_bytes(), 8 * MIB);
        slab.populate(Promised::NOTHING).unwrap();
        assert_eq!(free(), 4, "{source:?}");
        // One whole page of the three that the range touches.
        slab.discard(MIB..5 * MIB).unwrap();
        assert_eq!(free(), 5, "{source:?}");
        slab.populate(Promised::NOTHING).unwrap();
        let refusal = backend.take(&Request::new(10 * MIB, "more")).unwrap_err();
        assert!(refusal.to_string().contains("vm.nr_hugepages=5"), "{refusal}");
        let either = HostOptions { huge_pages: HugePages::Explicit, ..options };
        let either = HostBackend::with_options(DeviceContext::default(), either);
        let fallen_back = either.take(&Request::new(10 * MIB, "more")).unwrap();
        assert_eq!((fallen_back.size_bytes(), either.remarks().len()), (10 * MIB, 1));
        let view = slab.view().unwrap();
        slab.fill(0..slab.size_bytes(), 7).unwrap();
        assert!(slab.keep_addresses());
        drop(slab);
        assert_eq!(free(), 8, "{source:?}");
        assert_eq!(sum(view), 0, "{source:?}: what was kept are the addresses");
    }
    fs::write("/proc/sys/vm/nr_hugepages", "0").unwrap();
}

/// The sum of the bytes at addresses that were kept.
fn sum(view: HostView) -> u64 {
    // SAFETY: the addresses stay mapped, and nobody writes there.
    #[allow(unsafe_code)]
    let bytes = unsafe { std::slice::from_raw_parts(view.base().as_ptr(), view.size_bytes()) };
    bytes.iter().map(|byte| u64::from(*byte)).sum()
}

#[test]
#[ignore = "in a guest: npm run test:vm"]
fn a_kernel_that_accounts_for_every_page_leaves_no_hole_at_addresses_that_are_kept() {
    in_a_guest();
    let accounts = |mode: &str| fs::write("/proc/sys/vm/overcommit_memory", mode).unwrap();
    // So little that nothing more may be mapped that somebody could write to.
    fs::write("/proc/sys/vm/overcommit_kbytes", "1").unwrap();
    let options = HostOptions { source: HostSource::MemoryFile, ..HostOptions::default() };
    let backend = HostBackend::with_options(DeviceContext::default(), options);
    let slab = backend.take(&Request::new(4 * MIB, "kept")).unwrap();
    slab.fill(0..4 * MIB, 1).unwrap();
    let view = slab.view().unwrap();
    accounts("2");
    let refused = !slab.keep_addresses();
    accounts("0");
    assert!(refused, "before anything is lost");
    assert!(slab.keep_addresses());
    accounts("2");
    drop(slab);
    accounts("0");
    assert_eq!(sum(view), 0);
}

#[test]
#[ignore = "in a guest: npm run test:vm"]
fn a_buffer_shows_its_label_and_its_size_to_those_who_look() {
    let udmabuf = UdmabufBackend::open(DeviceContext::default()).unwrap();
    for (backend, exporter) in [(&system_heap() as &dyn Backend, "system"), (&udmabuf, "udmabuf")] {
        let slab = backend.take(&Request::new(MIB, "kv-cache of llama")).unwrap();
        let fd = slab.export_fd().unwrap();
        let path = format!("/proc/self/fdinfo/{}", std::os::fd::AsRawFd::as_raw_fd(&fd));
        let info = fs::read_to_string(path).unwrap();
        for line in ["size:\t1048576", &format!("exp_name:\t{exporter}"), "name:\tkv-cache of llama"] {
            assert!(info.lines().any(|have| have == line), "{line:?} in {info}");
        }
    }
}

#[test]
#[ignore = "in a guest: npm run test:vm"]
fn too_many_open_files_is_told_with_the_limit() {
    const TEST: &str = "too_many_open_files_is_told_with_the_limit";
    if part().is_some() {
        setrlimit(Resource::Nofile, Rlimit { current: Some(64), maximum: Some(64) }).unwrap();
        let udmabuf = UdmabufBackend::open(DeviceContext::default()).unwrap();
        for backend in [&system_heap() as &dyn Backend, &udmabuf] {
            let slabs: Vec<Box<dyn DeviceMemory>> =
                (0..64).map_while(|_| backend.take(&Request::new(4 * KIB, "file")).ok()).collect();
            assert!(slabs.len() > 40, "{}: {}", backend.name(), slabs.len());
            let refusal = backend.take(&Request::new(4 * KIB, "one more")).unwrap_err();
            assert!(refusal.to_string().contains("ulimit -n"), "{refusal}");
        }
        return;
    }
    in_a_guest();
    assert!(child(TEST, "few files").status().unwrap().success());
}
