//! Which tensors are read, as what, and how they fall into chunks and units.

use std::ops::Range;

use gguf_dequant::Format;
use gguf_file::Tensor;

use super::{model::ModelFile, output::Output};
use crate::{
    error::{Error, Result},
    units::{GIB, MIB},
};

/// What one read takes in, and what one buffer holds, unless a chunk is larger.
const UNIT_BYTES: u64 = MIB;

/// Padding between neighbours that is read along rather than skipped by a second read.
const GAP_BYTES: u64 = 4096;

/// Tiny chunks: so many end a unit even when its buffer has room.
const MAX_CHUNKS_PER_UNIT: usize = 512;

/// Chunks start at multiples of this within a converted unit: a cache line, and more than any element needs.
const CHUNK_ALIGN_BYTES: u64 = 64;

/// What to stream, and how.
#[derive(Debug, Clone)]
pub struct StreamOptions {
    /// The tensors by name, in the order they are wanted; all by default, in the order of their data in the file.
    pub tensors: Option<Vec<String>>,
    /// The form of the data.
    pub output: Output,
    /// The most bytes of data in a chunk. A chunk ends on a whole block, so it may hold fewer. 1 MiB by default,
    /// 1 GiB at most, and no less than one block of every tensor in the output form.
    pub chunk_bytes: u64,
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self { tensors: None, output: Output::default(), chunk_bytes: MIB }
    }
}

/// A run of whole blocks of one tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Chunk {
    /// The tensor's index in the file.
    pub tensor: usize,
    /// The elements of the tensor that the chunk holds.
    pub elements: Range<u64>,
    /// The bytes of the tensor, as stored, that it was made from; relative to the tensor's start.
    pub bytes: Range<u64>,
    /// Where its data lies: in the unit's buffer, or in the destination.
    pub data: Range<u64>,
}

/// Checked tensors with their geometry, ready to be cut up.
#[derive(Debug)]
pub struct Selection {
    parts: Vec<TensorPart>,
    output: Output,
    unit_bytes: u64,
}

/// What cutting needs to know of a tensor.
#[derive(Debug, Clone)]
struct TensorPart {
    tensor: usize,
    format: Option<Format>,
    offset_bytes: u64,
    blocks: u64,
    block_elements: u64,
    /// Bytes of a block as stored, and as delivered.
    stored_block_bytes: u64,
    data_block_bytes: u64,
    /// Blocks in a chunk that is not the last.
    chunk_blocks: u64,
}

impl Selection {
    /// Checks that every tensor asked for exists and converts, and that the chunk size suits them.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for an unknown tensor, one named twice, a chunk size out of range, and a model
    /// opened header-only; [`Error::UnsupportedType`] for a tensor that does not convert.
    pub fn new(model: &ModelFile, options: &StreamOptions) -> Result<Self> {
        if model.layout().is_header_only() {
            return Err(Error::invalid_argument(
                "model",
                "opened with its data in order to be read",
                "one opened with headerOnly",
            ));
        }
        if options.chunk_bytes > GIB {
            return Err(chunk_size_error(format!("at most {GIB}"), options.chunk_bytes));
        }
        let part = |tensor: Tensor<'_>| TensorPart::new(&tensor, options);
        let parts: Vec<TensorPart> = match &options.tensors {
            None => {
                let mut parts = model.layout().tensors().map(part).collect::<Result<Vec<_>>>()?;
                parts.sort_by_key(|part| part.offset_bytes);
                parts
            }
            Some(names) => names.iter().map(|name| part(model.tensor(name)?)).collect::<Result<_>>()?,
        };
        refuse_repeats(model, &parts)?;
        // A small selection gets no larger a buffer than it needs, its padding included.
        let most = parts.iter().map(|part| part.data_bytes() + GAP_BYTES).sum();
        let unit_bytes = options.chunk_bytes.max(UNIT_BYTES).min(most);
        Ok(Self { parts, output: options.output, unit_bytes })
    }

    /// The form of the data.
    #[must_use]
    pub fn output(&self) -> Output {
        self.output
    }

    /// Bytes to be read from the file, all tensors together, padding apart.
    #[must_use]
    pub fn stored_bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.blocks * part.stored_block_bytes).sum()
    }

    /// Bytes to be delivered, all tensors together.
    #[must_use]
    pub fn data_bytes(&self) -> u64 {
        self.parts.iter().map(TensorPart::data_bytes).sum()
    }

    /// The size of every unit's buffer, and the most a unit holds: one size, so that all units share the same few
    /// buffers; pages that a unit does not fill are never touched.
    pub(super) fn unit_bytes(&self) -> u64 {
        self.unit_bytes
    }

    /// How the unit's chunk is converted.
    pub(super) fn format(&self, part: usize) -> Option<Format> {
        self.parts.get(part).and_then(|part| part.format)
    }
}

impl TensorPart {
    fn new(tensor: &Tensor<'_>, options: &StreamOptions) -> Result<Self> {
        let (tensor_type, output) = (tensor.tensor_type(), options.output);
        if !output.takes(tensor_type) {
            return Err(Error::UnsupportedType {
                tensor: tensor.name().to_owned(),
                type_id: tensor_type.id(),
                type_name: tensor_type.name(),
                wanted: output.name(),
            });
        }
        let data_block_bytes = output.block_bytes(tensor_type);
        let chunk_blocks = options.chunk_bytes / data_block_bytes;
        if chunk_blocks == 0 {
            let least = format!("at least {data_block_bytes}, one {tensor_type} block as {}", output.name());
            return Err(chunk_size_error(least, options.chunk_bytes));
        }
        Ok(Self {
            tensor: tensor.index(),
            format: if output == Output::Raw { None } else { Format::from_type_id(tensor_type.id()) },
            offset_bytes: tensor.file_offset_bytes(),
            blocks: tensor.element_count() / tensor_type.block_elements(),
            block_elements: tensor_type.block_elements(),
            stored_block_bytes: tensor_type.block_bytes(),
            data_block_bytes,
            chunk_blocks,
        })
    }

    fn data_bytes(&self) -> u64 {
        self.blocks * self.data_block_bytes
    }
}

fn chunk_size_error(expected: String, chunk_bytes: u64) -> Error {
    Error::invalid_argument("chunkBytes", expected, chunk_bytes.to_string())
}

fn refuse_repeats(model: &ModelFile, parts: &[TensorPart]) -> Result<()> {
    let mut seen: Vec<usize> = parts.iter().map(|part| part.tensor).collect();
    seen.sort_unstable();
    let twice = seen.windows(2).find_map(|pair| match pair {
        [a, b] if a == b => Some(*a),
        _ => None,
    });
    match twice.and_then(|index| model.layout().tensor_at(index)) {
        None => Ok(()),
        Some(tensor) => {
            let received = format!("{:?} twice", tensor.name());
            Err(Error::invalid_argument("tensors", "a list that names each tensor once", received))
        }
    }
}

/// What one unit reads and delivers.
#[derive(Debug, Default)]
pub(super) struct UnitPlan {
    /// The bytes of the file that hold every chunk of the unit.
    pub(super) span: Range<u64>,
    /// Each chunk with the part it belongs to and where it lies in the file.
    pub(super) chunks: Vec<PlannedChunk>,
    /// Bytes of buffer that the chunks need.
    pub(super) data_bytes: u64,
}

/// A chunk on its way from the file.
#[derive(Debug, Clone)]
pub(super) struct PlannedChunk {
    pub(super) chunk: Chunk,
    pub(super) part: usize,
    pub(super) file: Range<u64>,
    /// Where its tensor ends in the file: as far as a read may profitably go on.
    pub(super) tensor_end_bytes: u64,
}

/// Walks a selection unit by unit; holds a position, not a list, so a million tensors cost nothing more.
#[derive(Debug)]
pub(super) struct Cursor {
    part: usize,
    block: u64,
    /// Bytes delivered by the parts before this one.
    delivered_bytes: u64,
}

impl Cursor {
    pub(super) fn new() -> Self {
        Self { part: 0, block: 0, delivered_bytes: 0 }
    }

    /// The next unit, or `None` at the end.
    pub(super) fn next_unit(&mut self, selection: &Selection) -> Option<UnitPlan> {
        let mut unit = UnitPlan::default();
        while let Some(planned) = self.peek(selection) {
            if !unit.chunks.is_empty() && !unit.has_room_for(&planned, selection) {
                break;
            }
            unit.push(planned.clone(), selection);
            self.advance(&planned, selection);
        }
        (!unit.chunks.is_empty()).then_some(unit)
    }

    /// The next chunk alone, its data placed where a destination for the whole selection has it.
    pub(super) fn next_chunk(&mut self, selection: &Selection) -> Option<PlannedChunk> {
        let mut planned = self.peek(selection)?;
        self.advance(&planned, selection);
        let part = selection.parts.get(planned.part)?;
        let start = planned.chunk.bytes.start / part.stored_block_bytes * part.data_block_bytes;
        let before = if self.part == planned.part { 0 } else { part.data_bytes() };
        let start = self.delivered_bytes - before + start;
        planned.chunk.data = start..start + (planned.chunk.data.end - planned.chunk.data.start);
        Some(planned)
    }

    fn peek(&mut self, selection: &Selection) -> Option<PlannedChunk> {
        let part = loop {
            let part = selection.parts.get(self.part)?;
            if part.blocks > 0 {
                break part;
            }
            self.part += 1; // A tensor of no elements has no chunk.
        };
        let blocks = self.block..part.blocks.min(self.block + part.chunk_blocks);
        let scaled = |by: u64| blocks.start * by..blocks.end * by;
        let bytes = scaled(part.stored_block_bytes);
        Some(PlannedChunk {
            file: part.offset_bytes + bytes.start..part.offset_bytes + bytes.end,
            chunk: Chunk {
                tensor: part.tensor,
                elements: scaled(part.block_elements),
                bytes,
                data: 0..(blocks.end - blocks.start) * part.data_block_bytes,
            },
            part: self.part,
            tensor_end_bytes: part.offset_bytes + part.blocks * part.stored_block_bytes,
        })
    }

    fn advance(&mut self, planned: &PlannedChunk, selection: &Selection) {
        let Some(part) = selection.parts.get(planned.part) else { return };
        self.block = planned.chunk.bytes.end / part.stored_block_bytes;
        if self.block == part.blocks {
            self.delivered_bytes += part.data_bytes();
            self.part += 1;
            self.block = 0;
        }
    }
}

impl UnitPlan {
    fn has_room_for(&self, planned: &PlannedChunk, selection: &Selection) -> bool {
        let follows = (self.span.end..=self.span.end + GAP_BYTES).contains(&planned.file.start);
        follows
            && self.chunks.len() < MAX_CHUNKS_PER_UNIT
            && self.place(planned, selection).end <= selection.unit_bytes
    }

    /// Where the chunk's data comes to lie: raw bytes where the read puts them, converted ones after another.
    fn place(&self, planned: &PlannedChunk, selection: &Selection) -> Range<u64> {
        let start = match (selection.output, self.chunks.is_empty()) {
            (_, true) => 0,
            (Output::Raw, false) => planned.file.start - self.span.start,
            (_, false) => self.data_bytes.next_multiple_of(CHUNK_ALIGN_BYTES),
        };
        start..start + (planned.chunk.data.end - planned.chunk.data.start)
    }

    fn push(&mut self, mut planned: PlannedChunk, selection: &Selection) {
        planned.chunk.data = self.place(&planned, selection);
        self.data_bytes = planned.chunk.data.end;
        let start = if self.chunks.is_empty() { planned.file.start } else { self.span.start };
        self.span = start..planned.file.end;
        self.chunks.push(planned);
    }
}
