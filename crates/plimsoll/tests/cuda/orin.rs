//! What holds on a GPU that shares the machine's RAM, and how one with memory of its own differs.

use std::sync::Arc;

use plimsoll::{
    Error, MemoryBudget,
    budget::{MachineOptions, Promised},
    device::{Backend, CudaBackend, CudaChunks, CudaKind, CudaOptions, CudaStaging, CudaUse, Request},
    pool::{MemoryPool, PoolOptions},
    system::Machine,
    units::{GIB, MIB},
};

use crate::fake::Fake;

#[test]
fn headroom_decides_and_not_what_the_driver_calls_free() {
    let fake = Fake::orin();
    for kind in [CudaKind::Device, CudaKind::Pinned, CudaKind::Managed] {
        let back_end = fake.open(kind);
        fake.set_available(GIB);
        let usage = back_end.usage();
        assert_eq!(
            usage.free_bytes,
            Some(768 * MIB),
            "available less the floor, though the driver has 8 GiB free"
        );
        let calls = fake.get("calls");
        let refusal = back_end.take(&Request::new(769 * MIB, "weights")).unwrap_err();
        assert_eq!(refusal.code(), "ERR_INSUFFICIENT_MEMORY", "{refusal}");
        assert!(refusal.to_string().contains("floor of 256.00 MiB"), "{refusal}");
        assert_eq!(fake.get("calls"), calls, "the driver is not asked");
        drop(back_end.take(&Request::new(768 * MIB, "weights")).unwrap());
        let promised =
            Request { promised: Promised::granted(700 * MIB), ..Request::new(100 * MIB, "weights") };
        assert_eq!(back_end.take(&promised).unwrap_err().code(), "ERR_INSUFFICIENT_MEMORY");
    }
    fake.assert_clean();
}

/// What a pool of 64 MiB leaves of a budget of the machine, and of one of numbers, for each kind of memory.
fn counted(fake: &Fake) -> Vec<(u64, u64)> {
    let machine = Machine::read().unwrap();
    let counted_by = |kind: CudaKind, budget: MemoryBudget| {
        let options =
            PoolOptions { initial_bytes: 64 * MIB, budget: Some(budget.clone()), ..PoolOptions::default() };
        let _pool = MemoryPool::create(Arc::new(fake.open(kind)), options).unwrap();
        budget.allocated_bytes() / MIB
    };
    let both = |kind| {
        let of_machine = MemoryBudget::for_machine(&machine, &MachineOptions::default()).unwrap();
        (counted_by(kind, of_machine), counted_by(kind, MemoryBudget::new(GIB, 0).unwrap()))
    };
    [CudaKind::Device, CudaKind::Pinned, CudaKind::Managed].map(both).into()
}

#[test]
fn a_budget_of_the_machine_counts_its_ram_and_no_memory_of_a_gpus_own() {
    let (own, shared) = (Fake::new(), Fake::orin());
    assert_eq!(counted(&own), [(0, 64), (64, 64), (64, 64)]);
    assert_eq!(counted(&shared), [(64, 64); 3]);
    own.assert_clean();
    shared.assert_clean();
}

#[test]
fn the_rule_of_the_boards_driver_holds_for_one_piece() {
    let fake = Fake::orin();
    let mut options = fake.options(CudaKind::Device);
    options.context.headroom.floor_bytes = Some(0);
    let back_end = CudaBackend::open(options).unwrap();
    fake.set_available(2 * GIB);
    let usage = back_end.usage();
    assert_eq!(usage.free_bytes, Some(2 * GIB));
    let largest = usage.largest_free_bytes.unwrap();
    assert!(largest < 2 * GIB && largest > 2 * GIB / 1000 * 998, "{largest}");
    let refusal = back_end.take(&Request::new(largest + 1, "weights")).unwrap_err();
    assert!(refusal.to_string().contains("the driver takes at most"), "{refusal}");
}

#[test]
fn memory_of_a_gpus_own_is_no_matter_of_the_machines_headroom_but_pinned_memory_is() {
    let fake = Fake::new();
    fake.set_available(300 * MIB);
    let back_end = fake.open(CudaKind::Device);
    let slab = back_end.take(&Request::new(GIB, "weights")).unwrap();
    assert_eq!(back_end.usage().free_bytes, Some(7 * GIB));
    for kind in [CudaKind::Pinned, CudaKind::Managed] {
        let refusal = fake.open(kind).take(&Request::new(100 * MIB, "slab")).unwrap_err();
        assert_eq!(refusal.code(), "ERR_INSUFFICIENT_MEMORY");
    }
    let refusal = CudaStaging::new(&back_end, 100 * MIB).unwrap_err();
    assert!(refusal.to_string().contains("\"staging\""), "{refusal}");
    drop((slab, back_end));
    fake.assert_clean();
}

#[test]
fn usage_asks_the_driver_nothing() {
    for fake in [Fake::new(), Fake::orin()] {
        for kind in [CudaKind::Device, CudaKind::Pinned, CudaKind::Managed] {
            let back_end = fake.open(kind);
            let calls = fake.get("calls");
            for _ in 0..10 {
                let _ = (back_end.usage(), back_end.limits());
            }
            assert_eq!(fake.get("calls"), calls);
        }
    }
}

#[test]
fn managed_memory_that_must_not_be_touched_is_not_shown() {
    let fake = Fake::orin();
    let back_end = fake.open(CudaKind::Managed);
    assert!(!back_end.limits().mappable);
    let slab = back_end.take(&Request::new(MIB, "slab")).unwrap();
    let refusal = slab.view().unwrap_err();
    assert!(refusal.to_string().contains("while a kernel runs"), "{refusal}");
    // The fake maps nothing at the address of such memory: a touch would end the process.
    slab.write(5, b"by copies").unwrap();
    slab.fill(14..20, b'!').unwrap();
    slab.populate(Promised::NOTHING).unwrap();
    let mut bytes = [0; 15];
    slab.read(5, &mut bytes).unwrap();
    assert_eq!(&bytes, b"by copies!!!!!!");
    assert_eq!(fake.get("cuMemPrefetchAsync"), 0, "such a device cannot fault pages in");
}

#[test]
fn large_slabs_are_taken_in_chunks_where_the_driver_refuses_them_whole() {
    let fake = Fake::orin();
    fake.set("largest_alloc_bytes", 100 << 20);
    let back_end = fake.open(CudaKind::Device);
    let slab = back_end.take(&Request::new(GIB, "weights")).unwrap();
    assert_eq!((fake.get("cuMemCreate"), fake.get("cuMemAlloc_v2")), (16, 0));
    slab.fill(0..GIB, 1).unwrap();
    let whole =
        CudaBackend::open(CudaOptions { chunks: CudaChunks::Never, ..fake.options(CudaKind::Device) })
            .unwrap();
    let refusal = whole.take(&Request::new(GIB, "weights")).unwrap_err();
    assert_eq!(refusal.code(), "ERR_INSUFFICIENT_MEMORY");
    assert!(refusal.to_string().contains("in several slabs"), "{refusal}");
    drop((slab, back_end, whole));
    fake.assert_clean();
}

#[test]
fn where_chunks_are_refused_one_piece_is_taken_and_nothing_of_them_stays() {
    let open_refusing: [fn(&Fake) -> CudaBackend; 3] = [
        |fake| {
            fake.set("attribute.102", 0);
            fake.open(CudaKind::Device)
        },
        |fake| {
            fake.set("largest_reserve_bytes", 100 << 20);
            fake.open(CudaKind::Device)
        },
        |fake| {
            let back_end = fake.open(CudaKind::Device);
            // Make current, reserve, create and map twice: the third chunk is refused.
            fake.fail_after(6, 2);
            back_end
        },
    ];
    for open in open_refusing {
        let fake = Fake::orin();
        let back_end = open(&fake);
        let slab = back_end.take(&Request::new(GIB, "weights")).unwrap();
        assert_eq!((fake.get("cuMemAlloc_v2"), fake.get("live")), (1, 1), "the piece alone is there");
        let told = back_end.remarks().concat();
        assert_eq!(told.contains("chunks were refused"), back_end.info().virtual_memory_management, "{told}");
        drop((slab, back_end));
        fake.assert_clean();
    }
}

#[test]
fn the_drivers_out_of_memory_names_the_figures() {
    let fake = Fake::new();
    let back_end = fake.open(CudaKind::Device);
    let slab = back_end.take(&Request::new(5 * GIB, "weights")).unwrap();
    let refusal = back_end.take(&Request::new(4 * GIB, "cache")).unwrap_err();
    let Error::InsufficientMemory { label, available_bytes, largest_free_bytes, .. } = &refusal else {
        panic!("{refusal}")
    };
    assert_eq!((label.as_str(), *available_bytes, *largest_free_bytes), ("cache", 3 * GIB, 3 * GIB));
    assert!(refusal.to_string().contains("cuda:0 has 3.00 GiB free, and cuMemAlloc says"), "{refusal}");
    drop((slab, back_end));
    fake.assert_clean();
}

#[test]
fn a_slab_of_one_chunk_is_exported_by_its_handle_and_one_of_several_is_not() {
    let fake = Fake::orin();
    let back_end = fake.open(CudaKind::Device);
    assert!(back_end.limits().exportable, "by handles: the board's driver exports no dma-bufs");
    drop(back_end.take(&Request::new(64 * MIB, "one")).unwrap().export_fd().unwrap());
    let refusal = back_end.take(&Request::new(65 * MIB, "two")).unwrap().export_fd().unwrap_err();
    assert!(refusal.to_string().contains("take at most 64 MiB"), "{refusal}");
}

#[test]
fn on_a_board_it_is_pinned_memory_that_other_drivers_import() {
    let fake = Fake::orin();
    fake.set("attribute.124", 1);
    let export = |kind| fake.open(kind).take(&Request::new(MIB, "shared")).unwrap().export_fd();
    drop(export(CudaKind::Pinned).unwrap());
    assert_eq!(fake.get("cuMemGetHandleForAddressRange"), 1);
    drop(export(CudaKind::Device).unwrap());
    assert_eq!(fake.get("cuMemGetHandleForAddressRange"), 1, "by a handle");
    let refusal = export(CudaKind::Managed).unwrap_err();
    assert!(refusal.to_string().contains("no memory of this kind"), "{refusal}");
}

#[test]
fn advice_follows_what_the_board_can() {
    let fake = Fake::orin();
    let info = fake.open(CudaKind::Device).info().clone();
    let advised = |usage| info.advice(usage);
    assert_eq!(advised(CudaUse::Device).kind, CudaKind::Device);
    assert_eq!(advised(CudaUse::Shared).kind, CudaKind::Pinned);
    assert!(advised(CudaUse::Shared).reason.contains("the processor caches it"));
    assert_eq!(advised(CudaUse::SharedOften).kind, CudaKind::Managed);
    assert!(advised(CudaUse::SharedOften).reason.contains("only while no kernel runs"));
    fake.set("attribute.83", 0);
    fake.set("attribute.75", 5);
    let old = fake.open(CudaKind::Device).info().clone();
    assert_eq!(old.advice(CudaUse::SharedOften).kind, CudaKind::Pinned);
    assert!(old.advice(CudaUse::Shared).reason.contains("the processor does not cache it"));
}
