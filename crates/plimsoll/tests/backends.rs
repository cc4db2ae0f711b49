//! Every back end, held to the same suite; and what each of them promises beyond it.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

mod suite;

use std::sync::Arc;

use plimsoll::{
    budget::MemoryBudget,
    device::{
        DeviceContext, DmaHeapBackend, HostBackend, HostOptions, HostSource, HugePageUse, Request,
        SharedBackend, UdmabufBackend,
    },
    pool::{Access, BufferOptions, MemoryPool, PoolOptions},
    units::{GIB, MIB},
};
use rustix::io::Errno;
use suite::{fake_kernel::FakeKernel, faults::Faults, fixture::Fixture, holds, refuses_beyond_headroom};

fn host(options: HostOptions) -> impl FnOnce(DeviceContext) -> SharedBackend {
    move |context| Arc::new(HostBackend::with_options(context, options))
}

#[test]
fn anonymous_memory() {
    holds(&host(HostOptions::default())(DeviceContext::default()));
    refuses_beyond_headroom(host(HostOptions::default()));
}

#[test]
fn memory_files() {
    let options = HostOptions { source: HostSource::MemoryFile, ..HostOptions::default() };
    holds(&host(options)(DeviceContext::default()));
    refuses_beyond_headroom(host(options));
}

#[test]
fn huge_pages_of_every_kind() {
    for source in [HostSource::Anonymous, HostSource::MemoryFile] {
        for huge_pages in [HugePageUse::Transparent, HugePageUse::Explicit] {
            let options = HostOptions { source, huge_pages, ..HostOptions::default() };
            holds(&host(options)(DeviceContext::default()));
        }
    }
}

#[test]
fn locked_memory() {
    for source in [HostSource::Anonymous, HostSource::MemoryFile] {
        let options = HostOptions { source, lock: true, ..HostOptions::default() };
        let backend = host(options)(DeviceContext::default());
        if let Err(refusal) = backend.take(&Request::new(16 * MIB, "may this user?")) {
            println!("not for this user: {refusal}");
            return;
        }
        holds(&backend);
    }
}

#[test]
fn a_dma_heap_of_a_kernel_that_is_not_there() {
    let fixture = Fixture::new(4 * GIB).with("dev/dma_heap/system", "");
    let backend = DmaHeapBackend::open_on(Arc::new(FakeKernel::default()), fixture.context(), None).unwrap();
    holds(&(Arc::new(backend) as SharedBackend));
}

#[test]
fn udmabuf_of_a_kernel_that_is_not_there() {
    let fixture = Fixture::new(4 * GIB).with("dev/udmabuf", "");
    let backend = UdmabufBackend::open_on(Arc::new(FakeKernel::default()), fixture.context()).unwrap();
    holds(&(Arc::new(backend) as SharedBackend));
}

/// A back end of each sort whose memory the kernel maps, on a kernel that is not there.
fn on_a_kernel(kind: usize, kernel: Arc<FakeKernel>, fixture: &Fixture) -> SharedBackend {
    let host = |source, huge_pages| {
        let options = HostOptions { source, huge_pages, ..HostOptions::default() };
        Arc::new(HostBackend::on(kernel.clone(), fixture.context(), options))
    };
    match kind {
        0 => host(HostSource::Anonymous, HugePageUse::None),
        1 => host(HostSource::Anonymous, HugePageUse::Transparent),
        2 => host(HostSource::MemoryFile, HugePageUse::None),
        _ => Arc::new(DmaHeapBackend::open_on(kernel, fixture.context(), None).unwrap()),
    }
}

#[test]
fn an_abandoned_slab_whose_place_nothing_can_take_is_kept_and_counted() {
    let fixture = Fixture::new(4 * GIB).with("dev/dma_heap/system", "");
    // Returns the calls before the map was abandoned, whether one failed, what is read there in the end, and what is
    // counted then.
    let abandoned = |kind, faults: Faults| {
        let kernel = Arc::new(FakeKernel::failing(faults.clone(), Some(Errno::NOMEM)));
        let back_end = on_a_kernel(kind, kernel, &fixture);
        let budget = MemoryBudget::new(GIB, 0).unwrap();
        let options =
            PoolOptions { slab_bytes: 2 * MIB, budget: Some(budget.clone()), ..PoolOptions::default() };
        let pool = MemoryPool::create(Arc::clone(&back_end), options).unwrap();
        let buffer = pool.allocate_growing(1000, &BufferOptions::default(), &mut |_| false).unwrap();
        buffer.fill(0, 1000, 7).unwrap();
        let mut map = buffer.map(0, 1000, Access::Read).unwrap();
        map.end().unwrap();
        let (seen, calls) = (map.view().base(), faults.calls());
        map.abandon();
        drop(buffer);
        pool.close();
        drop(pool);
        // SAFETY: the addresses stay mapped; nobody writes to them any more.
        #[allow(unsafe_code)]
        let byte = unsafe { seen.as_ptr().read_volatile() };
        (calls, faults.failures(), byte, budget.allocated_bytes(), back_end.usage().used_bytes)
    };
    for kind in 0..4 {
        let (calls, ..) = abandoned(kind, Faults::never());
        assert_eq!(abandoned(kind, Faults::never()), (calls, 0, 0, 0, 0), "{kind}: the slab goes");
        let kept = abandoned(kind, Faults::once(calls));
        assert_eq!(kept, (calls, 1, 7, 2 * MIB, 2 * MIB), "{kind}: the slab stays");
    }
}

#[test]
#[ignore = "needs /dev/dma_heap: npm run test:vm"]
fn dma_heap() {
    let open = |context| Arc::new(DmaHeapBackend::open(context, Some("system")).unwrap()) as SharedBackend;
    holds(&open(DeviceContext::default()));
    refuses_beyond_headroom(open);
}

#[test]
#[ignore = "needs /dev/udmabuf: npm run test:vm"]
fn udmabuf() {
    let open = |context| Arc::new(UdmabufBackend::open(context).unwrap()) as SharedBackend;
    holds(&open(DeviceContext::default()));
    refuses_beyond_headroom(open);
}
