//! The NPU's back end on a board that is played under its system calls.

// A test fails by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod fake_rknpu;
mod suite;

use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    os::fd::{AsFd, OwnedFd},
    process::{Command, Stdio},
    sync::Arc,
    thread,
};

use fake_rknpu::{Board, Model};
use plimsoll::{
    Error, Result,
    budget::Promised,
    device::{
        Backend, DeviceContext, DeviceMemory, Request, RknpuBackend, SharedBackend, SyncKind,
        kernel::Kernel,
        rknpu::{Alignment, DomainId, WINDOW_BYTES},
    },
    units::{GIB, MIB},
};
use rustix::{
    fs::{MemfdFlags, OFlags},
    io::Errno,
};
use suite::{faults::Faults, holds, refuses_beyond_headroom};

/// Where the unit of a board's version ends the rule by sizes.
fn model(version: u32) -> Model {
    Model { version, ..Model::default() }
}

fn take(backend: &RknpuBackend, bytes: u64) -> Result<Box<dyn DeviceMemory>> {
    backend.take(&Request::new(bytes, "a test"))
}

/// As many slabs as there are.
fn fill(backend: &RknpuBackend, bytes: u64) -> Vec<Box<dyn DeviceMemory>> {
    std::iter::from_fn(|| take(backend, bytes).ok()).collect()
}

fn domain(id: u8) -> DomainId {
    DomainId::new(id).unwrap()
}

#[track_caller]
fn hole_of(refusal: &Error) -> u64 {
    let Error::InsufficientMemory { largest_free_bytes, .. } = refusal else { panic!("{refusal}") };
    *largest_free_bytes
}

fn foreign_buffer(bytes: u64) -> File {
    let file = File::from(rustix::fs::memfd_create("dma-buf", MemfdFlags::CLOEXEC).unwrap());
    file.set_len(bytes).unwrap();
    file
}

mod as_a_back_end {
    use super::*;

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
            limits.powers_of_two
                && limits.zeroed
                && limits.mappable
                && limits.needs_sync
                && limits.exportable
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
        for shown in [
            format!("{backend:?}"),
            format!("{slab:?}"),
            format!("{import:?}"),
            format!("{:?}", backend.info()),
        ] {
            assert!(
                !shown.contains("obj_addr") && !shown.contains(&0xffff_0001_0000_u64.to_string()),
                "{shown}"
            );
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
}

mod the_window {
    use super::*;

    #[test]
    fn as_many_slabs_fit_as_boards_have_been_seen_to_take_and_the_driver_is_never_asked_in_vain() {
        for (bytes, fit) in [
            (64 * MIB, 63),
            (128 * MIB, 31),
            (256 * MIB, 15),
            (300 * MIB, 7),
            (512 * MIB, 7),
            (GIB, 3),
            (1_427_746_880, 1),
            (1_418_407_808, 1),
            (2 * GIB, 1),
            (3_085_697_024, 0),
            (4_022_861_824, 0),
        ] {
            let board = Board::with(model(907));
            let backend = board.open().unwrap();
            let slabs = fill(&backend, bytes);
            assert_eq!(slabs.len(), fit, "{bytes} bytes");
            let created = board.driver().created.len();
            let refusal = take(&backend, bytes).unwrap_err();
            assert!(refusal.to_string().contains("largest hole in domain 0"), "{refusal}");
            assert!(hole_of(&refusal) < bytes);
            assert_eq!(board.driver().created.len(), created);
            let usage = backend.usage();
            assert_eq!(usage.used_bytes, bytes.next_multiple_of(4096) * fit as u64);
            assert_eq!(
                (usage.total_bytes, usage.free_bytes),
                (Some(WINDOW_BYTES), Some(WINDOW_BYTES - 4096 - usage.used_bytes))
            );
            assert_eq!(usage.largest_free_bytes, Some(hole_of(&refusal)));
            // What is named as the hole can be had.
            if hole_of(&refusal) > 0 {
                take(&backend, hole_of(&refusal)).unwrap();
            }
        }
    }

    #[test]
    fn newer_drivers_place_a_giant_where_its_alignment_would_not() {
        const NO_ALIGNMENT: u32 = 1 << 10;
        let board = Board::new();
        let backend = board.open().unwrap();
        let giant = take(&backend, 3_085_697_024).unwrap();
        assert_eq!(giant.size_bytes(), 3_085_697_024);
        assert_eq!(board.driver().created[0] & NO_ALIGNMENT, NO_ALIGNMENT);
        // A power of two lies well by the rule.
        take(&backend, 256 * MIB).unwrap();
        assert_eq!(board.driver().created[1] & NO_ALIGNMENT, 0);
        drop(giant);
        assert_eq!(fill(&backend, 300 * MIB).len(), 13);
    }

    #[test]
    fn the_map_agree_with_the_addresses_that_the_driver_gives() {
        let board = Board::new();
        let backend = board.open().unwrap();
        let mut slabs = fill(&backend, 64 * MIB);
        let holes = [3, 4, 30, 50];
        for hole in holes {
            drop(slabs.swap_remove(hole));
        }
        let window = backend.window();
        assert_eq!(window.used_bytes(), slabs.len() as u64 * 64 * MIB);
        for slab in &slabs {
            assert!(slab.device_address().unwrap().is_multiple_of(64 * MIB));
        }
        assert_eq!(fill(&backend, 64 * MIB).len(), holes.len());
        slabs.clear();
        assert_eq!(backend.window(), plimsoll::device::rknpu::Window::default());
    }

    #[test]
    fn buffers_of_other_programs_are_met_with_a_reason() {
        let board = Board::new();
        let backend = board.open().unwrap();
        board.driver().occupy(0, 2 * GIB);
        let refusal = take(&backend, 3 * GIB).unwrap_err();
        assert!(refusal.to_string().contains("other programs"), "{refusal}");
        assert!(hole_of(&refusal) < 3 * GIB);
        // The driver refused all the same afterwards, until something came back; that is forgotten with the next one.
        take(&backend, GIB).unwrap();
        assert_eq!((backend.usage().used_bytes, backend.usage().refused_count), (0, 1));
    }

    #[test]
    fn another_domain_has_a_window_of_its_own() {
        let board = Board::new();
        let first = board.open().unwrap();
        let second = first.in_domain(domain(1)).unwrap();
        let (full, also) = (fill(&first, 256 * MIB), fill(&second, 256 * MIB));
        assert_eq!((full.len(), also.len()), (15, 15));
        assert_eq!(first.usage().used_bytes, second.usage().used_bytes);
        // Both views of one domain have the same map.
        assert_eq!(first.in_domain(domain(1)).unwrap().usage(), second.usage());
        assert_eq!(first.plan(&[256 * MIB, 64 * MIB, GIB]).unwrap(), [domain(2), domain(0), domain(2)]);
        drop(full);
        assert_eq!(first.usage().used_bytes, 0);
        assert_eq!(second.usage().slab_count, 15);
    }
}

mod domains {
    use super::*;

    #[test]
    fn the_domain_of_a_slab_is_made_live_when_it_is_used() {
        let board = Board::new();
        let (zero, three) = {
            let zero = board.open().unwrap();
            let three = zero.in_domain(domain(3)).unwrap();
            (zero, three)
        };
        let slab = take(&three, MIB).unwrap();
        assert_eq!(zero.info().unwrap().live_domain, domain(3));
        zero.make_live().unwrap();
        assert_eq!(board.driver().live, 0);
        slab.write(0, b"x").unwrap();
        assert_eq!(board.driver().live, 3);
    }

    #[test]
    fn a_domain_that_a_job_holds_is_busy_and_says_so() {
        let board = Board::new();
        let backend = board.open().unwrap();
        board.driver().held = true;
        let other = backend.in_domain(domain(1)).unwrap();
        for refusal in [other.make_live().unwrap_err(), take(&other, MIB).unwrap_err()] {
            let Error::Device { errno, .. } = &refusal else { panic!("{refusal}") };
            assert_eq!(*errno, Some(22));
            assert!(refusal.to_string().contains("held a different one for 6 seconds"), "{refusal}");
        }
        backend.make_live().unwrap();
        take(&backend, MIB).unwrap();
    }

    #[test]
    fn a_driver_of_old_has_one() {
        let board = Board::with(Model::old());
        let backend = board.open().unwrap();
        backend.make_live().unwrap();
        backend.in_domain(domain(0)).unwrap();
        let refusal = backend.in_domain(domain(1)).unwrap_err();
        assert_eq!(refusal.code(), "ERR_DEVICE_UNAVAILABLE");
        assert!(refusal.to_string().contains("use domain 0"), "{refusal}");
    }

    #[test]
    fn what_cannot_be_freed_now_stays_in_the_map_and_goes_at_the_next_occasion() {
        let board = Board::new();
        let backend = board.open().unwrap();
        let other = backend.in_domain(domain(1)).unwrap();
        let slab = take(&other, 64 * MIB).unwrap();
        backend.make_live().unwrap();
        board.driver().faults = Faults::from(0);
        drop(slab);
        board.driver().faults = Faults::never();
        assert_eq!((other.usage().used_bytes, other.usage().slab_count), (64 * MIB, 1));
        assert_eq!(other.window().used_bytes(), 64 * MIB);
        assert_eq!(board.driver().live_bytes(), 64 * MIB);
        take(&backend, MIB).unwrap();
        assert_eq!((other.usage().used_bytes, other.window().used_bytes()), (0, 0));
        assert_eq!(board.driver().live_bytes(), 0);
    }

    #[test]
    fn a_slab_whose_domain_cannot_be_live_goes_back_when_it_can() {
        let board = Board::new();
        let backend = board.open().unwrap();
        let other = backend.in_domain(domain(1)).unwrap();
        let slab = take(&other, MIB).unwrap();
        backend.make_live().unwrap();
        board.driver().held = true;
        drop(slab);
        // Those of the live one are not kept waiting by it.
        drop(take(&backend, 2 * MIB).unwrap());
        assert_eq!((backend.usage().used_bytes, other.usage().used_bytes), (0, MIB));
        assert_eq!(board.driver().live_bytes(), MIB);
        board.driver().held = false;
        drop(take(&backend, MIB).unwrap());
        assert_eq!((other.usage().used_bytes, board.driver().live_bytes()), (0, 0));
    }
}

mod syncs {
    use super::*;

    #[test]
    fn what_the_processor_does_is_seen_by_the_device_and_the_other_way_round() {
        const TO_DEVICE: u32 = 1;
        const FROM_DEVICE: u32 = 2;
        let board = Board::new();
        let backend = board.open().unwrap();
        let slab = take(&backend, MIB).unwrap();
        let steps = |board: &Board| std::mem::take(&mut board.driver().syncs);
        slab.write(100, &[1; 50]).unwrap();
        assert_eq!(steps(&board), [(FROM_DEVICE, 100, 50), (TO_DEVICE, 100, 50)]);
        slab.read(7, &mut [0; 9]).unwrap();
        assert_eq!(steps(&board), [(FROM_DEVICE, 7, 9)]);
        slab.fill(0..MIB, 3).unwrap();
        assert_eq!(steps(&board), [(FROM_DEVICE, 0, MIB), (TO_DEVICE, 0, MIB)]);
        slab.read(3, &mut []).unwrap();
        assert_eq!(steps(&board), []);
    }

    #[test]
    fn what_is_being_written_is_not_thrown_away_by_a_reader() {
        let board = Board::new();
        let backend = board.open().unwrap();
        let slab = take(&backend, MIB).unwrap();
        slab.sync(SyncKind::BeginWrite, 100..200).unwrap();
        board.driver().syncs.clear();
        slab.sync(SyncKind::BeginRead, 120..180).unwrap();
        assert_eq!(board.driver().syncs, []);
        // Elsewhere the device's bytes are wanted all the same.
        slab.sync(SyncKind::BeginRead, 200..300).unwrap();
        slab.sync(SyncKind::BeginRead, 50..300).unwrap();
        assert_eq!(board.driver().syncs, [(2, 200, 100), (2, 50, 50), (2, 200, 100)]);
        slab.sync(SyncKind::EndWrite, 100..200).unwrap();
        board.driver().syncs.clear();
        slab.sync(SyncKind::BeginRead, 150..300).unwrap();
        assert_eq!(board.driver().syncs, [(2, 150, 150)]);
    }

    // Ranges that end before they begin are among what is tried.
    #[allow(clippy::reversed_empty_ranges)]
    #[test]
    fn a_range_beyond_the_slab_never_reaches_the_kernel() {
        let board = Board::new();
        let slab = take(&board.open().unwrap(), MIB).unwrap();
        for range in [0..MIB + 1, MIB..MIB + 1, 2..1, u64::MAX - 1..u64::MAX] {
            let refusal = slab.sync(SyncKind::EndWrite, range).unwrap_err();
            assert_eq!(refusal.code(), "ERR_INVALID_ARGUMENT");
        }
        assert_eq!(board.driver().syncs, []);
    }
}

mod the_node {
    use super::*;

    #[track_caller]
    fn unavailable(board: &Board, words: &str) {
        let refusal = board.open().unwrap_err();
        assert_eq!(refusal.code(), "ERR_DEVICE_UNAVAILABLE", "{refusal}");
        assert!(refusal.to_string().contains(words), "{refusal}");
    }

    #[test]
    fn is_found_where_sys_is_not_shown() {
        let board = Board::new();
        board.remove("sys");
        take(&board.open().unwrap(), MIB).unwrap();
        // The one that answers by that name among the card nodes, where there is no other.
        board.remove("dev/dri/renderD129");
        assert!(board.open().unwrap().info().unwrap().node.ends_with("card1"));
        board.remove("dev/dri/card1");
        unavailable(&board, "renderD128 belongs to \"panfrost\"");
        board.remove("dev/dri");
        unavailable(&board, "no Rockchip NPU driver");
    }

    #[test]
    fn of_another_driver_is_never_sent_a_call_of_this_one() {
        // The board's end asserts that none was.
        let board = Board::with(Model { name: "rocket", ..Model::default() });
        unavailable(&board, "belongs to \"rocket\"");
        board.remove("sys");
        unavailable(&board, "no DRM node is the NPU's");
    }

    #[test]
    fn that_cannot_be_opened_says_why() {
        let board = Board::new();
        board.driver().errno = Some(Errno::ACCESS);
        board.driver().faults = Faults::once(0);
        unavailable(&board, "Permission denied");
        board.remove("dev/dri");
        unavailable(&board, "/dev/dri/renderD129 is not");
        board.add(".dockerenv");
        unavailable(&board, "the container does not show");
        board.remove("sys");
        board.add("dev/rknpu");
        unavailable(&board, "contiguous memory only; take dma-heap");
        board.remove("dev/rknpu");
        board.add("dev/accel/accel0");
        unavailable(&board, "mainline driver");
    }

    #[test]
    fn without_an_iommu_is_not_used() {
        unavailable(&Board::with(Model { iommu: false, ..Model::default() }), "works without its IOMMU");
    }
}

mod refusals {
    use super::*;

    #[track_caller]
    fn refused(board: &Board, backend: &RknpuBackend, errno: Errno) -> Error {
        board.driver().errno = Some(errno);
        board.driver().faults = Faults::once(0);
        let refusal = take(backend, MIB).unwrap_err();
        assert_eq!(board.driver().faults.failures(), 1);
        refusal
    }

    #[test]
    fn have_a_meaning() {
        let board = Board::new();
        let backend = board.open().unwrap();
        for (errno, code, words) in [
            (Errno::NOMEM, "ERR_INSUFFICIENT_MEMORY", "no free pages"),
            (Errno::FAULT, "ERR_INSUFFICIENT_MEMORY", "no place in domain 0"),
            (Errno::INVAL, "ERR_DEVICE", "held a different one"),
            (Errno::MFILE, "ERR_DEVICE", "ulimit -n"),
            (Errno::ACCESS, "ERR_DEVICE", "usermod -aG render"),
            (Errno::NODEV, "ERR_DEVICE", "the NPU is lost"),
            (Errno::IO, "ERR_DEVICE", "the NPU is lost"),
            (Errno::PIPE, "ERR_DEVICE", "the NPU is lost"),
        ] {
            let refusal = refused(&board, &backend, errno);
            assert_eq!(refusal.code(), code, "{refusal}");
            assert!(refusal.to_string().contains(words), "{refusal}");
            assert!(refusal.to_string().contains("MEM_CREATE"), "{refusal}");
        }
        assert_eq!(backend.usage().refused_count, 8);
    }

    #[test]
    fn of_pages_are_told_with_what_the_machine_has() {
        let board = Board::new();
        let backend = board.open().unwrap();
        board.driver().pages_left = 256;
        take(&backend, MIB).unwrap();
        let refusal = take(&backend, 2 * MIB).unwrap_err();
        assert!(refusal.to_string().contains("error 12"), "{refusal}");
        assert!(hole_of(&refusal) < 2 * MIB);
    }

    #[test]
    fn by_headroom_come_before_the_driver_is_asked() {
        let board = Board::new();
        let backend = board.open().unwrap();
        board.set_available(356 * MIB);
        take(&backend, 100 * MIB).unwrap();
        take(&backend, 100 * MIB + 1).unwrap_err();
        let pending = Request { promised: Promised::granted(50 * MIB), ..Request::new(64 * MIB, "promised") };
        assert!(hole_of(&backend.take(&pending).unwrap_err()) <= 50 * MIB);
        assert_eq!(board.driver().created.len(), 1);
    }

    #[test]
    fn meet_a_driver_whose_answer_cannot_be() {
        let board = Board::new();
        let backend = board.open().unwrap();
        for lie in [(8, 4096), (8, u64::MAX), (16, 0), (24, 0), (24, WINDOW_BYTES), (24, u64::MAX - 4096)] {
            board.driver().lie = Some(lie);
            let refusal = take(&backend, MIB).unwrap_err();
            assert!(refusal.to_string().contains("the driver gave"), "{refusal}");
            assert_eq!((backend.usage().used_bytes, board.driver().live_bytes()), (0, 0), "{lie:?}");
        }
        let held = take(&backend, MIB).unwrap();
        // A handle that is known already must not be closed under its holder.
        board.driver().lie = Some((0, 7));
        take(&backend, MIB).unwrap_err();
        held.write(0, b"whole").unwrap();
    }

    #[test]
    fn of_a_lost_device_leave_nothing_behind() {
        let board = Board::new();
        let backend = board.open().unwrap();
        let (slab, mapped) = (take(&backend, MIB).unwrap(), take(&backend, MIB).unwrap());
        mapped.write(0, b"before").unwrap();
        board.driver().errno = Some(Errno::NODEV);
        board.driver().faults = Faults::from(0);
        let refusals = [
            slab.write(0, b"after").unwrap_err(),
            mapped.read(0, &mut [0]).unwrap_err(),
            slab.export_fd().unwrap_err(),
            take(&backend, MIB).unwrap_err(),
            backend.info().unwrap_err(),
            backend.make_live().unwrap_err(),
            backend.import(foreign_buffer(MIB).as_fd()).unwrap_err(),
        ];
        for refusal in refusals {
            assert!(refusal.to_string().contains("the NPU is lost"), "{refusal}");
        }
        // Views are of the process and stay.
        assert!(mapped.view().is_ok());
    }
}

mod imports {
    use super::*;

    #[test]
    fn have_an_address_and_a_place_in_the_window() {
        let board = Board::new();
        let backend = board.open().unwrap();
        let buffer = foreign_buffer(256 * MIB);
        let import = backend.import(buffer.as_fd()).unwrap();
        assert_eq!(import.size_bytes(), 256 * MIB);
        assert!(import.device_address().is_multiple_of(256 * MIB));
        assert_eq!(backend.window().used_bytes(), 256 * MIB);
        assert_eq!(fill(&backend, 256 * MIB).len(), 14);
        drop(import);
        assert_eq!((backend.window().used_bytes(), backend.usage().used_bytes), (0, 0));
        drop(backend.import(buffer.as_fd()).unwrap());
    }

    #[test]
    fn of_the_same_buffer_twice_would_be_closed_twice() {
        let board = Board::new();
        let backend = board.open().unwrap();
        let buffer = foreign_buffer(MIB);
        let import = backend.import(buffer.as_fd()).unwrap();
        assert_eq!(backend.import(buffer.as_fd()).unwrap_err().code(), "ERR_BUSY");
        let slab = take(&backend, MIB).unwrap();
        let exported = slab.export_fd().unwrap();
        let refusal = backend.import(exported.as_fd()).unwrap_err();
        assert!(refusal.to_string().contains("a slab of its own"), "{refusal}");
        assert_eq!(board.driver().live_bytes(), 2 * MIB);
        drop(import);
        slab.write(0, b"whole").unwrap();
    }

    #[test]
    fn go_to_domain_0_and_to_no_other() {
        let board = Board::new();
        let backend = board.open().unwrap();
        let other = backend.in_domain(domain(2)).unwrap();
        other.make_live().unwrap();
        let buffer = foreign_buffer(MIB);
        assert_eq!(other.import(buffer.as_fd()).unwrap_err().code(), "ERR_INVALID_ARGUMENT");
        // The driver would put it into the live one, and take it out of 0 later.
        drop(backend.import(buffer.as_fd()).unwrap());
        assert_eq!(board.driver().live, 0);
    }

    #[test]
    fn of_what_is_no_buffer_are_refused() {
        let board = Board::new();
        let backend = board.open().unwrap();
        let file = File::open("/proc/self/exe").unwrap();
        assert_eq!(backend.import(file.as_fd()).unwrap_err().code(), "ERR_DEVICE");
    }
}

mod exports {
    use super::*;

    #[test]
    fn keep_the_memory_and_its_addresses_until_they_are_closed() {
        let board = Board::new();
        let backend = board.open().unwrap();
        let slab = take(&backend, 2 * GIB).unwrap();
        let exported = slab.export_fd().unwrap();
        drop(slab);
        assert_eq!(backend.usage().used_bytes, 0);
        assert_eq!(board.driver().live_bytes(), 2 * GIB);
        let refusal = take(&backend, 3 * GIB).unwrap_err();
        assert!(refusal.to_string().contains("error 14"), "{refusal}");
        drop(exported);
        assert_eq!(board.driver().live_bytes(), 0);
    }

    #[test]
    fn beyond_the_limit_of_open_files_are_refused() {
        let board = Board::new();
        let slab = take(&board.open().unwrap(), MIB).unwrap();
        board.driver().errno = Some(Errno::MFILE);
        board.driver().faults = Faults::once(0);
        let refusal = slab.export_fd().unwrap_err();
        assert!(refusal.to_string().contains("ulimit -n"), "{refusal}");
    }
}

mod failures {
    use super::*;

    /// What drivers and the kernel around them answer.
    const ERRNOS: [Errno; 7] =
        [Errno::INTR, Errno::NOMEM, Errno::FAULT, Errno::INVAL, Errno::MFILE, Errno::NODEV, Errno::BUSY];

    /// Every call there is, however often one fails.
    fn use_all(backend: &RknpuBackend) -> Vec<Result<()>> {
        let other = backend.in_domain(domain(1));
        let mut results = vec![backend.info().map(drop), backend.make_live()];
        let slabs: Vec<_> = (0..2)
            .map(|_| take(backend, 64 * MIB))
            .chain(other.iter().map(|other| take(other, 3 * GIB)))
            .collect();
        for slab in slabs.iter().flatten() {
            results.push(slab.write(4095, &[7; 5000]));
            results.push(slab.read(1, &mut [0; 5000]));
            results.push(slab.export_fd().map(drop));
            results.extend(slabs.iter().flatten().map(|to| slab.copy_to(0..100, &**to, 200)));
        }
        results.push(backend.import(foreign_buffer(MIB).as_fd()).map(drop));
        results.push(other.map(drop));
        results.extend(slabs.into_iter().map(|slab| slab.map(drop)));
        results
    }

    /// Uses a board to its end, by a plan of failures from the first call on.
    fn run(faults: Faults, errno: Option<Errno>) -> Faults {
        let board = Board::new();
        board.driver().faults = faults.clone();
        board.driver().errno = errno;
        let opened = board.open();
        run_on(&board, opened);
        faults
    }

    fn run_on(board: &Board, opened: Result<RknpuBackend>) {
        match opened {
            Err(refusal) => {
                let code = refusal.code();
                assert!(["ERR_DEVICE", "ERR_DEVICE_UNAVAILABLE"].contains(&code), "{refusal}");
            }
            Ok(backend) => {
                for refusal in use_all(&backend).into_iter().filter_map(Result::err) {
                    let code = refusal.code();
                    // The driver may have seemed to be one that has no domains.
                    let codes = ["ERR_DEVICE", "ERR_INSUFFICIENT_MEMORY", "ERR_DEVICE_UNAVAILABLE"];
                    assert!(codes.contains(&code), "{code}: {refusal}");
                }
                // What the driver refused to take back goes with the next occasion.
                board.driver().faults = Faults::never();
                take(&backend, MIB).unwrap();
                let (usage, window) = (backend.usage(), backend.window());
                assert_eq!((usage.used_bytes, usage.slab_count, window.used_bytes()), (0, 0, 0));
                // A failed question may have made it a driver with one domain.
                let domains = if backend.info().unwrap().has_domains { 16 } else { 1 };
                let planned = backend.plan(&vec![2 * GIB; domains]).unwrap().len();
                assert_eq!(planned, domains, "every domain is empty");
                assert!(
                    backend.plan(&vec![2 * GIB; domains + 1]).is_err(),
                    "none is planned that is not there"
                );
                assert_eq!(board.driver().live_bytes(), 0);
            }
        }
    }

    #[test]
    fn of_each_call_with_each_number_leave_nothing() {
        let calls = run(Faults::never(), None).calls();
        assert!(calls > 50, "{calls}");
        for call in 0..calls {
            for errno in ERRNOS {
                assert_eq!(run(Faults::once(call), Some(errno)).failures(), 1);
            }
        }
    }

    #[test]
    fn of_many_calls_at_random_leave_nothing() {
        let mut failures = 0;
        for seed in 0..200 {
            let board = Board::new();
            let opened = board.open();
            let faults = Faults::often(2 + seed % 12, seed);
            board.driver().faults = faults.clone();
            run_on(&board, opened);
            failures += faults.failures();
        }
        assert!(failures > 1000, "{failures}");
    }

    #[test]
    fn of_every_call_from_some_moment_on_leave_nothing() {
        let calls = run(Faults::never(), None).calls();
        for call in 0..calls {
            run(Faults::from(call), Some(Errno::NODEV));
        }
    }
}

mod the_board_itself {
    use super::*;

    const ACTION: u32 = 0xc008_6440;
    const MEM_SYNC: u32 = 0xc020_6445;

    fn call(board: &Board, node: &OwnedFd, request: u32, argument: &mut [u8]) -> String {
        // SAFETY: the board does nothing with these bytes but read and write them.
        #[allow(unsafe_code)]
        let _ = unsafe { board.kernel.ioctl(node.as_fd(), request, argument) };
        board.driver().take_offences().concat()
    }

    #[test]
    fn notices_what_a_real_one_would_not_survive() {
        let board = Board::new();
        let open =
            |name: &str| board.kernel.open(&board.root().join("dev/dri").join(name), OFlags::RDWR).unwrap();
        let (node, other) = (open("renderD129"), open("renderD128"));
        let question = || [1, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(call(&board, &node, ACTION, &mut question()), "");
        let from_elsewhere = || call(&board, &node, ACTION, &mut question());
        let offence = thread::scope(|scope| scope.spawn(from_elsewhere).join().unwrap());
        assert_eq!(offence, "a call from a second thread");
        assert!(call(&board, &other, ACTION, &mut question()).contains("another driver"));
        assert!(call(&board, &node, ACTION, &mut [6, 0, 0, 0, 0, 0, 0, 0]).contains("action 6"));
        assert!(call(&board, &node, ACTION, &mut [0; 16]).contains("with 16 bytes"));
        let made_up = &mut [7; 32];
        assert!(call(&board, &node, MEM_SYNC, made_up).contains("would have crashed"));
    }
}

mod the_lock {
    use super::*;

    const CHILD: &str = "PLIMSOLL_TEST_BOARD";

    #[test]
    fn keeps_a_second_back_end_of_this_process_out() {
        let board = Board::new();
        let first = board.open().unwrap();
        let refusal = board.open().unwrap_err();
        assert_eq!(refusal.code(), "ERR_BUSY");
        assert!(refusal.to_string().contains("share that back end"), "{refusal}");
        drop(first);
        board.open().unwrap();
    }

    #[test]
    fn keeps_another_process_out_until_it_dies_and_names_it() {
        let board = Board::new();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_lock::child", "--nocapture"])
            .env(CHILD, board.root())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().ends_with("holds it")));
        let refusal = board.open().unwrap_err();
        assert_eq!(refusal.code(), "ERR_BUSY");
        assert!(refusal.to_string().contains(&format!("process {} (", child.id())), "{refusal}");
        child.kill().unwrap();
        child.wait().unwrap();
        take(&board.open().unwrap(), MIB).unwrap();
    }

    /// The other process: nothing unless it is told of a board.
    #[test]
    fn child() {
        let Some(root) = std::env::var_os(CHILD) else { return };
        let board = Board::at(root.as_ref(), Model::default());
        let backend = board.open().unwrap();
        println!("holds it");
        std::io::stdout().flush().unwrap();
        // Until the parent kills this process, or is no more.
        let _ = std::io::stdin().read_line(&mut String::new());
        drop(backend);
    }
}
