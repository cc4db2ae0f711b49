//! Who is killed where nobody asks before he takes.

use std::{
    env, fs,
    os::{fd::AsFd, unix::process::ExitStatusExt},
    path::Path,
    thread,
    time::Duration,
};

use plimsoll::{
    budget::Promised,
    device::{
        Backend, DeviceContext, HostBackend, Request,
        kernel::{Kernel, RealKernel},
    },
    units::MIB,
};
use rustix::fs::OFlags;

use crate::{child, in_a_guest, inmib, kills, memory, part, settle, system_heap};

/// A program of somebody else's, which knows nothing of us: holds so many MiB of a heap, and from the moment at which that file is
/// there takes ever more. `scripts/guest/hog.mjs` starts it.
fn hog() {
    let mib: u64 = env::var("PLIMSOLL_HOG_MIB").unwrap().parse().unwrap();
    let leak = env::var_os("PLIMSOLL_HOG_LEAK").unwrap();
    let held: Vec<_> = (0..mib / 16).map(|_| allocate_raw(16 * MIB).unwrap()).collect();
    println!("HOLDS {} MiB as {}", 16 * held.len(), std::process::id());
    while !Path::new(&leak).exists() {
        thread::sleep(Duration::from_millis(50));
    }
    let answer: Result<Vec<_>, _> = (0..).map(|_| allocate_raw(4 * MIB)).take(1000).collect();
    panic!("expected to be killed, got {answer:?}");
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
    const TEST: &str = "killer::beyond_headroom_ours_is_refused_where_the_raw_call_is_killed";
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
    const TEST: &str = "killer::the_killer_takes_another_for_the_one_who_holds_a_heap";
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
        Some("hog") => return hog(),
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
