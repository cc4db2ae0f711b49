//! Streams and loads, as a Rust program uses them.

// A test fails by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::{
    collections::BTreeMap,
    fs::OpenOptions as FileOptions,
    path::Path,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use common::{TensorSpec, gguf, on_disk};
use plimsoll::{
    Error, MemoryBudget,
    budget::{EventKind, RecordOptions},
    loader::{
        Destination, ModelFile, OpenOptions, Output, Reader, Selection, SliceDestination, StreamOptions,
        StreamedUnit, UnitStream,
    },
    pool::{StagingPool, StagingPoolOptions},
    units::{KIB, MIB},
};
use zerocopy::IntoBytes;

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/models/plimsoll-sample-llama.gguf");

fn open(path: impl AsRef<Path>) -> Arc<ModelFile> {
    Arc::new(ModelFile::open(path, &OpenOptions::default()).unwrap())
}

fn from_bytes(tensors: &[TensorSpec], gap: usize) -> Arc<ModelFile> {
    Arc::new(ModelFile::from_bytes(gguf(tensors, gap), &OpenOptions::default()).unwrap())
}

fn pool() -> StagingPool {
    StagingPool::new(StagingPoolOptions::default())
}

fn stream(model: &Arc<ModelFile>, options: &StreamOptions, pool: &StagingPool) -> UnitStream {
    let selection = Selection::new(model, options).unwrap();
    UnitStream::new(Reader::new(Arc::clone(model), selection, pool.clone()))
}

fn options(output: Output, chunk_bytes: u64) -> StreamOptions {
    StreamOptions { output, chunk_bytes, ..StreamOptions::default() }
}

/// Every tensor's data put together from its chunks, which must follow each other without a gap.
fn reassemble(units: impl Iterator<Item = plimsoll::Result<StreamedUnit>>) -> BTreeMap<usize, Vec<u8>> {
    let mut tensors: BTreeMap<usize, (u64, u64, Vec<u8>)> = BTreeMap::new();
    for unit in units {
        let unit = unit.unwrap();
        let buffer = unit.unit().buffer.as_ref().unwrap();
        for chunk in &unit.unit().chunks {
            let (element, byte, data) = tensors.entry(chunk.tensor).or_default();
            assert_eq!((chunk.elements.start, chunk.bytes.start), (*element, *byte));
            (*element, *byte) = (chunk.elements.end, chunk.bytes.end);
            data.extend_from_slice(&buffer[chunk.data.start as usize..chunk.data.end as usize]);
        }
    }
    tensors.into_iter().map(|(index, (_, _, data))| (index, data)).collect()
}

#[test]
fn raw_chunks_of_any_size_are_the_bytes_of_the_file() {
    let file = std::fs::read(SAMPLE).unwrap();
    let model = open(SAMPLE);
    for chunk_bytes in [KIB, 1000, 64 * KIB, MIB, 64 * MIB] {
        let tensors = reassemble(stream(&model, &options(Output::Raw, chunk_bytes), &pool()));
        assert_eq!(tensors.len(), model.layout().tensor_count());
        for (index, data) in tensors {
            let range = model.layout().tensor_at(index).unwrap().file_range();
            assert!(
                data == file[range.start as usize..range.end as usize],
                "tensor {index}, chunks of {chunk_bytes}"
            );
        }
    }
}

#[test]
fn converted_chunks_of_any_size_are_the_conversion_of_the_whole() {
    let model = open(SAMPLE);
    for output in [Output::F32, Output::F16] {
        let whole = reassemble(stream(&model, &options(output, 64 * MIB), &pool()));
        for chunk_bytes in [KIB, 5000, 300 * KIB] {
            let tensors = reassemble(stream(&model, &options(output, chunk_bytes), &pool()));
            assert!(tensors == whole, "{} in chunks of {chunk_bytes}", output.name());
        }
    }
}

#[test]
fn chunks_end_on_whole_blocks_and_stay_within_their_size() {
    let model = open(SAMPLE);
    let selection = options(Output::F32, 10_000);
    for unit in stream(&model, &selection, &pool()) {
        for chunk in &unit.unwrap().unit().chunks {
            let tensor = model.layout().tensor_at(chunk.tensor).unwrap();
            let block = tensor.tensor_type().block_elements();
            assert!(chunk.elements.start % block == 0 && chunk.elements.end % block == 0);
            assert!(chunk.data.end - chunk.data.start <= 10_000);
        }
    }
}

#[test]
fn tensors_come_in_the_order_asked_for_across_gaps() {
    let tensors = [
        TensorSpec::patterned("a", 100, 24, 100),
        TensorSpec::patterned("b", 5000, 24, 5000),
        TensorSpec::patterned("c", 33, 24, 33),
    ];
    for gap in [0, 32, 8192] {
        let model = from_bytes(&tensors, gap);
        let names = Some(vec!["c".to_owned(), "a".to_owned(), "b".to_owned()]);
        let selection = StreamOptions { tensors: names, ..options(Output::Raw, 1024) };
        let mut order = Vec::new();
        for unit in stream(&model, &selection, &pool()) {
            order.extend(unit.unwrap().unit().chunks.iter().map(|chunk| chunk.tensor));
        }
        order.dedup();
        assert_eq!(order, [2, 0, 1]);
        let data = reassemble(stream(&model, &selection, &pool()));
        assert!(tensors.iter().enumerate().all(|(index, tensor)| data[&index] == tensor.data), "gap {gap}");
    }
}

/// A destination that lends memory and reports every window once it is filled.
struct Reporting {
    memory: Vec<f32>,
    lent: std::ops::Range<usize>,
    filled: mpsc::Sender<(usize, Vec<u8>)>,
}

impl Destination for Reporting {
    fn capacity_bytes(&self) -> u64 {
        self.memory.len() as u64 * 4
    }

    fn window(&mut self, offset_bytes: u64, len: usize) -> plimsoll::Result<&mut [u8]> {
        self.lent = offset_bytes as usize..offset_bytes as usize + len;
        Ok(&mut self.memory.as_mut_bytes()[self.lent.clone()])
    }

    fn filled(&mut self) -> plimsoll::Result<()> {
        self.filled.send((self.lent.start, self.memory.as_bytes()[self.lent.clone()].to_vec())).unwrap();
        Ok(())
    }
}

#[test]
fn a_destination_gets_every_tensor_one_after_the_other_without_padding() {
    let tensors = [TensorSpec::floats("a", 70_001), TensorSpec::floats("b", 3), TensorSpec::floats("c", 500)];
    let model = from_bytes(&tensors, 64);
    let selection = Selection::new(&model, &options(Output::F32, 1000)).unwrap();
    let (filled, windows) = mpsc::channel();
    let destination = Reporting { memory: vec![0.0; 70_504], lent: 0..0, filled };
    let reader = Reader::into_destination(model, selection, pool(), Box::new(destination)).unwrap();
    assert!(UnitStream::new(reader).all(|unit| unit.unwrap().unit().buffer.is_none()));
    let mut written = Vec::new();
    for (start, bytes) in windows {
        assert_eq!(start, written.len());
        written.extend(bytes);
    }
    assert!(written == tensors.map(|tensor| tensor.data).concat());
}

#[test]
fn a_destination_too_small_is_refused_before_anything_is_read() {
    let model = from_bytes(&[TensorSpec::floats("a", 100)], 0);
    let selection = Selection::new(&model, &options(Output::F32, MIB)).unwrap();
    let destination = Box::new(SliceDestination(vec![0_u8; 399]));
    let error = Reader::into_destination(model, selection, pool(), destination).err().unwrap();
    assert_eq!(error.to_string(), "expected into to be at least 400 bytes long, got 399 bytes");
}

#[test]
fn what_does_not_convert_is_an_error_that_names_it_and_comes_raw() {
    let model = from_bytes(&[TensorSpec::patterned("odd", 32, 6, 22)], 0);
    let error = Selection::new(&model, &options(Output::F32, MIB)).unwrap_err();
    assert!(
        matches!(&error, Error::UnsupportedType { tensor, type_id: 6, .. } if tensor == "odd"),
        "{error}"
    );
    assert_eq!(reassemble(stream(&model, &options(Output::Raw, MIB), &pool()))[&0].len(), 22);
}

#[test]
fn unfit_selections_are_refused() {
    let model = open(SAMPLE);
    let refused = |options: StreamOptions| Selection::new(&model, &options).unwrap_err().to_string();
    let named = |names: &[&str]| {
        let tensors = Some(names.iter().map(ToString::to_string).collect());
        StreamOptions { tensors, ..StreamOptions::default() }
    };
    assert!(refused(named(&["nowhere"])).contains("\"nowhere\""));
    assert!(refused(named(&["output.weight", "output.weight"])).contains("\"output.weight\" twice"));
    assert!(refused(options(Output::F32, 1023)).contains("at least 1024"));
    assert!(refused(options(Output::Raw, u64::MAX)).contains("at most"));
    let header_only = OpenOptions { header_only: true, ..OpenOptions::default() };
    let header = ModelFile::open(SAMPLE, &header_only).unwrap();
    assert!(Selection::new(&header, &StreamOptions::default()).is_err());
}

#[test]
fn the_reader_stays_a_few_units_ahead_and_no_further() {
    let model = from_bytes(&[TensorSpec::patterned("big", 20 << 20, 24, 20 << 20)], 0);
    let pool = pool();
    let mut units = stream(&model, &options(Output::Raw, MIB), &pool);
    let first = units.next().unwrap().unwrap();
    thread::sleep(Duration::from_millis(50));
    assert!(pool.stats().in_use_count <= 3, "{:?}", pool.stats());
    drop(first);
    assert_eq!(units.map(|unit| unit.unwrap().unit().chunks.len()).sum::<usize>(), 19);
    assert_eq!(pool.stats().in_use_bytes, 0);
    assert!(pool.stats().misses <= 3);
}

#[test]
fn a_stream_keeps_its_units_whatever_its_pool_keeps() {
    let model = from_bytes(&[TensorSpec::patterned("big", 20 << 20, 24, 20 << 20)], 0);
    let pool = StagingPool::new(StagingPoolOptions { max_held_bytes: 0, ..StagingPoolOptions::default() });
    let units = stream(&model, &options(Output::Raw, 2 * MIB), &pool);
    assert_eq!(units.map(|unit| unit.unwrap().unit().chunks.len()).sum::<usize>(), 10);
    let stats = pool.stats();
    assert!(stats.misses <= 3 && stats.peak_bytes <= 6 * MIB, "{stats:?}");
    assert_eq!((stats.in_use_count, stats.held_count), (0, 0), "and releases them at its end");
}

#[test]
fn a_stream_whose_pool_was_closed_ends_though_it_has_units_of_its_own() {
    let model = from_bytes(&[TensorSpec::patterned("big", 20 << 20, 24, 20 << 20)], 0);
    let pool = pool();
    let mut units = stream(&model, &options(Output::Raw, MIB), &pool);
    for _ in 0..6 {
        units.next().unwrap().unwrap();
    }
    pool.close();
    let error = units.find_map(Result::err).unwrap();
    assert_eq!(error.code(), "ERR_RELEASED");
    assert_eq!(pool.stats().in_use_count, 0);
}

#[test]
fn nothing_is_read_before_the_first_request_and_a_dropped_stream_gives_all_back() {
    let pool = pool();
    let mut units = stream(&open(SAMPLE), &StreamOptions::default(), &pool);
    thread::sleep(Duration::from_millis(20));
    assert_eq!(pool.stats().misses, 0);
    assert!(units.next().is_some());
    drop(units);
    expect_all_back(&pool);
}

/// The reader's thread may still be at its last unit when its stream is gone.
fn expect_all_back(pool: &StagingPool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while pool.stats().in_use_count > 0 && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(pool.stats().in_use_count, 0);
}

#[test]
fn a_cancelled_stream_tells_whoever_waits_and_gives_its_buffers_back() {
    let model = from_bytes(&[TensorSpec::patterned("big", 20 << 20, 24, 20 << 20)], 0);
    let pool = pool();
    let mut units = stream(&model, &options(Output::Raw, MIB), &pool);
    drop(units.next().unwrap().unwrap());
    units.cancel();
    units.cancel();
    assert!(matches!(units.next(), Some(Err(Error::Cancelled))));
    drop(units);
    expect_all_back(&pool);
}

#[test]
fn kept_units_leave_the_pool_and_hold_nothing_back() {
    let model = from_bytes(&[TensorSpec::patterned("big", 12 << 20, 24, 12 << 20)], 0);
    let pool = pool();
    let kept: Vec<_> =
        stream(&model, &options(Output::Raw, MIB), &pool).map(|unit| unit.unwrap().keep()).collect();
    assert_eq!(kept.len(), 12);
    assert_eq!((pool.stats().in_use_count, pool.stats().held_count), (0, 0));
}

#[test]
fn a_budget_without_room_ends_the_stream_with_its_refusal() {
    let budget = MemoryBudget::new(MIB, 0).unwrap();
    let pool = StagingPool::new(StagingPoolOptions {
        budget: Some(budget.clone()),
        ..StagingPoolOptions::default()
    });
    let model = from_bytes(&[TensorSpec::patterned("big", 4 << 20, 24, 4 << 20)], 0);
    let mut units = stream(&model, &options(Output::Raw, 2 * MIB), &pool);
    assert!(matches!(units.next(), Some(Err(Error::InsufficientMemory { .. }))));
    assert!(units.next().is_none(), "an error is told once");
    assert_eq!(budget.allocated_bytes(), 0);
}

#[test]
fn a_file_that_shrinks_is_an_error_that_names_tensor_and_offset() {
    let (_folder, path) = on_disk(&gguf(&[TensorSpec::patterned("big", 8 << 20, 24, 8 << 20)], 0));
    let model = open(&path);
    let mut units = stream(&model, &options(Output::Raw, MIB), &pool());
    drop(units.next().unwrap().unwrap());
    FileOptions::new().write(true).open(&path).unwrap().set_len(1000).unwrap();
    let error = units.find_map(Result::err).expect("the rest of the file is not there");
    assert!(
        matches!(&error, Error::Io { tensor: Some(name), offset_bytes: Some(_), .. } if name == "big"),
        "{error}"
    );
}

#[test]
fn a_file_changed_in_place_is_refused_and_one_replaced_goes_on() {
    let bytes = gguf(&[TensorSpec::patterned("big", 8 << 20, 24, 8 << 20)], 0);
    let (folder, path) = on_disk(&bytes);
    let model = open(&path);
    let replacement = folder.path().join("other");
    std::fs::write(&replacement, b"another file altogether").unwrap();
    std::fs::rename(&replacement, &path).unwrap();
    assert_eq!(reassemble(stream(&model, &StreamOptions::default(), &pool()))[&0].len(), 8 << 20);

    let (_folder, path) = on_disk(&bytes);
    let model = open(&path);
    let later = std::time::SystemTime::now() + Duration::from_secs(5);
    FileOptions::new().write(true).open(&path).unwrap().set_modified(later).unwrap();
    let error = stream(&model, &StreamOptions::default(), &pool()).find_map(Result::err).unwrap();
    assert!(error.to_string().contains("it was changed since"), "{error}");
}

#[test]
fn tensors_without_elements_have_no_chunks() {
    let model = from_bytes(&[TensorSpec::floats("none", 0), TensorSpec::floats("one", 1)], 0);
    assert_eq!(
        reassemble(stream(&model, &StreamOptions::default(), &pool())).keys().copied().collect::<Vec<_>>(),
        [1]
    );
    let empty = from_bytes(&[], 0);
    assert!(stream(&empty, &StreamOptions::default(), &pool()).next().is_none());
}

/// The budget has room for one unit, so the reader is refused while the consumer holds one, and must notice every
/// return however it falls.
#[test]
fn a_budget_with_room_for_one_unit_is_slow_but_never_stuck_nor_refused() {
    let model = from_bytes(&[TensorSpec::patterned("big", 8 << 20, 24, 8 << 20)], 0);
    for room in [MIB, 2 * MIB] {
        for _ in 0..50 {
            let budget = MemoryBudget::new(room, 0).unwrap();
            let options_of_pool =
                StagingPoolOptions { budget: Some(budget.clone()), ..StagingPoolOptions::default() };
            let pool = StagingPool::new(options_of_pool);
            let units = stream(&model, &options(Output::Raw, MIB), &pool);
            assert_eq!(units.map(|unit| unit.unwrap().unit().chunks.len()).sum::<usize>(), 8);
            assert!(budget.peak_bytes() <= room);
        }
    }
}

/// A consumer that keeps every unit fills the budget for good: the refusal comes, and soon.
#[test]
fn a_budget_filled_by_kept_units_ends_the_stream() {
    let budget = MemoryBudget::new(3 * MIB, 0).unwrap();
    let pool = StagingPool::new(StagingPoolOptions {
        budget: Some(budget.clone()),
        ..StagingPoolOptions::default()
    });
    let model = from_bytes(&[TensorSpec::patterned("big", 8 << 20, 24, 8 << 20)], 0);
    let mut units = stream(&model, &options(Output::Raw, MIB), &pool);
    let kept: Vec<_> = units.by_ref().map_while(Result::ok).map(StreamedUnit::keep).collect();
    assert_eq!((kept.len(), budget.allocated_bytes()), (3, 3 * MIB));
}

#[test]
fn the_smallest_chunks_of_a_small_tensor_fit_their_buffer() {
    let tensors = [TensorSpec::floats("small", 256)];
    let model = from_bytes(&tensors, 0);
    for output in [Output::Raw, Output::F32] {
        let data = reassemble(stream(&model, &options(output, 4), &pool()));
        assert!(data[&0] == tensors[0].data, "{}", output.name());
    }
}

/// The second tensor needs a larger window than the budget has room for until the test makes some: what was refused
/// must be tried again, not skipped.
#[test]
fn a_refused_read_into_a_destination_is_tried_again_and_skips_nothing() {
    let tensors = [TensorSpec::floats("small", 16), TensorSpec::floats("large", 600_000)];
    let model = from_bytes(&tensors, 0);
    let budget = MemoryBudget::new(4 * MIB, 0).unwrap();
    let pool = StagingPool::new(StagingPoolOptions {
        budget: Some(budget.clone()),
        ..StagingPoolOptions::default()
    });
    let selection = Selection::new(&model, &options(Output::F32, 4 * MIB)).unwrap();
    let (filled, windows) = mpsc::channel();
    let destination = Reporting { memory: vec![0.0; 600_016], lent: 0..0, filled };
    let mut reader = Reader::into_destination(model, selection, pool, Box::new(destination)).unwrap();
    assert!(reader.next_unit().unwrap().is_some());
    let elsewhere = budget.allocate(budget.available_bytes(), "elsewhere").unwrap();
    assert!(matches!(reader.next_unit(), Err(Error::InsufficientMemory { .. })));
    drop(elsewhere);
    while reader.next_unit().unwrap().is_some() {}
    drop(reader);
    let written: Vec<u8> = windows.into_iter().flat_map(|(_, bytes)| bytes).collect();
    assert!(written == tensors.map(|tensor| tensor.data).concat());
}

/// What a recording tells of one load with so much budget, which `consume` ends one way or another.
fn recorded(budget_bytes: u64, consume: impl FnOnce(&mut UnitStream)) -> Vec<(EventKind, String, u64)> {
    let budget = MemoryBudget::new(budget_bytes, 0).unwrap();
    let pool = StagingPool::new(StagingPoolOptions {
        budget: Some(budget.clone()),
        ..StagingPoolOptions::default()
    });
    let recording = budget.record(RecordOptions::default()).unwrap();
    let model = from_bytes(&[TensorSpec::patterned("big", 20 << 20, 24, 20 << 20)], 0);
    let mut units = stream(&model, &options(Output::Raw, MIB), &pool);
    consume(&mut units);
    drop(units);
    expect_all_back(&pool);
    let mut record = recording.stop();
    let names = std::mem::take(&mut record.threads);
    let loads = record.events.into_iter().filter(|event| event.kind.name().starts_with("load-"));
    loads
        .map(|event| {
            assert_eq!(names[&event.thread], "plimsoll-loader");
            (event.kind, event.label.to_string(), event.bytes)
        })
        .collect()
}

#[test]
fn a_recording_tells_when_a_load_began_and_how_it_ended() {
    let whole = recorded(MIB * 8, |units| assert!(units.all(|unit| unit.is_ok())));
    let begun = (EventKind::LoadStart, "<bytes>".to_owned(), 20 << 20);
    assert_eq!(whole, [begun.clone(), (EventKind::LoadEnd, "<bytes>".to_owned(), 20 << 20)]);
    let cancelled = recorded(MIB * 8, |units| {
        drop(units.next());
        units.cancel();
        assert!(units.next().unwrap().is_err());
    });
    assert_eq!((&cancelled[0], cancelled[1].0), (&begun, EventKind::LoadCancelled));
    assert!((MIB..=4 * MIB).contains(&cancelled[1].2), "{cancelled:?}");
    let failed = recorded(KIB, |units| assert!(units.next().unwrap().is_err()));
    assert_eq!(failed, [begun, (EventKind::LoadFailed, "<bytes>".to_owned(), 0)]);
}
