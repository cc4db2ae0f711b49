//! Every back end, held to the same suite; and what each of them promises beyond it.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

mod suite;

use std::sync::Arc;

use plimsoll::device::{
    DeviceContext, DmaHeapBackend, HostBackend, HostOptions, HostSource, HugePages, Request, SharedBackend,
    UdmabufBackend,
};
use plimsoll::units::{GIB, MIB};
use suite::{fake_kernel::FakeKernel, fixture::Fixture, holds, refuses_beyond_headroom};

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
        for huge_pages in [HugePages::Transparent, HugePages::Explicit] {
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
