//! What every back end must hold to.

use std::{sync::Arc, thread};

use plimsoll::{
    Error,
    budget::{HeadroomOptions, Promised},
    device::{DeviceContext, DeviceMemory, Request, SharedBackend, SyncKind},
    units::{MAX_BYTES, MIB},
};
use rustix::fs::{SeekFrom, seek};

use super::faults::mixed;

type Check = (&'static str, fn(&SharedBackend));

/// Everything that holds for every back end, each with its own memory and devices.
pub fn holds(backend: &SharedBackend) {
    let checks: &[Check] = &[
        ("sizes are rounded up to the granule", sizes_are_rounded_up_to_the_granule),
        ("fresh memory reads zero where that is claimed", fresh_memory_reads_zero_where_that_is_claimed),
        ("what was written at any offset is read back", what_was_written_at_any_offset_is_read_back),
        ("a fill sets its range and no other byte", a_fill_sets_its_range_and_no_other_byte),
        ("a copy moves bytes within a slab and to another", a_copy_moves_bytes_within_and_to_another),
        ("ranges that overlap are not copied", ranges_that_overlap_are_not_copied),
        ("what lies outside a slab is an error", what_lies_outside_a_slab_is_an_error),
        ("sizes that no device has are an error", sizes_that_no_device_has_are_an_error),
        ("the map shows what is out and the most that was", the_map_show_what_is_out),
        ("a view is there where it is claimed, and stays", a_view_is_there_where_it_is_claimed),
        ("addresses that are kept read zero when the slab is gone", kept_addresses_read_zero),
        ("every sync is taken", every_sync_is_taken),
        ("populated memory keeps its bytes", populated_memory_keeps_its_bytes),
        ("discarded memory works on, and its neighbours keep their bytes", discarded_memory_works_on),
        ("an exported descriptor outlives its slab", an_exported_descriptor_outlives_its_slab),
        ("many threads may use it", many_threads_may_use_it),
    ];
    for (name, check) in checks {
        println!("{}: {name}", backend.name());
        check(backend);
        let usage = backend.usage();
        assert_eq!((usage.used_bytes, usage.slab_count), (0, 0), "{name}: everything was freed");
    }
}

/// With all of the machine's memory as the floor nothing is given, and nothing is asked of the driver.
pub fn refuses_beyond_headroom(make: impl FnOnce(DeviceContext) -> SharedBackend) {
    let headroom = HeadroomOptions { floor_bytes: Some(1 << 50), ..HeadroomOptions::default() };
    let backend = make(DeviceContext { headroom, ..DeviceContext::default() });
    let refusal = backend.take(&Request::new(1, "one byte")).unwrap_err();
    assert_eq!(refusal.code(), "ERR_INSUFFICIENT_MEMORY", "{refusal}");
    assert!(refusal.to_string().contains(" a floor of "), "{refusal}");
    assert_eq!((backend.usage().refused_count, backend.usage().allocated_count), (1, 0));
}

fn take(backend: &SharedBackend, bytes: u64) -> Box<dyn DeviceMemory> {
    backend.take(&Request::new(bytes, "suite")).unwrap()
}

fn pattern(seed: u64, len: usize) -> Vec<u8> {
    (0..len as u64).map(|at| mixed(seed << 32 | at) as u8).collect()
}

fn read(slab: &dyn DeviceMemory, offset_bytes: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    slab.read(offset_bytes, &mut bytes).unwrap();
    bytes
}

#[track_caller]
fn assert_invalid<T>(result: plimsoll::Result<T>) {
    match result {
        Err(Error::InvalidArgument { .. }) => {}
        Err(other) => panic!("expected ERR_INVALID_ARGUMENT, got {other}"),
        Ok(_) => panic!("expected ERR_INVALID_ARGUMENT, got none"),
    }
}

fn odd_sizes(backend: &SharedBackend) -> Vec<u64> {
    let granule = backend.limits().granule_bytes;
    vec![1, granule - 1, granule, granule + 1, 3 * MIB + 12_345]
}

fn sizes_are_rounded_up_to_the_granule(backend: &SharedBackend) {
    let granule = backend.limits().granule_bytes;
    for bytes in odd_sizes(backend) {
        let size = take(backend, bytes).size_bytes();
        assert!(size >= bytes && size.is_multiple_of(granule), "{bytes} bytes gave {size}");
        assert!(backend.limits().powers_of_two || size < bytes + granule, "{bytes} bytes gave {size}");
    }
}

fn fresh_memory_reads_zero_where_that_is_claimed(backend: &SharedBackend) {
    for bytes in odd_sizes(backend) {
        let slab = take(backend, bytes);
        let all = read(&*slab, 0, slab.size_bytes() as usize);
        assert!(!backend.limits().zeroed || all.iter().all(|byte| *byte == 0), "{bytes} bytes");
        // So that the next one would not be zero by luck.
        slab.fill(0..slab.size_bytes(), 0xa5).unwrap();
    }
}

fn what_was_written_at_any_offset_is_read_back(backend: &SharedBackend) {
    let slab = take(backend, MIB);
    let size = slab.size_bytes();
    slab.fill(0..size, 0).unwrap();
    for (offset, len) in [(0, 1), (1, 2), (4095, 2), (4097, 8191), (65_537, 99_991), (size - 1, 1)] {
        let bytes = pattern(offset, len);
        slab.write(offset, &bytes).unwrap();
        assert_eq!(read(&*slab, offset, len), bytes, "{len} bytes at {offset}");
    }
    let all = read(&*slab, 0, size as usize);
    assert_eq!(all[3..4095], [0; 4092], "nothing was written between");
    slab.write(size, &[]).unwrap();
    slab.read(size, &mut []).unwrap();
}

fn a_fill_sets_its_range_and_no_other_byte(backend: &SharedBackend) {
    let slab = take(backend, MIB);
    slab.fill(0..MIB, 1).unwrap();
    slab.fill(4093..8191, 7).unwrap();
    slab.fill(77..77, 9).unwrap();
    let mut expected = vec![1; 8192 + 1];
    expected[4093..8191].fill(7);
    assert_eq!(read(&*slab, 0, expected.len()), expected);
}

fn a_copy_moves_bytes_within_and_to_another(backend: &SharedBackend) {
    let (from, to) = (take(backend, MIB), take(backend, MIB));
    let bytes = pattern(3, 100_001);
    from.write(17, &bytes).unwrap();
    to.fill(0..MIB, 0).unwrap();
    from.copy_to(17..17 + bytes.len() as u64, &*to, 333).unwrap();
    assert_eq!(read(&*to, 333, bytes.len()), bytes);
    assert_eq!((read(&*to, 332, 1), read(&*to, 333 + bytes.len() as u64, 1)), (vec![0], vec![0]));
    from.copy_to(17..17 + bytes.len() as u64, &*from, 500_000).unwrap();
    assert_eq!(read(&*from, 500_000, bytes.len()), bytes);
    // Ranges that touch do not overlap.
    from.copy_to(100..200, &*from, 200).unwrap();
    from.copy_to(5..5, &*from, 5).unwrap();
}

fn ranges_that_overlap_are_not_copied(backend: &SharedBackend) {
    let slab = take(backend, MIB);
    let bytes = pattern(5, 4096);
    slab.write(0, &bytes).unwrap();
    for to in [0, 1, 99] {
        assert_invalid(slab.copy_to(0..100, &*slab, to));
    }
    assert_invalid(slab.copy_to(100..200, &*slab, 1));
    assert_eq!(read(&*slab, 0, bytes.len()), bytes);
    // The refusal left nothing open.
    slab.write(1, &bytes).unwrap();
    assert_eq!(read(&*slab, 1, bytes.len()), bytes);
}

// Ranges that end before they begin are among what is tried.
#[allow(clippy::reversed_empty_ranges)]
fn what_lies_outside_a_slab_is_an_error(backend: &SharedBackend) {
    let (slab, other) = (take(backend, MIB), take(backend, MIB));
    let size = slab.size_bytes();
    let mut two = [0; 2];
    for offset in [size - 1, size, size + 1, u64::MAX - 1, u64::MAX] {
        assert_invalid(slab.read(offset, &mut two));
        assert_invalid(slab.write(offset, &two));
        assert_invalid(slab.copy_to(0..2, &*other, offset));
    }
    for range in [size - 1..size + 1, size..size + 1, 2..1, 0..u64::MAX, u64::MAX..u64::MAX] {
        assert_invalid(slab.fill(range.clone(), 1));
        assert_invalid(slab.discard(range.clone()));
        assert_invalid(slab.copy_to(range, &*other, 0));
    }
}

fn sizes_that_no_device_has_are_an_error(backend: &SharedBackend) {
    let before = backend.usage();
    for bytes in [0, MAX_BYTES + 1, u64::MAX] {
        assert_invalid(backend.take(&Request::new(bytes, "absurd")));
    }
    let refusal = backend.take(&Request::new(MAX_BYTES, "absurd")).unwrap_err();
    assert_eq!(refusal.code(), "ERR_INSUFFICIENT_MEMORY", "{refusal}");
    let usage = backend.usage();
    assert_eq!(usage.allocated_count, before.allocated_count);
    assert_eq!(usage.refused_count, before.refused_count + 4);
}

fn the_map_show_what_is_out(backend: &SharedBackend) {
    let before = backend.usage();
    let slabs: Vec<_> = (1..=3).map(|mib| take(backend, mib * MIB)).collect();
    let bytes: u64 = slabs.iter().map(|slab| slab.size_bytes()).sum();
    let usage = backend.usage();
    assert_eq!((usage.used_bytes, usage.slab_count), (bytes, 3));
    assert!(usage.peak_bytes >= bytes);
    drop(slabs);
    let after = backend.usage();
    assert_eq!((after.used_bytes, after.slab_count), (0, 0));
    assert_eq!(after.peak_bytes, usage.peak_bytes);
    assert_eq!(after.allocated_count, before.allocated_count + 3);
    let second: u64 = take(backend, MIB).size_bytes();
    assert_eq!(backend.usage().peak_bytes, usage.peak_bytes, "the peak is of all at once, not {second}");
}

fn a_view_is_there_where_it_is_claimed(backend: &SharedBackend) {
    let slab = take(backend, MIB);
    if !backend.limits().mappable {
        assert_eq!(slab.view().unwrap_err().code(), "ERR_DEVICE");
        return;
    }
    let (first, second) = (slab.view().unwrap(), slab.view().unwrap());
    assert_eq!(first.base(), second.base());
    assert_eq!(first.size_bytes() as u64, slab.size_bytes());
    assert!(first.base().addr().get().is_multiple_of(rustix::param::page_size()));
}

fn kept_addresses_read_zero(backend: &SharedBackend) {
    let slab = take(backend, MIB);
    let Ok(view) = slab.view() else { return };
    slab.fill(0..slab.size_bytes(), 7).unwrap();
    if !slab.keep_addresses() {
        return;
    }
    assert!(slab.keep_addresses(), "as often as somebody says so");
    assert_eq!(read(&*slab, 0, 1000), [7; 1000], "until the slab goes, it is as it was");
    drop(slab);
    // SAFETY: the addresses are mapped for good, to memory that nobody writes to.
    #[allow(unsafe_code)]
    let left = unsafe { std::slice::from_raw_parts(view.base().as_ptr(), view.size_bytes()) };
    assert!(left.iter().all(|byte| *byte == 0));
}

fn every_sync_is_taken(backend: &SharedBackend) {
    let slab = take(backend, MIB);
    for (begin, end) in [(SyncKind::BeginRead, SyncKind::EndRead), (SyncKind::BeginWrite, SyncKind::EndWrite)]
    {
        for range in [0..slab.size_bytes(), 1..2, 5..5] {
            slab.sync(begin, range.clone()).unwrap();
            slab.sync(begin, range.clone()).unwrap();
            slab.sync(end, range.clone()).unwrap();
            slab.sync(end, range).unwrap();
        }
    }
}

fn populated_memory_keeps_its_bytes(backend: &SharedBackend) {
    let slab = take(backend, 2 * MIB);
    let bytes = pattern(9, 5000);
    slab.write(MIB - 1, &bytes).unwrap();
    slab.populate(Promised::NOTHING).unwrap();
    slab.populate(Promised::NOTHING).unwrap();
    assert_eq!(read(&*slab, MIB - 1, bytes.len()), bytes);
}

fn discarded_memory_works_on(backend: &SharedBackend) {
    let granule = backend.limits().granule_bytes;
    let slab = take(backend, 4 * granule);
    let bytes = pattern(11, (4 * granule) as usize);
    slab.write(0, &bytes).unwrap();
    let (start, end) = (granule - 1, 3 * granule + 1);
    slab.discard(start..end).unwrap();
    let all = read(&*slab, 0, bytes.len());
    assert_eq!(all[..start as usize], bytes[..start as usize]);
    assert_eq!(all[end as usize..bytes.len()], bytes[end as usize..]);
    let kept_or_zero = |(now, was): (&u8, &u8)| now == was || *now == 0;
    assert!(all.iter().zip(&bytes).all(kept_or_zero));
    slab.populate(Promised::NOTHING).unwrap();
    slab.write(start, &bytes[..granule as usize]).unwrap();
    assert_eq!(read(&*slab, start, granule as usize), bytes[..granule as usize]);
}

fn an_exported_descriptor_outlives_its_slab(backend: &SharedBackend) {
    let slab = take(backend, MIB);
    if !backend.limits().exportable {
        assert_eq!(slab.export_fd().unwrap_err().code(), "ERR_DEVICE");
        return;
    }
    let bytes = pattern(13, 300_001);
    slab.write(4097, &bytes).unwrap();
    let (fd, second) = (slab.export_fd().unwrap(), slab.export_fd().unwrap());
    if !backend.limits().mappable {
        return; // What the processor cannot see is for other drivers alone.
    }
    assert_eq!(seek(&fd, SeekFrom::End(0)).unwrap(), slab.size_bytes());
    drop(second);
    let size = slab.size_bytes();
    let seen = |from: usize, len: usize| {
        // SAFETY: the file keeps its size, and nobody writes to it while the map is looked at.
        #[allow(unsafe_code)]
        let map = unsafe { memmap2::MmapOptions::new().len(size as usize).map(&fd) }.unwrap();
        map[from..from + len].to_vec()
    };
    assert_eq!(seen(4097, bytes.len()), bytes, "the same bytes");
    slab.write(0, &bytes[..100]).unwrap();
    assert_eq!(seen(0, 100), bytes[..100], "those written later too");
    drop(slab);
    assert_eq!(seen(4097, bytes.len()), bytes, "and when the slab is gone");
}

fn many_threads_may_use_it(backend: &SharedBackend) {
    const THREADS: u64 = 4;
    const PART: u64 = 65_537;
    let shared: Arc<dyn DeviceMemory> = Arc::from(take(backend, THREADS * PART));
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let shared = shared.clone();
            scope.spawn(move || {
                for round in 0..10 {
                    let own = take(backend, 100_000 + round);
                    let bytes = pattern(thread << 8 | round, PART as usize);
                    shared.write(thread * PART, &bytes).unwrap();
                    own.write(round, &bytes).unwrap();
                    assert_eq!(read(&*shared, thread * PART, bytes.len()), bytes);
                    assert_eq!(read(&*own, round, bytes.len()), bytes);
                }
            });
        }
    });
}
