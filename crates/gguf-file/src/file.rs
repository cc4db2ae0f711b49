//! A parsed file: the front of the crate.

use std::fmt;

use crate::{
    FileType, Metadata, Tensor, Tensors,
    metadata::{ARCHITECTURE_KEY, Entries, FILE_TYPE_KEY},
    tensor::{TensorRecord, TensorTable},
};

/// The checked layout of a GGUF file: its metadata and where each tensor's data lies.
///
/// It owns the header and nothing else, no file handle and no tensor data, and every number it gives has
/// passed the rules of [`Error`](crate::Error): ranges that are not empty lie inside the file, no two overlap, and counts, offsets and ends
/// are at most [`MAX_EXACT`](crate::MAX_EXACT).
///
/// ```no_run
/// use gguf_file::{GgufFile, Options, ReadAt, open_file};
///
/// let source = open_file("model.gguf")?;
/// let file = GgufFile::parse(&source, &Options::default())?;
/// for tensor in file.tensors() {
///     println!("{} {:?} {} {:?}", tensor.name(), tensor.dims(), tensor.tensor_type(), tensor.file_range());
/// }
/// if let Some(norm) = file.tensor("output_norm.weight") {
///     let mut data = vec![0; norm.size_bytes() as usize];
///     source.read_exact_at(&mut data, norm.file_offset_bytes())?;
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct GgufFile {
    pub(crate) header: Box<[u8]>,
    pub(crate) entries: Entries,
    pub(crate) tensors: TensorTable,
    pub(crate) version: u32,
    pub(crate) alignment: u64,
    pub(crate) data_section_offset: u64,
    pub(crate) file_bytes: u64,
    pub(crate) header_only: bool,
    pub(crate) split: Option<Split>,
}

/// Which part of a model that is split into several files this file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Split {
    /// Position of this file, from 0 (`split.no`).
    pub number: u64,
    /// Number of files (`split.count`), at least 1.
    pub count: u64,
    /// Tensors of all files together (`split.tensors.count`), if it is given.
    pub tensor_count: Option<u64>,
}

/// Bytes of the data section that belong to no tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// Where it begins, in bytes from the start of the file.
    pub offset_bytes: u64,
    /// How long it is, in bytes.
    pub size_bytes: u64,
    /// The position in the file of the tensor before it; `None` before the first.
    pub after: Option<usize>,
}

impl GgufFile {
    /// The version of the format: 2 or 3.
    #[must_use]
    pub const fn version(&self) -> u32 {
        self.version
    }

    /// Keys and values.
    #[must_use]
    pub const fn metadata(&self) -> Metadata<'_> {
        Metadata { header: &self.header, entries: &self.entries }
    }

    /// The model family (`general.architecture`), such as `"llama"`, if it is given.
    #[must_use]
    pub fn architecture(&self) -> Option<&str> {
        self.metadata().get(ARCHITECTURE_KEY)?.as_str()
    }

    /// The mixture of tensor types (`general.file_type`), if it is given.
    #[must_use]
    pub fn file_type(&self) -> Option<FileType> {
        self.metadata().get(FILE_TYPE_KEY)?.as_u64().map(FileType::from_id)
    }

    /// Which part of a split model this is; `None` if it is whole, which a `split.count` of 0 means too.
    #[must_use]
    pub const fn split(&self) -> Option<Split> {
        self.split
    }

    /// The tensors in file order; `len()` of it is their number, `nth()` takes constant time.
    #[must_use]
    pub fn tensors(&self) -> Tensors<'_> {
        Tensors {
            records: self.tensors.list.iter().enumerate(),
            header: &self.header,
            data_section_offset: self.data_section_offset,
        }
    }

    /// Number of tensors.
    #[must_use]
    pub const fn tensor_count(&self) -> usize {
        self.tensors.list.len()
    }

    /// The tensor of this name, found by hash.
    #[must_use]
    pub fn tensor(&self, name: &str) -> Option<Tensor<'_>> {
        let position = self.tensors.position(name.as_bytes(), &self.header)?;
        self.tensor_at(position as usize)
    }

    /// The tensor at this position in the file, from 0.
    #[must_use]
    pub fn tensor_at(&self, index: usize) -> Option<Tensor<'_>> {
        self.tensors().nth(index)
    }

    /// The multiple at which tensor data starts (`general.alignment`, 32 if it is not given): a power of two
    /// up to 1 MiB.
    #[must_use]
    pub const fn alignment_bytes(&self) -> u64 {
        self.alignment
    }

    /// Bytes of the header: all that stands before the padding and the data section.
    #[must_use]
    pub const fn header_bytes(&self) -> u64 {
        self.header.len() as u64
    }

    /// Where the data section begins: the end of the header rounded up to the alignment. A file without
    /// tensors has no data section and no padding, and this is the end of its header.
    #[must_use]
    pub const fn data_offset_bytes(&self) -> u64 {
        self.data_section_offset
    }

    /// Bytes of the data section from its start to the end of the last tensor's data, gaps included.
    #[must_use]
    pub fn data_bytes(&self) -> u64 {
        self.tensors.list.iter().map(TensorRecord::data_end).max().unwrap_or(0)
    }

    /// Bytes that belong to no tensor and are not the padding before the next: at least as many as the alignment, in the
    /// order of the file. A sound file has none, unless its writer left room; many of them mean that its tensors are larger
    /// than their types say, as those of a fork's types are.
    #[must_use]
    pub fn gaps(&self) -> Vec<Gap> {
        let in_order = self.tensors_in_order();
        let starts = in_order.iter().map(|record| record.data_offset);
        let data_end = (!self.header_only).then(|| self.file_bytes.saturating_sub(self.data_section_offset));
        let mut end = 0;
        let mut after = None;
        let mut gaps = Vec::new();
        for (position, start) in starts.chain(data_end).enumerate() {
            let gap_bytes = start.saturating_sub(end);
            if gap_bytes >= self.alignment {
                gaps.push(Gap { offset_bytes: self.data_section_offset + end, size_bytes: gap_bytes, after });
            }
            if let Some(record) = in_order.get(position).filter(|record| record.data_end() >= end) {
                end = record.data_end();
                after =
                    self.tensors.position(record.name.of(&self.header), &self.header).map(|it| it as usize);
            }
        }
        if in_order.is_empty() { Vec::new() } else { gaps }
    }

    /// By where their data begins.
    pub(crate) fn tensors_in_order(&self) -> Vec<&TensorRecord> {
        let mut in_order: Vec<&TensorRecord> = self.tensors.list.iter().collect();
        if !in_order.is_sorted_by_key(|record| record.data_offset) {
            in_order.sort_by_key(|record| record.data_offset);
        }
        in_order
    }

    /// The size of the source when it was parsed. A file that has another size later has been changed.
    #[must_use]
    pub const fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// Whether it was parsed with [`Options::header_only`](crate::Options::header_only): then the data may not be there.
    #[must_use]
    pub const fn is_header_only(&self) -> bool {
        self.header_only
    }
}

impl fmt::Debug for GgufFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("GgufFile")
            .field("version", &self.version)
            .field("architecture", &self.architecture())
            .field("metadata_entries", &self.metadata().len())
            .field("tensors", &self.tensor_count())
            .field("header_bytes", &self.header_bytes())
            .field("data_offset_bytes", &self.data_offset_bytes())
            .field("file_bytes", &self.file_bytes)
            .field("header_only", &self.header_only)
            .finish_non_exhaustive()
    }
}
