//! How bytes are read: by several threads, by other calls than reads, without leaving them in the page cache, checked on the
//! way.

use std::{fs, io::Write, path::Path, sync::Arc};

use plimsoll::{
    Error, MemoryBudget,
    loader::{
        Destination, IoMode, ModelFile, OpenOptions, Output, Reader, Selection, SliceDestination,
        StreamOptions, UnitStream, WindowApart,
    },
    pool::{StagingPool, StagingPoolOptions},
    system::{cached_pages, drop_page_cache},
    units::MIB,
};
use sha2::{Digest, Sha256};

use crate::{
    SAMPLE,
    common::{TensorSpec, gguf, on_disk},
    expect_all_back, from_bytes, open, options, pool, reassemble, stream,
};

const Q4_K: u32 = 12;

/// Tensors of several types, of which none ends on a unit.
fn mixed() -> Vec<TensorSpec> {
    vec![
        TensorSpec::patterned("codes", 9_000 * 256, Q4_K, 9_000 * 144),
        TensorSpec::floats("floats", 700_001),
        TensorSpec::floats("few", 3),
        TensorSpec::patterned("more", 5_000 * 256, Q4_K, 5_000 * 144),
    ]
}

#[test]
fn threads_deliver_the_same_in_the_same_order() {
    let model = from_bytes(&mixed(), 64);
    for output in [Output::Raw, Output::F32, Output::Bf16] {
        let of = |threads| StreamOptions { threads, ..options(output, 100_000) };
        let one = reassemble(stream(&model, &of(1), &pool()));
        for threads in [2, 3, 8] {
            assert!(reassemble(stream(&model, &of(threads), &pool())) == one, "{output:?} by {threads}");
        }
    }
}

#[test]
fn threads_hold_no_more_units_than_they_say() {
    let model = from_bytes(&[TensorSpec::patterned("big", 40 << 20, 24, 40 << 20)], 0);
    let pool = pool();
    let mut units = stream(&model, &StreamOptions { threads: 4, ..options(Output::Raw, MIB) }, &pool);
    let first = units.next().unwrap().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert!(pool.stats().in_use_count <= 6, "{:?}", pool.stats());
    drop(first);
    assert_eq!(units.count(), 39);
    assert_eq!(pool.stats().in_use_count, 0);
}

/// Threads that find no room leave the reading to the others.
#[test]
fn threads_that_the_budget_has_no_room_for_are_done_without() {
    let model = from_bytes(&mixed(), 0);
    let expected = reassemble(stream(&model, &options(Output::F32, MIB), &pool()));
    for room in [2 * MIB, 3 * MIB, 5 * MIB] {
        for _ in 0..20 {
            let budget = MemoryBudget::new(room, 0).unwrap();
            let pool = StagingPool::new(StagingPoolOptions {
                budget: Some(budget.clone()),
                ..StagingPoolOptions::default()
            });
            let of = StreamOptions { threads: 4, ..options(Output::F32, MIB) };
            assert!(reassemble(stream(&model, &of, &pool)) == expected);
            assert!(budget.peak_bytes() <= room);
        }
    }
}

#[test]
fn a_stream_of_threads_that_is_dropped_half_way_gives_all_back() {
    let model = from_bytes(&mixed(), 0);
    let pool = pool();
    for taken in 0..6 {
        let units = stream(&model, &StreamOptions { threads: 3, ..options(Output::F32, MIB) }, &pool);
        assert_eq!(units.take(taken).flatten().count(), taken);
    }
    expect_all_back(&pool);
}

/// Host memory that several threads fill at once.
struct Apart(Vec<f32>);

impl Destination for Apart {
    fn capacity_bytes(&self) -> u64 {
        self.0.len() as u64 * 4
    }

    fn window(&mut self, _: u64, _: usize) -> plimsoll::Result<&mut [u8]> {
        panic!("several threads fill it apart")
    }

    #[allow(unsafe_code)]
    fn window_apart(&mut self, offset_bytes: u64, len: usize) -> plimsoll::Result<Option<WindowApart>> {
        assert!(offset_bytes as usize + len <= self.0.len() * 4);
        let start = std::ptr::NonNull::new(self.0.as_mut_ptr()).unwrap().cast::<u8>();
        // SAFETY: the range is the vector's, which lives as long as this, and whose memory nobody else looks at meanwhile.
        Ok(Some(unsafe { WindowApart::new(start.add(offset_bytes as usize), len) }))
    }

    fn finish(&mut self) -> plimsoll::Result<()> {
        FILLED.lock().unwrap().push(std::mem::take(&mut self.0));
        Ok(())
    }
}

static FILLED: std::sync::Mutex<Vec<Vec<f32>>> = std::sync::Mutex::new(Vec::new());

#[test]
fn a_destination_is_filled_alike_by_one_thread_and_by_several() {
    let model = from_bytes(&mixed(), 64);
    let whole: Vec<u8> =
        reassemble(stream(&model, &options(Output::F32, MIB), &pool())).into_values().flatten().collect();
    let len = whole.len();
    for (threads, digest) in [(1, false), (2, false), (4, true)] {
        let of = StreamOptions { threads, digest, ..options(Output::F32, MIB) };
        let selection = || Selection::new(&model, &of).unwrap();
        // One window at a time.
        let (shared, windows) = std::sync::mpsc::channel::<(usize, Vec<u8>)>();
        let destination = Box::new(Told { memory: vec![0; len], lent: 0..0, filled: shared });
        let reader = Reader::into_destination(Arc::clone(&model), selection(), pool(), destination).unwrap();
        UnitStream::new(reader).for_each(|unit| drop(unit.unwrap()));
        let mut filled = vec![0; len];
        for (at, bytes) in windows {
            filled[at..at + bytes.len()].copy_from_slice(&bytes);
        }
        assert!(filled == whole, "{threads} threads, one window");
        if threads > 1 {
            let destination = Box::new(Apart(vec![0.0; len / 4]));
            let reader =
                Reader::into_destination(Arc::clone(&model), selection(), pool(), destination).unwrap();
            UnitStream::new(reader).for_each(|unit| drop(unit.unwrap()));
            let filled = FILLED.lock().unwrap().pop().expect("finished");
            assert!(zerocopy::IntoBytes::as_bytes(filled.as_slice()) == whole, "{threads} threads, apart");
        }
    }
}

/// Memory that lends one window at a time and tells what came to be there.
struct Told {
    memory: Vec<u8>,
    lent: std::ops::Range<usize>,
    filled: std::sync::mpsc::Sender<(usize, Vec<u8>)>,
}

impl Destination for Told {
    fn capacity_bytes(&self) -> u64 {
        self.memory.len() as u64
    }

    fn window(&mut self, offset_bytes: u64, len: usize) -> plimsoll::Result<&mut [u8]> {
        self.lent = offset_bytes as usize..offset_bytes as usize + len;
        Ok(&mut self.memory[self.lent.clone()])
    }

    fn filled(&mut self) -> plimsoll::Result<()> {
        self.filled.send((self.lent.start, self.memory[self.lent.clone()].to_vec())).unwrap();
        Ok(())
    }
}

#[test]
fn every_way_of_reading_reads_the_same() {
    let bytes = gguf(&mixed(), 32);
    // In the folder of the build, which is no tmpfs.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = folder.path().join("model.gguf");
    fs::write(&path, &bytes).unwrap();
    let model = open(&path);
    for output in [Output::Raw, Output::F32] {
        let expected = reassemble(stream(&model, &options(output, 100_000), &pool()));
        for io in [IoMode::Read, IoMode::Mmap, IoMode::Direct] {
            for (threads, drop_behind, check_tensors) in
                [(1, true, false), (3, false, false), (1, false, false)]
            {
                let of =
                    StreamOptions { io, threads, drop_behind, check_tensors, ..options(output, 100_000) };
                let pool = pool();
                let mut units = stream(&model, &of, &pool);
                assert!(reassemble(units.by_ref()) == expected, "{io:?} as {output:?}");
                let reading = units.reading();
                assert!(reading.io == io || reading.reason.is_some(), "{reading:?}");
                expect_all_back(&pool);
                let selection = Selection::new(&model, &of).unwrap();
                let len = selection.data_bytes() as usize / 4 * 4;
                let destination = SliceDestination(Words(vec![0_f32; len / 4 + 1]));
                let reader =
                    Reader::into_destination(Arc::clone(&model), selection, pool, Box::new(destination))
                        .unwrap();
                assert!(UnitStream::new(reader).all(|unit| unit.is_ok()), "{io:?} as {output:?}");
            }
        }
    }
}

struct Words(Vec<f32>);

impl AsRef<[u8]> for Words {
    fn as_ref(&self) -> &[u8] {
        zerocopy::IntoBytes::as_bytes(self.0.as_slice())
    }
}

impl AsMut<[u8]> for Words {
    fn as_mut(&mut self) -> &mut [u8] {
        zerocopy::IntoBytes::as_mut_bytes(self.0.as_mut_slice())
    }
}

#[test]
fn what_cannot_be_read_as_asked_for_is_read_and_the_reason_told() {
    let model = from_bytes(&[TensorSpec::floats("a", 100)], 0);
    for io in [IoMode::Mmap, IoMode::Direct] {
        let mut units = stream(&model, &StreamOptions { io, ..options(Output::Raw, MIB) }, &pool());
        assert_eq!(reassemble(units.by_ref())[&0].len(), 400);
        let reading = units.reading();
        assert_eq!(
            (reading.io, reading.reason.unwrap()),
            (IoMode::Read, "the model came as bytes".to_owned())
        );
    }
}

/// A file of 8 TiB, nearly all of it a hole.
#[test]
fn a_model_larger_than_what_can_be_given_is_not_read_past_the_page_cache() {
    let bytes = gguf(&[TensorSpec { name: "huge", dims: vec![8 << 40], type_id: 24, data: vec![] }], 0);
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = folder.path().join("model.gguf");
    fs::write(&path, &bytes).unwrap();
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(bytes.len() as u64 + (8 << 40)).unwrap();
    let mut units =
        stream(&open(&path), &StreamOptions { io: IoMode::Direct, ..options(Output::Raw, MIB) }, &pool());
    assert!(units.next().unwrap().is_ok());
    let reading = units.reading();
    assert_eq!(reading.io, IoMode::Read);
    assert!(reading.reason.as_ref().is_some_and(|reason| reason.contains("8.00 TiB")), "{reading:?}");
    let refused = plimsoll::loader::expect_room(8 << 40).unwrap_err();
    assert!(
        matches!(refused, Error::InsufficientMemory { requested_bytes, .. } if requested_bytes == 8 << 40)
    );
    assert!(plimsoll::loader::expect_room(1).is_ok());
}

#[test]
fn a_file_cut_off_under_a_map_is_an_error_as_under_reads() {
    for io in [IoMode::Read, IoMode::Mmap, IoMode::Direct] {
        let (_folder, path) = on_disk(&gguf(&[TensorSpec::patterned("big", 8 << 20, 24, 8 << 20)], 0));
        let model = open(&path);
        let mut units = stream(&model, &StreamOptions { io, ..options(Output::Raw, MIB) }, &pool());
        drop(units.next().unwrap().unwrap());
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(1000).unwrap();
        let error = units.find_map(Result::err).expect("the rest of the file is not there");
        assert!(matches!(&error, Error::Io { tensor: Some(name), .. } if name == "big"), "{io:?}: {error}");
    }
}

#[test]
fn a_model_within_a_larger_file_is_read_from_its_offset() {
    let tensors = mixed();
    let inner = gguf(&tensors, 0);
    let mut outer = vec![0xAB; 12_345];
    outer.extend(&inner);
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = folder.path().join("bundle.bin");
    fs::write(&path, &outer).unwrap();
    let within = OpenOptions { offset_bytes: 12_345, ..OpenOptions::default() };
    let models = [ModelFile::open(&path, &within).unwrap(), ModelFile::from_bytes(outer, &within).unwrap()];
    for model in models.map(Arc::new) {
        for io in [IoMode::Read, IoMode::Mmap, IoMode::Direct] {
            let read =
                reassemble(stream(&model, &StreamOptions { io, ..options(Output::Raw, MIB) }, &pool()));
            assert!(read.into_values().eq(tensors.iter().map(|tensor| tensor.data.clone())), "{io:?}");
        }
    }
    let beyond = OpenOptions { offset_bytes: 1 << 40, ..OpenOptions::default() };
    assert_eq!(ModelFile::open(&path, &beyond).unwrap_err().code(), "ERR_INVALID_ARGUMENT");
}

/// Bytes of the file that are in the page cache.
fn cached_bytes(path: &Path) -> u64 {
    let file = fs::File::open(path).unwrap();
    cached_pages(&file, 0..file.metadata().unwrap().len()).unwrap().cached_bytes
}

#[test]
fn a_stream_that_drops_behind_leaves_the_page_cache_as_it_was() {
    let bytes = gguf(&[TensorSpec::patterned("big", 60 << 20, 24, 60 << 20)], 0);
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = folder.path().join("model.gguf");
    let mut file = fs::File::create(&path).unwrap();
    file.write_all(&bytes).unwrap();
    file.sync_all().unwrap();
    let dropped = drop_page_cache(&path).unwrap();
    if dropped.cached_bytes.is_none_or(|bytes| bytes > MIB) {
        return eprintln!("skipped: {} keeps its pages", path.display()); // Memory is all that a tmpfs has.
    }
    let model = open(&path);
    let header_bytes = cached_bytes(&path);
    for (io, threads) in [(IoMode::Read, 1), (IoMode::Read, 3), (IoMode::Mmap, 1)] {
        let of = StreamOptions { io, threads, drop_behind: true, ..options(Output::Raw, MIB) };
        assert_eq!(reassemble(stream(&model, &of, &pool()))[&0].len(), 60 << 20);
        let left = cached_bytes(&path);
        assert!(left <= header_bytes + MIB, "{left} bytes are left by {io:?} on {threads} threads");
    }
    // Somebody else's pages, in the middle of a window.
    let theirs = &mut vec![0; 3 << 20];
    std::os::unix::fs::FileExt::read_exact_at(&fs::File::open(&path).unwrap(), theirs, 21 << 20).unwrap();
    let before = cached_bytes(&path);
    assert!(before >= 3 << 20);
    let of = StreamOptions { drop_behind: true, ..options(Output::Raw, MIB) };
    assert_eq!(reassemble(stream(&model, &of, &pool()))[&0].len(), 60 << 20);
    let after = cached_bytes(&path);
    // The kernel may want a page or two back.
    assert!(after + 64 * 1024 >= before && after <= before + MIB, "{before} bytes were cached, {after} are");
    // Left alone, the page cache keeps what was read.
    assert_eq!(reassemble(stream(&model, &options(Output::Raw, MIB), &pool()))[&0].len(), 60 << 20);
    assert!(cached_bytes(&path) >= 59 << 20);
}

/// A file of forty tensors, of which nothing is cached; `None` where memory is all that its file system has.
fn cold(folder: &Path) -> Option<Arc<ModelFile>> {
    let names: Vec<&'static str> = (0..40).map(|i| &*format!("t{i}").leak()).collect();
    let tensors: Vec<_> =
        names.iter().map(|name| TensorSpec::patterned(name, 2 << 20, 24, 2 << 20)).collect();
    let path = folder.join("model.gguf");
    let mut file = fs::File::create(&path).unwrap();
    file.write_all(&gguf(&tensors, 0)).unwrap();
    file.sync_all().unwrap();
    let dropped = drop_page_cache(&path).unwrap();
    (dropped.cached_bytes.is_some_and(|bytes| bytes <= MIB)).then(|| open(&path))
}

#[test]
fn nothing_is_left_in_the_page_cache_in_whatever_order_tensors_are_read() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let Some(model) = cold(folder.path()) else {
        return eprintln!("skipped: the file system keeps its pages");
    };
    let before = cached_bytes(model.path());
    let name = |i: usize| format!("t{i}");
    let orders = [(0..40).rev().map(name).collect(), (0..40).step_by(5).map(name).collect::<Vec<_>>()];
    for order in orders {
        for (io, threads) in [(IoMode::Read, 1), (IoMode::Mmap, 1), (IoMode::Mmap, 4)] {
            let tensors = Some(order.clone());
            let of = StreamOptions { tensors, io, threads, drop_behind: true, ..options(Output::Raw, MIB) };
            assert_eq!(reassemble(stream(&model, &of, &pool())).len(), order.len());
            let left = cached_bytes(model.path());
            assert!(left <= before + MIB, "{left} bytes are left by {io:?} on {threads} threads");
        }
    }
}

#[test]
fn streams_of_one_file_at_the_same_time_leave_none_of_it_to_each_other() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let Some(model) = cold(folder.path()) else {
        return eprintln!("skipped: the file system keeps its pages");
    };
    let before = cached_bytes(model.path());
    std::thread::scope(|scope| {
        for late in 0..3 {
            let model = open(model.path()); // Each has opened it itself.
            scope.spawn(move || {
                std::thread::sleep(std::time::Duration::from_millis(5 * late));
                let of = StreamOptions { drop_behind: true, ..options(Output::Raw, MIB) };
                assert_eq!(reassemble(stream(&model, &of, &pool())).len(), 40);
            });
        }
    });
    let left = cached_bytes(model.path());
    assert!(left <= before + MIB, "{left} bytes are left");
}

#[test]
fn a_value_that_is_no_number_ends_a_checked_load_and_no_other() {
    let mut floats = TensorSpec::floats("floats", 300_000);
    floats.data[4 * 280_000..][..4].copy_from_slice(&f32::NAN.to_le_bytes());
    let mut codes = TensorSpec::patterned("codes", 100 * 256, Q4_K, 100 * 144);
    // Each block begins with its two scales.
    codes.data.chunks_mut(144).for_each(|block| block[..4].copy_from_slice(&[0, 0x3C, 0, 0x3C]));
    codes.data[144 * 70..][..2].copy_from_slice(&0x7C00_u16.to_le_bytes());
    for (tensor, block) in [(floats, 280_000), (codes, 70)] {
        let (name, model) = (tensor.name, from_bytes(&[TensorSpec::floats("sound", 999), tensor], 0));
        for (output, threads) in [(Output::Raw, 1), (Output::F32, 1), (Output::F16, 2)] {
            let of = StreamOptions { threads, ..options(output, 64 * 1024) };
            assert!(stream(&model, &of, &pool()).all(|unit| unit.is_ok()));
            let checked = StreamOptions { check_tensors: true, ..of.clone() };
            let error =
                stream(&model, &checked, &pool()).find_map(Result::err).expect("a value is no number");
            let Error::InvalidTensor { tensor, block: found, .. } = &error else { panic!("{error}") };
            assert_eq!((tensor.as_str(), *found), (name, block), "as {output:?}");
            let selection = Selection::new(&model, &checked).unwrap();
            let len = selection.data_bytes() as usize / 4 + 1;
            let destination = Box::new(SliceDestination(Words(vec![0_f32; len])));
            let reader =
                Reader::into_destination(Arc::clone(&model), selection, pool(), destination).unwrap();
            assert!(UnitStream::new(reader).any(|unit| unit.is_err()));
        }
    }
    let sound =
        stream(&open(SAMPLE), &StreamOptions { check_tensors: true, ..options(Output::F32, MIB) }, &pool());
    assert!(sound.inspect(|unit| assert!(unit.is_ok())).count() > 0);
}

#[test]
fn digests_are_those_of_the_stored_bytes() {
    let tensors = mixed();
    let model = from_bytes(&tensors, 96);
    let expected: Vec<[u8; 32]> = tensors.iter().map(|tensor| Sha256::digest(&tensor.data).into()).collect();
    for (output, threads) in [(Output::Raw, 1), (Output::Raw, 4), (Output::F32, 1), (Output::Bf16, 3)] {
        let of = StreamOptions { digest: true, threads, ..options(output, 70_000) };
        let mut found = vec![[0; 32]; tensors.len()];
        for unit in stream(&model, &of, &pool()) {
            unit.unwrap().unit().digests.iter().for_each(|digest| found[digest.tensor] = digest.sha256);
        }
        assert!(found == expected, "{output:?} by {threads}");
    }
}
