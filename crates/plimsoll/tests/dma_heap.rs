//! What dma-heaps and udmabuf promise beyond what every back end does, with a kernel that is not there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod suite;

use std::sync::Arc;

use plimsoll::{
    Result,
    device::{Backend, DmaHeap, DmaHeapBackend, Request, SyncKind, UdmabufBackend},
    units::{GIB, MIB},
};
use rustix::io::Errno;
use suite::{fake_kernel::FakeKernel, faults::Faults, fixture::Fixture};

const START: u64 = 3;
const END: u64 = 7;

fn machine(heaps: &[&str]) -> Fixture {
    heaps.iter().fold(Fixture::new(4 * GIB), |fixture, heap| fixture.with(&format!("dev/{heap}"), ""))
}

fn open(fixture: &Fixture, heap: Option<&str>) -> Result<DmaHeapBackend> {
    DmaHeapBackend::open_on(Arc::new(FakeKernel::default()), fixture.context(), heap)
}

fn opened(fixture: &Fixture) -> (DmaHeapBackend, Arc<FakeKernel>) {
    let kernel = Arc::new(FakeKernel::default());
    (DmaHeapBackend::open_on(kernel.clone(), fixture.context(), None).unwrap(), kernel)
}

fn failing(fixture: &Fixture, call: u64, errno: Errno) -> Result<DmaHeapBackend> {
    let kernel = FakeKernel::failing(Faults::once(call), Some(errno));
    DmaHeapBackend::open_on(Arc::new(kernel), fixture.context(), None)
}

#[test]
fn the_heap_that_every_driver_takes_comes_first_and_a_contiguous_one_never_by_itself() {
    let all = ["cma", "cma-uncached", "system-uncached-dma32", "system-uncached", "system-dma32", "system"]
        .map(|name| format!("dma_heap/{name}"));
    let all: Vec<_> = all.iter().map(String::as_str).collect();
    for (count, chosen) in
        [(6, "system"), (5, "system-dma32"), (4, "system-uncached"), (3, "system-uncached-dma32")]
    {
        let backend = open(&machine(&all[..count]), None).unwrap();
        assert_eq!(backend.name(), format!("dma-heap:{chosen}"));
        assert!(backend.remarks().is_empty());
    }
    let refusal = open(&machine(&all[..2]), None).unwrap_err();
    assert_eq!(refusal.code(), "ERR_DEVICE_UNAVAILABLE");
    assert!(refusal.to_string().contains("cma, cma-uncached; name one"), "{refusal}");
}

#[test]
fn heaps_are_listed_with_what_is_contiguous() {
    let fixture = machine(&["dma_heap/system", "dma_heap/reserved", "rk_dma_heap/rk-dma-heap-cma"]);
    let heaps: Vec<_> = DmaHeap::all(&fixture.context().root)
        .into_iter()
        .map(|heap| (heap.path.display().to_string(), heap.is_contiguous))
        .collect();
    let expected = [
        ("/dev/dma_heap/reserved", true),
        ("/dev/dma_heap/system", false),
        ("/dev/rk_dma_heap/rk-dma-heap-cma", true),
    ];
    assert_eq!(heaps, expected.map(|(path, contiguous)| (path.to_owned(), contiguous)));
    assert_eq!(open(&fixture, Some("rk-dma-heap-cma")).unwrap().name(), "dma-heap:rk-dma-heap-cma");
}

#[test]
fn a_heap_that_is_not_there_is_named_with_those_that_are() {
    let fixture = machine(&["dma_heap/system", "dma_heap/reserved"]);
    for name in ["vidmem", "", "../dma_heap/system", "/etc/passwd"] {
        let refusal = open(&fixture, Some(name)).unwrap_err();
        assert_eq!(refusal.code(), "ERR_DEVICE_UNAVAILABLE");
        assert!(refusal.to_string().contains("the heaps here are reserved, system"), "{refusal}");
    }
    let refusal = open(&machine(&[]), None).unwrap_err();
    assert!(refusal.to_string().contains("CONFIG_DMABUF_HEAPS"), "{refusal}");
}

#[test]
fn a_heap_that_may_not_be_opened_is_passed_over_and_remarked_or_explained() {
    for errno in [Errno::ACCESS, Errno::PERM] {
        let two = machine(&["dma_heap/system", "dma_heap/system-uncached"]);
        let backend = failing(&two, 0, errno).unwrap();
        assert_eq!(backend.name(), "dma-heap:system-uncached");
        assert!(
            backend.remarks()[0].contains("/dev/dma_heap/system may not be opened"),
            "{:?}",
            backend.remarks()
        );
        let refusal = failing(&machine(&["dma_heap/system"]), 0, errno).unwrap_err();
        assert_eq!(refusal.code(), "ERR_DEVICE_UNAVAILABLE");
        assert!(refusal.to_string().contains("SUBSYSTEM==\"dma_heap\", GROUP=\"video\""), "{refusal}");
    }
    let refusal = failing(&machine(&["dma_heap/system"]), 0, Errno::MFILE).unwrap_err();
    assert!(refusal.to_string().contains("ulimit -n"), "{refusal}");
}

#[test]
fn headroom_is_read_anew_before_each_slab_and_the_kernel_is_not_asked_beyond_it() {
    let fixture = machine(&["dma_heap/system"]);
    let (backend, kernel) = opened(&fixture);
    let _first = backend.take(&Request::new(GIB, "first")).unwrap();
    fixture.set_memory(GIB, 0);
    let calls = kernel.faults.calls();
    let refusal = backend.take(&Request::new(GIB, "second")).unwrap_err();
    assert_eq!(refusal.code(), "ERR_INSUFFICIENT_MEMORY");
    assert_eq!(kernel.faults.calls(), calls);
    backend.take(&Request::new(GIB - 256 * MIB, "what is there")).unwrap();
}

#[test]
fn no_cgroup_is_weighed_as_none_counts_it() {
    let fixture = machine(&["dma_heap/system", "udmabuf"])
        .with("proc/self/cgroup", "0::/small\n")
        .with("proc/self/mountinfo", "25 1 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
        .with("sys/fs/cgroup/cgroup.controllers", "memory\n")
        .with("sys/fs/cgroup/small/memory.high", "max\n")
        .with("sys/fs/cgroup/small/memory.max", "104857600\n")
        .with("sys/fs/cgroup/small/memory.current", "0\n")
        .with("sys/fs/cgroup/small/memory.stat", "inactive_file 0\n");
    let request = Request::new(200 * MIB, "beyond the group");
    opened(&fixture).0.take(&request).unwrap();
    let backend = UdmabufBackend::open_on(Arc::new(FakeKernel::default()), fixture.context()).unwrap();
    let refusal = backend.take(&request).unwrap_err();
    assert!(refusal.to_string().contains("cgroup /small"), "{refusal}");
}

#[test]
fn contiguous_memory_is_weighed_against_its_own_area_first() {
    let fixture = machine(&["dma_heap/cma"]);
    fixture.set_memory(512 * MIB, 512 * MIB);
    let backend = open(&fixture, Some("cma")).unwrap();
    backend.take(&Request::new(512 * MIB, "all of the area")).unwrap();
    let refusal = backend.take(&Request::new(513 * MIB, "more")).unwrap_err();
    assert_eq!(refusal.code(), "ERR_INSUFFICIENT_MEMORY");
}

#[test]
fn a_refusal_by_the_driver_has_its_number_its_meaning_and_advice() {
    let fixture = machine(&["dma_heap/system"]);
    // Call 0 opens the heap, call 1 allocates.
    let refusal = |errno| failing(&fixture, 1, errno).unwrap().take(&Request::new(MIB, "slab")).unwrap_err();
    assert_eq!(refusal(Errno::NOMEM).code(), "ERR_INSUFFICIENT_MEMORY");
    for (errno, words) in [
        (Errno::MFILE, "ulimit -n"),
        (Errno::NFILE, "fs.file-max"),
        (Errno::INVAL, "gives no buffer of 1.00 MiB"),
        (Errno::NODEV, "the device is gone"),
        (Errno::NOTTY, "no such call"),
    ] {
        let refusal = refusal(errno);
        assert_eq!(refusal.code(), "ERR_DEVICE");
        let text = refusal.to_string();
        assert!(
            text.starts_with("dma-heap:system: DMA_HEAP_IOCTL_ALLOC (error ") && text.contains(words),
            "{text}"
        );
    }
    // Those by which the kernel asks for another try are no refusal.
    for errno in [Errno::INTR, Errno::AGAIN] {
        failing(&fixture, 1, errno).unwrap().take(&Request::new(MIB, "slab")).unwrap();
    }
}

#[test]
fn a_buffer_shows_as_much_of_its_label_as_the_kernel_takes() {
    let fixture = machine(&["dma_heap/system"]);
    let (backend, kernel) = opened(&fixture);
    let long = "ä".repeat(20);
    for label in ["kv-cache", "", "two\nlines", &long] {
        backend.take(&Request::new(1, label)).unwrap();
    }
    let names = kernel.seen.lock().unwrap().names.clone();
    assert_eq!(names, ["kv-cache", "", "two lines", &"ä".repeat(15)]);
}

#[test]
fn every_use_of_the_processor_is_between_a_begin_and_an_end() {
    let fixture = machine(&["dma_heap/system"]);
    let (backend, kernel) = opened(&fixture);
    let (slab, other) =
        (backend.take(&Request::new(MIB, "a")).unwrap(), backend.take(&Request::new(MIB, "b")).unwrap());
    let syncs = || std::mem::take(&mut kernel.seen.lock().unwrap().syncs);
    slab.write(0, b"bytes").unwrap();
    assert_eq!(syncs(), [START, END]);
    slab.read(0, &mut [0; 5]).unwrap();
    assert_eq!(syncs(), [START, END]);
    slab.copy_to(0..5, &*other, 0).unwrap();
    assert_eq!(syncs(), [START, START, END, END]);
    slab.copy_to(0..5, &*slab, 1).unwrap_err();
    assert_eq!(syncs().last(), Some(&END), "what failed was ended too");
}

#[test]
fn nothing_begins_anew_while_a_write_is_open_as_that_would_lose_it() {
    let fixture = machine(&["dma_heap/system"]);
    let (backend, kernel) = opened(&fixture);
    let slab = backend.take(&Request::new(MIB, "a")).unwrap();
    let sync = |kind| {
        slab.sync(kind, 0..MIB).unwrap();
        std::mem::take(&mut kernel.seen.lock().unwrap().syncs)
    };
    assert_eq!(sync(SyncKind::BeginRead), [START]);
    assert_eq!(sync(SyncKind::BeginWrite), [START], "an open read loses nothing");
    assert!(sync(SyncKind::BeginWrite).is_empty());
    assert!(sync(SyncKind::BeginRead).is_empty());
    assert_eq!(sync(SyncKind::EndWrite), [END], "what is written is seen at once");
    assert!(sync(SyncKind::BeginRead).is_empty(), "the other write is still open");
    assert_eq!(sync(SyncKind::EndWrite), [END]);
    assert_eq!(sync(SyncKind::BeginRead), [START]);
}

#[test]
fn udmabuf_makes_no_buffer_beyond_its_limit_and_says_how_to_raise_it() {
    let fixture = machine(&["udmabuf"]).with("sys/module/udmabuf/parameters/size_limit_mb", "16\n");
    let kernel = Arc::new(FakeKernel::default());
    let backend = UdmabufBackend::open_on(kernel.clone(), fixture.context()).unwrap();
    assert_eq!(backend.limits().largest_bytes, Some(16 * MIB));
    assert_eq!(backend.limits().slab_bytes, 16 * MIB);
    backend.take(&Request::new(16 * MIB, "the most")).unwrap();
    let calls = kernel.faults.calls();
    let refusal = backend.take(&Request::new(16 * MIB + 1, "more")).unwrap_err();
    assert_eq!(refusal.code(), "ERR_INSUFFICIENT_MEMORY");
    assert!(refusal.to_string().contains("udmabuf.size_limit_mb=4096"), "{refusal}");
    assert_eq!(kernel.faults.calls(), calls);
}

#[test]
fn udmabuf_that_is_not_there_says_why() {
    let refusal =
        UdmabufBackend::open_on(Arc::new(FakeKernel::default()), machine(&[]).context()).unwrap_err();
    assert_eq!(refusal.code(), "ERR_DEVICE_UNAVAILABLE");
    assert!(refusal.to_string().contains("sudo modprobe udmabuf"), "{refusal}");
}
