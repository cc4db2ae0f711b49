//! Any bytes as a model, streamed or loaded in any way that there is: chunks tile each tensor, raw data is the file's, and
//! converted data that of the whole tensor. The first bytes say how, the rest is the file.

#![no_main]

use std::{
    ops::Range,
    sync::{Arc, OnceLock, mpsc},
    thread,
    time::Duration,
};

use gguf_dequant::Format;
use libfuzzer_sys::fuzz_target;
use plimsoll::{
    Error,
    loader::{
        Chunk, Destination, ModelFile, OpenOptions, Output, Reader, Selection, StreamOptions, UnitStream,
    },
    pool::{StagingPool, StagingPoolOptions},
};

/// How a model is read.
struct Manner {
    output: Output,
    /// From nothing, which is refused, to a gibibyte and more, which is, too.
    chunk_bytes: u64,
    strict: bool,
    header_only: bool,
    /// On a thread of its own, or on this one.
    on_a_thread: bool,
    into_destination: bool,
    /// The destination lacks a byte.
    too_small: bool,
    threads: usize,
    /// A value that is no number ends it.
    check_tensors: bool,
    digest: bool,
    /// After how many units the reader is dropped.
    units: usize,
    /// All tensors, or these, by their positions; any of them twice.
    tensors: Option<Vec<u8>>,
}

impl Manner {
    /// What the first bytes say, and the bytes behind them.
    fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let ([form, low, high, shift, flags, units, count], rest) = bytes.split_first_chunk()?;
        let (tensors, rest) = rest.split_at_checked(usize::from(count % 8))?;
        let flag = |bit: u8| flags >> bit & 1 == 1;
        let manner = Self {
            output: [Output::Raw, Output::F32, Output::F16, Output::Bf16][usize::from(form % 4)],
            chunk_bytes: u64::from(u16::from_le_bytes([*low, *high])) << (shift % 16),
            strict: flag(0),
            header_only: flags & 0b110 == 0b110,
            on_a_thread: flag(3),
            into_destination: flag(4),
            too_small: flags & 0b110_0000 == 0b110_0000,
            threads: usize::from(form >> 2 & 3) + 1,
            check_tensors: form >> 4 & 1 == 1,
            digest: form >> 5 & 1 == 1,
            units: if flag(7) { usize::from(*units) } else { usize::MAX },
            tensors: (count % 8 > 0).then(|| tensors.to_vec()),
        };
        Some((manner, rest))
    }

    fn open(&self, file: &[u8]) -> Option<Arc<ModelFile>> {
        let header = gguf_file::Options {
            strict: self.strict,
            header_only: self.header_only,
            ..gguf_file::Options::default()
        };
        let options = OpenOptions { header, ..OpenOptions::default() };
        ModelFile::from_bytes(file.to_vec(), &options).ok().map(Arc::new)
    }

    /// The tensors that are wanted, in order.
    fn wanted(&self, model: &ModelFile) -> Vec<usize> {
        let layout = model.layout();
        if let Some(choice) = self.tensors.as_ref().filter(|_| layout.tensor_count() > 0) {
            return choice.iter().map(|at| usize::from(*at) % layout.tensor_count()).collect();
        }
        let mut all: Vec<usize> = (0..layout.tensor_count()).collect();
        all.sort_by_key(|at| layout.tensor_at(*at).map(|tensor| tensor.file_offset_bytes()));
        all
    }

    fn options(&self, model: &ModelFile) -> StreamOptions {
        let name = |at| model.layout().tensor_at(at).expect("a position in the file").name().to_owned();
        let named = self.tensors.is_some() && model.layout().tensor_count() > 0;
        StreamOptions {
            tensors: named.then(|| self.wanted(model).into_iter().map(name).collect()),
            output: self.output,
            chunk_bytes: self.chunk_bytes,
            threads: self.threads,
            check_tensors: self.check_tensors,
            digest: self.digest,
            ..StreamOptions::default()
        }
    }
}

/// Memory that any element may begin in, with more behind it. It is sent back when the reader is done; windows must come in
/// ascending order.
struct Kept {
    memory: Vec<u8>,
    start: usize,
    capacity: usize,
    lent: usize,
    back: mpsc::Sender<Vec<u8>>,
}

const UNTOUCHED: u8 = 0x55;
const ALIGN_BYTES: usize = 64;

impl Kept {
    /// With room for `needed` bytes and some more, though it owns up to `capacity` alone.
    fn new(needed: usize, capacity: usize) -> (Self, mpsc::Receiver<Vec<u8>>) {
        let memory = vec![UNTOUCHED; needed + 2 * ALIGN_BYTES];
        let start = memory.as_ptr().align_offset(ALIGN_BYTES);
        let (back, receiver) = mpsc::channel();
        (Self { memory, start, capacity, lent: 0, back }, receiver)
    }
}

impl Destination for Kept {
    fn capacity_bytes(&self) -> u64 {
        self.capacity as u64
    }

    fn window(&mut self, offset_bytes: u64, len: usize) -> plimsoll::Result<&mut [u8]> {
        let offset = offset_bytes as usize;
        assert!(offset >= self.lent, "a window behind one that was lent");
        self.lent = offset + len;
        assert!(self.lent <= self.capacity, "a window beyond the destination");
        Ok(&mut self.memory[self.start + offset..self.start + self.lent])
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.memory.drain(..self.start);
        let _ = self.back.send(std::mem::take(&mut self.memory));
    }
}

/// What has to come.
struct Expected<'a> {
    file: &'a [u8],
    model: &'a ModelFile,
    output: Output,
    chunk_bytes: u64,
    wanted: Vec<usize>,
    /// How many of the wanted tensors have come whole, and how far the next one has.
    done: usize,
    element: u64,
    byte: u64,
    /// The next tensor as it comes out.
    whole: Option<Vec<u8>>,
}

impl Expected<'_> {
    /// One chunk more, with its data unless a destination has it.
    fn follow(&mut self, chunk: &Chunk, data: Option<&[u8]>) {
        self.pass_empty();
        assert_eq!(Some(&chunk.tensor), self.wanted.get(self.done), "the tensor whose turn it is");
        let tensor = self.model.layout().tensor_at(chunk.tensor).expect("a tensor of the file");
        let tensor_type = tensor.tensor_type();
        assert_eq!((chunk.elements.start, chunk.bytes.start), (self.element, self.byte), "no gap");
        let elements = chunk.elements.end - chunk.elements.start;
        assert!(elements > 0 && elements.is_multiple_of(tensor_type.block_elements()), "whole blocks");
        assert_eq!(
            elements / tensor_type.block_elements() * tensor_type.block_bytes(),
            chunk.bytes.end - chunk.bytes.start
        );
        let block_bytes = self.output.block_bytes(tensor_type);
        let data_bytes = elements / tensor_type.block_elements() * block_bytes;
        assert_eq!(data_bytes, chunk.data.end - chunk.data.start);
        assert!(data_bytes <= self.chunk_bytes, "no more than was asked for");
        if let Some(data) = data {
            let begin = chunk.bytes.start / tensor_type.block_bytes() * block_bytes;
            let output = self.output;
            let whole = &self.whole()[begin as usize..(begin + data_bytes) as usize];
            assert!(same(output, data, whole), "other data than the tensor's");
        }
        (self.element, self.byte) = (chunk.elements.end, chunk.bytes.end);
        if self.byte == tensor.size_bytes() {
            assert_eq!(self.element, tensor.element_count());
            (self.done, self.element, self.byte, self.whole) = (self.done + 1, 0, 0, None);
        }
    }

    fn pass_empty(&mut self) {
        let is_empty = |at: &usize| {
            self.model.layout().tensor_at(*at).expect("a tensor of the file").element_count() == 0
        };
        while self.byte == 0 && self.wanted.get(self.done).is_some_and(is_empty) {
            self.done += 1;
        }
    }

    /// The tensor whose turn it is, made from all of its bytes at once.
    fn whole(&mut self) -> &[u8] {
        let at = self.wanted[self.done];
        self.whole.get_or_insert_with(|| converted(self.file, self.model, at, self.output))
    }

    fn end(&mut self) {
        self.pass_empty();
        assert_eq!((self.done, self.byte), (self.wanted.len(), 0), "every tensor is whole");
    }
}

fn converted(file: &[u8], model: &ModelFile, at: usize, output: Output) -> Vec<u8> {
    let tensor = model.layout().tensor_at(at).expect("a tensor of the file");
    let Range { start, end } = tensor.file_range();
    // What has no bytes may stand in the padding that a file lacks at its end.
    let stored = if start < end { &file[start as usize..end as usize] } else { &[] };
    if output == Output::Raw {
        return stored.to_vec();
    }
    let format = Format::from_type_id(tensor.tensor_type().id()).expect("a type that converts");
    let elements = tensor.element_count() as usize;
    let (mut singles, mut halves) = (vec![0.0; elements], vec![0; elements]);
    match output {
        Output::F32 => gguf_dequant::to_f32(format, stored, &mut singles).expect("whole blocks"),
        Output::F16 => gguf_dequant::to_f16(format, stored, &mut halves).expect("whole blocks"),
        _ => gguf_dequant::to_bf16(format, stored, &mut halves).expect("whole blocks"),
    }
    match output {
        Output::F32 => singles.into_iter().flat_map(f32::to_le_bytes).collect(),
        _ => halves.into_iter().flat_map(u16::to_le_bytes).collect(),
    }
}

/// Whether they are the same bytes, or numbers of which each is the same or none in both.
fn same(output: Output, one: &[u8], other: &[u8]) -> bool {
    let (width, infinity) = match output {
        Output::Raw => return one == other,
        Output::F32 => (4, 0x7F80_0000),
        Output::F16 => (2, 0x7C00),
        _ => (2, 0x7F80),
    };
    let is_nan = |bytes: &[u8]| {
        let bits = bytes.iter().rev().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        bits & (u32::MAX >> (33 - 8 * width)) > infinity
    };
    one == other
        || one.len() == other.len()
            && one
                .chunks(width)
                .zip(other.chunks(width))
                .all(|(one, other)| one == other || is_nan(one) && is_nan(other))
}

/// One pool for all runs, so that its buffers are mapped once.
fn pool() -> &'static StagingPool {
    static POOL: OnceLock<StagingPool> = OnceLock::new();
    POOL.get_or_init(|| StagingPool::new(StagingPoolOptions::default()))
}

/// A unit's chunks lie in its buffer one after the other.
fn follow_unit(expected: &mut Expected<'_>, chunks: &[Chunk], buffer: Option<&[u8]>) {
    assert!(!chunks.is_empty(), "a unit of nothing");
    let mut end = 0;
    for chunk in chunks {
        let data = buffer.map(|buffer| {
            assert!(chunk.data.start >= end, "one chunk's data upon another's");
            end = chunk.data.end;
            &buffer[chunk.data.start as usize..chunk.data.end as usize]
        });
        expected.follow(chunk, data);
    }
}

/// The only error of what lies in memory: a value that is to be a number and is none.
fn expect_broken(error: &Error, manner: &Manner, expected: &Expected<'_>) {
    let Error::InvalidTensor { tensor, block, .. } = error else {
        panic!("what lies in memory is read: {error}")
    };
    assert!(manner.check_tensors, "nobody asked");
    let tensor = expected.model.layout().tensor(tensor).expect("a tensor of the file");
    let Range { start, end } = tensor.file_range();
    let format = Format::from_type_id(tensor.tensor_type().id()).expect("a type that has values");
    let found = gguf_dequant::first_non_finite(format, &expected.file[start as usize..end as usize]);
    assert_eq!(found.expect("whole blocks").map(|found| found as u64), Some(*block));
}

/// Reads as many units as are wanted. Says whether the end was reached.
fn read(reader: Reader, manner: &Manner, expected: &mut Expected<'_>) -> bool {
    if manner.on_a_thread {
        let mut stream = UnitStream::new(reader);
        for _ in 0..manner.units {
            let Some(unit) = stream.next() else { return true };
            let unit = match unit {
                Ok(unit) => unit,
                Err(error) => {
                    expect_broken(&error, manner, expected);
                    return false;
                }
            };
            follow_unit(expected, &unit.unit().chunks, unit.unit().buffer.as_deref());
        }
        stream.cancel();
        match stream.next() {
            Some(Err(Error::Cancelled)) | None => {}
            // It had come to it before.
            Some(Err(error)) => expect_broken(&error, manner, expected),
            Some(Ok(_)) => panic!("a unit of a stream that was given up"),
        }
    } else {
        let mut reader = reader;
        for _ in 0..manner.units {
            let unit = match reader.next_unit() {
                Ok(Some(unit)) => unit,
                Ok(None) => return true,
                Err(error) => {
                    expect_broken(&error, manner, expected);
                    return false;
                }
            };
            follow_unit(expected, &unit.chunks, unit.buffer.as_deref());
        }
    }
    false
}

/// Reads into memory, and looks at what came to lie there.
fn load(model: &Arc<ModelFile>, selection: Selection, manner: &Manner, expected: &mut Expected<'_>) -> bool {
    let needed = selection.data_bytes() as usize;
    let capacity = needed.saturating_sub(usize::from(manner.too_small));
    let (kept, memory) = Kept::new(needed, capacity);
    let made = Reader::into_destination(Arc::clone(model), selection, pool().clone(), Box::new(kept));
    let ended = match made {
        Ok(reader) => read(reader, manner, expected),
        Err(error) => {
            assert!(capacity < needed && matches!(error, Error::InvalidArgument { .. }), "{error}");
            false
        }
    };
    let bytes = memory.recv().expect("the reader ended");
    let untouched = |bytes: &[u8]| bytes.iter().all(|byte| *byte == UNTOUCHED);
    assert!(untouched(&bytes[capacity..]), "written behind the destination");
    assert!(capacity == needed || untouched(&bytes), "written though it is too small");
    if ended {
        let mut start = 0;
        for at in &expected.wanted {
            let whole = converted(expected.file, model, *at, manner.output);
            assert!(same(manner.output, &bytes[start..start + whole.len()], &whole), "other data");
            start += whole.len();
        }
        assert_eq!(start, needed);
    }
    ended
}

fuzz_target!(|bytes: &[u8]| {
    let Some((manner, file)) = Manner::read(bytes) else { return };
    let Some(model) = manner.open(file) else { return };
    let wanted = manner.wanted(&model);
    let selection = match Selection::new(&model, &manner.options(&model)) {
        Ok(selection) => selection,
        Err(error) => {
            assert!(
                matches!(error, Error::InvalidArgument { .. } | Error::UnsupportedType { .. }),
                "{error}"
            );
            return;
        }
    };
    assert!(!manner.header_only, "there is no data to read");
    let mut expected = Expected {
        file,
        model: &model,
        output: manner.output,
        chunk_bytes: manner.chunk_bytes,
        wanted,
        done: 0,
        element: 0,
        byte: 0,
        whole: None,
    };
    let ended = if manner.into_destination {
        load(&model, selection, &manner, &mut expected)
    } else {
        read(Reader::new(Arc::clone(&model), selection, pool().clone()), &manner, &mut expected)
    };
    if ended {
        expected.end();
    }
    // A thread that was told to stop may still be at its last unit.
    for _ in 0..5000 {
        if pool().stats().in_use_count == 0 {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
    panic!("buffers that did not come back: {:?}", pool().stats());
});
