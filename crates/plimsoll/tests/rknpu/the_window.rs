//! The addresses of a domain, as the back end keeps count of them.

use plimsoll::{
    device::{Backend, rknpu::WINDOW_BYTES},
    units::{GIB, MIB},
};

use crate::{domain, fake_rknpu::Board, fill, hole_of, model, take};

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
fn the_map_agrees_with_the_addresses_that_the_driver_gives() {
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
