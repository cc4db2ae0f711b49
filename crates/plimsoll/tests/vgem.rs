//! The calls that every DRM driver knows, made for real on the node that `PLIMSOLL_DRM_NODE` names: a card node of vgem,
//! a driver of buffers without a device.

// A test fails by panicking, and makes the calls by which vgem gives buffers itself.
#![allow(unsafe_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{
    fs::File,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::MetadataExt,
    },
    path::{Path, PathBuf},
};

use memmap2::{MmapMut, MmapOptions};
use plimsoll::{
    device::{
        Backend, DeviceContext, DmaHeapBackend, Request, RknpuBackend,
        kernel::{Kernel, RealKernel},
        rknpu::drm::{close_handle, driver_name, export_fd, import_fd},
    },
    system::SystemRoot,
    units::MIB,
};
use rustix::{
    fs::{CWD, FileType, MemfdFlags, Mode, OFlags, memfd_create, mknodat},
    io::Errno,
};

const MODE_CREATE_DUMB: u32 = 0xc020_64b2;
const MODE_MAP_DUMB: u32 = 0xc010_64b3;

/// The node, where there is one to be tested on.
fn named_node() -> Option<PathBuf> {
    let node = std::env::var_os("PLIMSOLL_DRM_NODE").map(PathBuf::from);
    if node.is_none() {
        println!("skipped: PLIMSOLL_DRM_NODE names no card node of vgem");
    }
    node
}

fn open(node: &Path) -> OwnedFd {
    RealKernel.open(node, OFlags::RDWR).unwrap()
}

fn ioctl(node: &OwnedFd, request: u32, argument: &mut [u8]) {
    // SAFETY: both requests that are made take structs of numbers, as long as their number says.
    unsafe { RealKernel.ioctl(node.as_fd(), request, argument) }.unwrap();
}

/// A buffer of 1 MiB.
fn create(node: &OwnedFd) -> u32 {
    let mut argument = [0; 32];
    for (at, number) in [(0, 512_u32), (4, 512), (8, 32)] {
        argument[at..at + 4].copy_from_slice(&number.to_ne_bytes());
    }
    ioctl(node, MODE_CREATE_DUMB, &mut argument);
    assert_eq!(u64::from_ne_bytes(argument[24..].try_into().unwrap()), MIB);
    u32::from_ne_bytes(argument[16..20].try_into().unwrap())
}

/// A map that nobody else of this process writes to while it is looked at.
fn map(file: &OwnedFd, offset_bytes: u64) -> MmapMut {
    // SAFETY: the buffer keeps its size.
    unsafe { MmapOptions::new().offset(offset_bytes).len(MIB as usize).map_mut(file) }.unwrap()
}

fn map_handle(node: &OwnedFd, handle: u32) -> MmapMut {
    let mut argument = [0; 16];
    argument[..4].copy_from_slice(&handle.to_ne_bytes());
    ioctl(node, MODE_MAP_DUMB, &mut argument);
    map(node, u64::from_ne_bytes(argument[8..].try_into().unwrap()))
}

#[test]
fn a_driver_tells_its_name_and_is_not_taken_for_another() {
    let Some(node) = named_node() else { return };
    assert_eq!(driver_name(&RealKernel, open(&node).as_fd()).unwrap(), "vgem");
    let other = File::open("/dev/null").unwrap();
    assert_eq!(driver_name(&RealKernel, other.as_fd()), Err(Errno::NOTTY));
    let refusal = RknpuBackend::open(DeviceContext::default()).unwrap_err();
    assert_eq!(refusal.code(), "ERR_DEVICE_UNAVAILABLE", "{refusal}");
    // Where /sys tells nothing, the node is asked.
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("dev/dri")).unwrap();
    let device = node.metadata().unwrap().rdev();
    let copy = folder.path().join("dev/dri/renderD128");
    mknodat(CWD, &copy, FileType::CharacterDevice, Mode::RUSR | Mode::WUSR, device).unwrap();
    let context = DeviceContext { root: SystemRoot::at(folder.path()), ..DeviceContext::default() };
    let refusal = RknpuBackend::open(context).unwrap_err();
    assert!(refusal.to_string().contains("renderD128 belongs to \"vgem\""), "{refusal}");
}

#[test]
fn an_exported_buffer_is_the_same_memory_and_outlives_its_handle() {
    let Some(node) = named_node() else { return };
    let node = open(&node);
    let handle = create(&node);
    let exported = export_fd(&RealKernel, node.as_fd(), handle).unwrap();
    assert_eq!(RealKernel.size_bytes(exported.as_fd()).unwrap(), MIB);
    map_handle(&node, handle)[4097] = 7;
    let mut seen = map(&exported, 0);
    assert_eq!(seen[4097], 7);
    close_handle(&RealKernel, node.as_fd(), handle).unwrap();
    assert_eq!(close_handle(&RealKernel, node.as_fd(), handle), Err(Errno::INVAL));
    assert_eq!(export_fd(&RealKernel, node.as_fd(), handle).unwrap_err(), Errno::NOENT);
    seen[0] = 9;
    assert_eq!((seen[0], seen[4097]), (9, 7));
}

#[test]
fn an_imported_buffer_has_one_handle_however_often_it_comes() {
    let Some(node) = named_node() else { return };
    let (first, second) = (open(&node), open(&node));
    let handle = create(&first);
    let exported = export_fd(&RealKernel, first.as_fd(), handle).unwrap();
    assert_eq!(import_fd(&RealKernel, first.as_fd(), exported.as_fd()), Ok(handle));
    // Another open file has handles of its own.
    let imported = import_fd(&RealKernel, second.as_fd(), exported.as_fd()).unwrap();
    assert_eq!(import_fd(&RealKernel, second.as_fd(), exported.as_fd()), Ok(imported));
    close_handle(&RealKernel, second.as_fd(), imported).unwrap();
    assert_eq!(close_handle(&RealKernel, second.as_fd(), imported), Err(Errno::INVAL));
    map_handle(&first, handle)[0] = 1;
    close_handle(&RealKernel, first.as_fd(), handle).unwrap();
}

#[test]
fn a_buffer_of_a_dma_heap_is_imported_and_what_is_none_is_not() {
    let Some(node) = named_node() else { return };
    let node = open(&node);
    let file = memfd_create("no dma-buf", MemfdFlags::CLOEXEC).unwrap();
    assert_eq!(import_fd(&RealKernel, node.as_fd(), file.as_fd()), Err(Errno::INVAL));
    let Ok(heap) = DmaHeapBackend::open(DeviceContext::default(), Some("system")) else {
        return println!("skipped in part: there is no dma-heap");
    };
    let slab = heap.take(&Request::new(MIB, "a guest of vgem")).unwrap();
    let handle = import_fd(&RealKernel, node.as_fd(), slab.export_fd().unwrap().as_fd()).unwrap();
    drop(slab);
    close_handle(&RealKernel, node.as_fd(), handle).unwrap();
}
