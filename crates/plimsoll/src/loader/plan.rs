//! How a selection falls into units.

use std::ops::Range;

use super::{
    output::Output,
    selection::{Chunk, GAP_BYTES, Selection},
};

/// Tiny chunks: so many end a unit even when its buffer has room.
const MAX_CHUNKS_PER_UNIT: usize = 512;

/// Chunks start at multiples of this within a converted unit: a cache line, and more than any element needs.
const CHUNK_ALIGN_BYTES: u64 = 64;

/// What one unit reads and delivers.
#[derive(Debug, Default)]
pub(super) struct UnitPlan {
    /// Which file is read.
    pub(super) file_index: usize,
    /// The bytes of the file that hold every chunk of the unit.
    pub(super) span: Range<u64>,
    /// Where the bytes end that will be read next.
    pub(super) run_end_bytes: u64,
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
    /// Whether its tensor ends with it.
    pub(super) is_last: bool,
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

    /// Whether there is a next unit.
    pub(super) fn has_more(&mut self, selection: &Selection) -> bool {
        self.peek(selection).is_some()
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

    /// A unit of the next chunk alone, its data placed where a destination for the whole selection has it.
    pub(super) fn next_chunk(&mut self, selection: &Selection) -> Option<UnitPlan> {
        let mut planned = self.peek(selection)?;
        self.advance(&planned, selection);
        let part = selection.part(planned.part)?;
        let start = planned.chunk.bytes.start / part.stored_block_bytes * part.data_block_bytes;
        let before = if self.part == planned.part { 0 } else { part.data_bytes() };
        let start = self.delivered_bytes - before + start;
        let len = planned.chunk.data.end - planned.chunk.data.start;
        let mut unit = UnitPlan::default();
        unit.push(planned.clone(), selection);
        planned.chunk.data = start..start + len;
        unit.chunks = vec![planned];
        Some(unit)
    }

    fn peek(&mut self, selection: &Selection) -> Option<PlannedChunk> {
        let part = loop {
            let part = selection.part(self.part)?;
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
            is_last: blocks.end == part.blocks,
        })
    }

    fn advance(&mut self, planned: &PlannedChunk, selection: &Selection) {
        let Some(part) = selection.part(planned.part) else { return };
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
        let is_same_file =
            selection.part(planned.part).is_some_and(|part| part.file_index == self.file_index);
        follows
            && is_same_file
            && self.chunks.len() < MAX_CHUNKS_PER_UNIT
            && self.place(planned, selection).end <= selection.unit_bytes()
            && planned.file.end - self.span.start <= selection.span_bytes()
    }

    /// Where the chunk's data comes to lie: raw bytes where the read puts them, converted ones after another.
    fn place(&self, planned: &PlannedChunk, selection: &Selection) -> Range<u64> {
        let start = match (selection.output(), self.chunks.is_empty()) {
            (_, true) => 0,
            (Output::Raw, false) => planned.file.start - self.span.start,
            (_, false) => self.data_bytes.next_multiple_of(CHUNK_ALIGN_BYTES),
        };
        start..start + (planned.chunk.data.end - planned.chunk.data.start)
    }

    fn push(&mut self, mut planned: PlannedChunk, selection: &Selection) {
        planned.chunk.data = self.place(&planned, selection);
        self.data_bytes = planned.chunk.data.end;
        if let Some(part) = selection.part(planned.part) {
            (self.file_index, self.run_end_bytes) = (part.file_index, part.run_end_bytes);
        }
        let start = if self.chunks.is_empty() { planned.file.start } else { self.span.start };
        self.span = start..planned.file.end;
        self.chunks.push(planned);
    }
}
