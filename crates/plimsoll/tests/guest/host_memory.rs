//! Ordinary RAM: pages of its own pool, and addresses that are kept.

use std::fs;

use plimsoll::{
    budget::Promised,
    device::{Backend, DeviceContext, HostBackend, HostOptions, HostSource, HostView, HugePageUse, Request},
    system::{HugePages as HugePagePool, SystemRoot},
    units::MIB,
};

use crate::in_a_guest;

#[test]
#[ignore = "in a guest: npm run test:vm"]
fn explicit_huge_pages_come_out_of_their_pool_and_go_back() {
    in_a_guest();
    fs::write("/proc/sys/vm/nr_hugepages", "8").unwrap();
    let free = || HugePagePool::read(&SystemRoot::default()).unwrap()[0].free_count;
    assert_eq!(free(), 8);
    for source in [HostSource::Anonymous, HostSource::MemoryFile] {
        let options = HostOptions { source, huge_pages: HugePageUse::ExplicitOnly, lock: false };
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
        let either = HostOptions { huge_pages: HugePageUse::Explicit, ..options };
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
