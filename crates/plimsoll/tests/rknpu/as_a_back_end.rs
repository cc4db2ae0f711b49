//! What every back end does, and what this one says of itself.

use std::{os::fd::AsFd, sync::Arc};

use plimsoll::{
    device::{Backend, DeviceContext, RknpuBackend, SharedBackend, rknpu::Alignment},
    units::MIB,
};

use crate::{
    domain,
    fake_rknpu::{Board, Model},
    foreign_buffer,
    suite::{holds, refuses_beyond_headroom},
    take,
};

fn shared(backend: RknpuBackend) -> SharedBackend {
    Arc::new(backend)
}

#[test]
fn it_holds_to_what_all_hold_to() {
    let board = Board::new();
    holds(&shared(board.open().unwrap()));
    refuses_beyond_headroom(|context| {
        let context = DeviceContext { root: board.context().root, ..context };
        shared(RknpuBackend::open_on(board.kernel.clone(), context).unwrap())
    });
}

#[test]
fn so_it_does_in_another_domain() {
    let board = Board::new();
    holds(&shared(board.open().unwrap().in_domain(domain(15)).unwrap()));
    assert_eq!(board.driver().live, 15);
}

#[test]
fn so_it_does_on_a_driver_of_old() {
    let board = Board::with(Model::old());
    holds(&shared(board.open().unwrap()));
}

#[test]
fn a_pool_is_told_to_take_powers_of_two() {
    let board = Board::new();
    let backend = board.open().unwrap();
    let limits = backend.limits();
    assert!(
        limits.powers_of_two && limits.zeroed && limits.mappable && limits.needs_sync && limits.exportable
    );
    assert_eq!((limits.slab_bytes, limits.largest_bytes), (64 * MIB, Some(256 * MIB)));
    assert_eq!((backend.name(), backend.kind().name()), ("rknpu", "rknpu"));
    assert_eq!(backend.in_domain(domain(3)).unwrap().name(), "rknpu:3");
}

#[test]
fn slabs_live_on_when_the_back_end_is_dropped() {
    let board = Board::new();
    let backend = board.open().unwrap();
    let slab = take(&backend, MIB).unwrap();
    drop(backend);
    slab.write(5, b"still there").unwrap();
    assert_eq!(board.open().unwrap_err().code(), "ERR_BUSY");
    drop(slab);
    board.open().unwrap();
}

#[test]
fn no_address_of_the_kernel_is_ever_shown() {
    let board = Board::new();
    let backend = board.open().unwrap();
    let slab = take(&backend, MIB).unwrap();
    let import = backend.import(foreign_buffer(MIB).as_fd()).unwrap();
    for shown in
        [format!("{backend:?}"), format!("{slab:?}"), format!("{import:?}"), format!("{:?}", backend.info())]
    {
        assert!(!shown.contains("obj_addr") && !shown.contains(&0xffff_0001_0000_u64.to_string()), "{shown}");
        assert!(!shown.contains("ffff0001") && !shown.contains("1844646"), "{shown}");
    }
}

#[test]
fn the_driver_says_who_it_is() {
    let board = Board::new();
    let info = board.open().unwrap().info().unwrap();
    assert_eq!(info.node, board.root().join("dev/dri/renderD129"));
    assert_eq!((info.driver_version, info.has_domains, info.live_domain.get()), ([0, 9, 8], true, 0));
    assert_eq!((info.sram_total_bytes, info.sram_free_bytes), (Some(956 << 10), Some(478 << 10)));
    assert_eq!(info.alignment, Alignment::Page);
    let board = Board::with(Model::old());
    let info = board.open().unwrap().info().unwrap();
    assert_eq!((info.driver_version, info.has_domains, info.sram_total_bytes), ([0, 8, 2], false, None));
    assert_eq!(info.alignment, Alignment::Size);
}
