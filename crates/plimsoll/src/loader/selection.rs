//! Which tensors are read, as what, and in chunks of what size.

use crate::sorting::sort_by_key;
use std::ops::Range;

use gguf_dequant::Format;

use super::{io_mode::IoMode, layout::ModelTensor, model::ModelFile, output::Output};
use crate::{
    error::{Error, Result},
    units::{GIB, MIB},
};

/// What one read takes in, and what one buffer holds, unless a chunk is larger.
const UNIT_BYTES: u64 = MIB;

/// Padding between neighbours that is read along rather than skipped by a second read.
pub(super) const GAP_BYTES: u64 = 4096;

/// What a read past the page cache begins at and is a multiple of: as much as any disk asks for.
pub(super) const DIRECT_ALIGN_BYTES: u64 = 4096;

/// The most threads that one stream may have.
pub const MAX_THREADS: usize = 64;

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
    /// How many threads read and convert, each its own units; what is delivered is in order all the same. 1 by default, at
    /// most [`MAX_THREADS`].
    pub threads: usize,
    /// By which calls the file is read. Where they are not to be had it is read by [`IoMode::Read`], see
    /// [`UnitStream::reading`](super::UnitStream::reading).
    pub io: IoMode,
    /// Whether the page cache is rid of what was read, but for what it held before.
    pub drop_behind: bool,
    /// Whether tensors with values that are no finite numbers end the stream.
    pub check_tensors: bool,
    /// Whether the SHA-256 of each tensor's stored bytes is taken.
    pub digest: bool,
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self {
            tensors: None,
            output: Output::default(),
            chunk_bytes: MIB,
            threads: 1,
            io: IoMode::default(),
            drop_behind: false,
            check_tensors: false,
            digest: false,
        }
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
    options: StreamOptions,
    unit_bytes: u64,
    span_bytes: u64,
}

/// What cutting needs to know of a tensor.
#[derive(Debug, Clone)]
pub(super) struct TensorPart {
    pub(super) tensor: usize,
    /// Which file has it, and where in that.
    pub(super) file_index: usize,
    pub(super) offset_bytes: u64,
    /// How its blocks become numbers, if they do.
    pub(super) format: Option<Format>,
    pub(super) blocks: u64,
    pub(super) block_elements: u64,
    /// Bytes of a block as stored, and as delivered.
    pub(super) stored_block_bytes: u64,
    pub(super) data_block_bytes: u64,
    /// Blocks in a chunk that is not the last.
    pub(super) chunk_blocks: u64,
    /// Where the bytes end that are read one after the other from here on: the tensor's, and of those that follow it both in
    /// the file and in the selection.
    pub(super) run_end_bytes: u64,
}

impl Selection {
    /// Checks that every tensor asked for exists and converts, and that the chunk size suits them.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for an unknown tensor, one named twice, a chunk size out of range, and a model
    /// opened header-only or by an address; [`Error::UnsupportedType`] for a tensor that does not convert.
    pub fn new(model: &ModelFile, options: &StreamOptions) -> Result<Self> {
        if let Some(received) = model.without_data() {
            let expected = "opened with its data in order to be read";
            return Err(Error::invalid_argument("model", expected, received));
        }
        if options.chunk_bytes > GIB {
            return Err(chunk_size_error(format!("at most {GIB}"), options.chunk_bytes));
        }
        if !(1..=MAX_THREADS).contains(&options.threads) {
            let expected = format!("from 1 to {MAX_THREADS}");
            return Err(Error::invalid_argument("threads", expected, options.threads.to_string()));
        }
        let part = |tensor: ModelTensor<'_>| TensorPart::new(&tensor, options);
        let mut parts: Vec<TensorPart> = match &options.tensors {
            None => {
                let mut parts = model.layout().tensors().map(part).collect::<Result<Vec<_>>>()?;
                sort_by_key(&mut parts, |part| (part.file_index, part.offset_bytes));
                parts
            }
            Some(names) => names.iter().map(|name| part(model.tensor(name)?)).collect::<Result<_>>()?,
        };
        refuse_repeats(model, &parts)?;
        join_runs(&mut parts);
        // A small selection gets no larger a buffer than it needs, its padding included.
        let most =
            |bytes: fn(&TensorPart) -> u64| parts.iter().map(|part| bytes(part) + GAP_BYTES).sum::<u64>();
        let chunk = |part: &TensorPart| part.chunk_blocks.min(part.blocks) * part.stored_block_bytes;
        let largest_chunk = parts.iter().map(chunk).max().unwrap_or(0);
        Ok(Self {
            unit_bytes: options.chunk_bytes.max(UNIT_BYTES).min(most(TensorPart::data_bytes)),
            span_bytes: largest_chunk.max(UNIT_BYTES).min(most(TensorPart::stored_bytes)),
            options: StreamOptions { tensors: None, ..options.clone() },
            parts,
        })
    }

    /// The form of the data.
    #[must_use]
    pub fn output(&self) -> Output {
        self.options.output
    }

    /// How many threads may read.
    pub(super) fn threads(&self) -> usize {
        self.options.threads
    }

    /// What was asked for, the tensors apart.
    pub(super) fn options(&self) -> &StreamOptions {
        &self.options
    }

    /// Bytes to be read from the file, all tensors together, padding apart.
    #[must_use]
    pub fn stored_bytes(&self) -> u64 {
        self.parts.iter().map(TensorPart::stored_bytes).sum()
    }

    /// Bytes to be delivered, all tensors together.
    #[must_use]
    pub fn data_bytes(&self) -> u64 {
        self.parts.iter().map(TensorPart::data_bytes).sum()
    }

    /// The most bytes of data in a unit. The buffers of all units have one size, so that they share the same few; pages that
    /// a unit does not fill are never touched.
    pub(super) fn unit_bytes(&self) -> u64 {
        self.unit_bytes
    }

    /// The most bytes of the file that a unit spans.
    pub(super) fn span_bytes(&self) -> u64 {
        self.span_bytes
    }

    pub(super) fn part(&self, index: usize) -> Option<&TensorPart> {
        self.parts.get(index)
    }
}

impl TensorPart {
    fn new(tensor: &ModelTensor<'_>, options: &StreamOptions) -> Result<Self> {
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
        let offset_bytes = tensor.file_offset_bytes();
        Ok(Self {
            tensor: tensor.index(),
            file_index: tensor.file_index(),
            offset_bytes,
            format: Format::from_type_id(tensor_type.id()),
            blocks: tensor.element_count() / tensor_type.block_elements(),
            block_elements: tensor_type.block_elements(),
            stored_block_bytes: tensor_type.block_bytes(),
            data_block_bytes,
            chunk_blocks,
            run_end_bytes: offset_bytes + tensor.size_bytes(),
        })
    }

    pub(super) fn stored_bytes(&self) -> u64 {
        self.blocks * self.stored_block_bytes
    }

    pub(super) fn data_bytes(&self) -> u64 {
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

/// Lets the run of each part go on through those that follow it.
fn join_runs(parts: &mut [TensorPart]) {
    let mut next: Option<(usize, u64, u64)> = None;
    for part in parts.iter_mut().rev() {
        let end = part.offset_bytes + part.stored_bytes();
        if let Some((file_index, start, run_end)) = next
            && file_index == part.file_index
            && (end..=end + GAP_BYTES).contains(&start)
        {
            part.run_end_bytes = run_end;
        }
        next = Some((part.file_index, part.offset_bytes, part.run_end_bytes));
    }
}
