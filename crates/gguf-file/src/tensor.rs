//! What a file says about its tensors.

use std::{
    fmt,
    ops::{Deref, Range},
};

use crate::{Limits, TensorType, metadata::Span, names::NameIndex};

/// The most dimensions a tensor can have.
const MAX_DIMENSIONS: usize = Limits::MAX_DIMENSIONS as usize;

/// One tensor as it is kept: 32 bytes, the name and the dimensions left in the header.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TensorRecord {
    pub(crate) data_offset: u64,
    pub(crate) size_bytes: u64,
    pub(crate) name: Span,
    pub(crate) tensor_type: TensorType,
    pub(crate) dimensions: u8,
}

const _: () =
    assert!(size_of::<TensorRecord>() <= 32, "a million tensors must not cost more than their infos");

/// The tensors with an index over their names.
#[derive(Debug, Clone, Default)]
pub(crate) struct TensorTable {
    pub(crate) list: Vec<TensorRecord>,
    pub(crate) by_name: NameIndex,
}

impl TensorTable {
    pub(crate) fn position(&self, name: &[u8], header: &[u8]) -> Option<u32> {
        self.by_name.find(name, |position| name_at(&self.list, position, header))
    }
}

/// The name of the tensor at `position`.
pub(crate) fn name_at<'h>(list: &[TensorRecord], position: u32, header: &'h [u8]) -> &'h [u8] {
    list.get(position as usize).map_or(&[], |record| record.name.of(header))
}

impl TensorRecord {
    pub(crate) fn dims(&self, header: &[u8]) -> Dims {
        let field = header.get(self.dims_field() as usize..).unwrap_or_default();
        let mut dims = Dims { sizes: [0; MAX_DIMENSIONS], count: self.dimensions };
        for (size, bytes) in dims.sizes.iter_mut().zip(field.as_chunks().0).take(self.dimensions.into()) {
            *size = u64::from_le_bytes(*bytes);
        }
        dims
    }

    /// Where the tensor info gives its dimensions: after name (u64 length before it) and their number (u32).
    pub(crate) fn dims_field(&self) -> u64 {
        u64::from(self.name.start) + u64::from(self.name.len) + 4
    }

    /// Where the tensor info gives its type: after the dimensions.
    pub(crate) fn type_field(&self) -> u64 {
        self.dims_field() + 8 * u64::from(self.dimensions)
    }

    /// Where the tensor info gives its data offset: after the type (u32).
    pub(crate) fn data_offset_field(&self) -> u64 {
        self.type_field() + 4
    }

    /// First byte after the data, relative to the data section; the parser has checked that it does not
    /// overflow.
    pub(crate) fn data_end(&self) -> u64 {
        self.data_offset + self.size_bytes
    }
}

/// The size of each dimension of a tensor, the fastest-varying first: a slice of numbers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Dims {
    /// Zero beyond those that there are.
    sizes: [u64; MAX_DIMENSIONS],
    count: u8,
}

impl Deref for Dims {
    type Target = [u64];

    fn deref(&self) -> &[u64] {
        self.sizes.get(..self.count.into()).unwrap_or_default()
    }
}

impl fmt::Debug for Dims {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.deref().fmt(formatter)
    }
}

/// One tensor: its name, shape, type and where its data lies. A view: copying it costs nothing.
#[derive(Debug, Clone, Copy)]
pub struct Tensor<'a> {
    pub(crate) record: &'a TensorRecord,
    pub(crate) header: &'a [u8],
    pub(crate) data_section_offset: u64,
    pub(crate) index: usize,
}

impl<'a> Tensor<'a> {
    /// The name, unique in its file.
    #[must_use]
    pub fn name(&self) -> &'a str {
        str::from_utf8(self.record.name.of(self.header)).unwrap_or_default()
    }

    /// Position among the tensors of the file, from 0.
    #[must_use]
    pub const fn index(&self) -> usize {
        self.index
    }

    /// Size of each dimension, the fastest-varying first; the reverse of a `numpy` shape. No dimension at
    /// all means one element.
    #[must_use]
    pub fn dims(&self) -> Dims {
        self.record.dims(self.header)
    }

    /// How the elements are encoded.
    #[must_use]
    pub const fn tensor_type(&self) -> TensorType {
        self.record.tensor_type
    }

    /// Number of elements: the product of the dimensions.
    #[must_use]
    pub fn element_count(&self) -> u64 {
        // The parser has refused products that exceed MAX_EXACT; a zero may stand beside larger numbers.
        self.dims().iter().fold(1, |product, &dimension| dimension.wrapping_mul(product))
    }

    /// Bytes the data takes.
    #[must_use]
    pub const fn size_bytes(&self) -> u64 {
        self.record.size_bytes
    }

    /// Where the data starts, in bytes from the start of the data section: the number in the file.
    #[must_use]
    pub const fn offset_bytes(&self) -> u64 {
        self.record.data_offset
    }

    /// Where the data starts, in bytes from the start of the file.
    #[must_use]
    pub const fn file_offset_bytes(&self) -> u64 {
        self.data_section_offset + self.record.data_offset
    }

    /// The bytes of the file that hold the data. Where there are none, the empty range may begin behind the end of the file: in
    /// the padding that a file may lack there.
    #[must_use]
    pub const fn file_range(&self) -> Range<u64> {
        self.file_offset_bytes()..self.file_offset_bytes() + self.record.size_bytes
    }
}

/// Walks the tensors of a file in file order.
#[derive(Debug, Clone)]
pub struct Tensors<'a> {
    pub(crate) records: std::iter::Enumerate<std::slice::Iter<'a, TensorRecord>>,
    pub(crate) header: &'a [u8],
    pub(crate) data_section_offset: u64,
}

impl<'a> Tensors<'a> {
    fn view(&self, (index, record): (usize, &'a TensorRecord)) -> Tensor<'a> {
        Tensor { record, header: self.header, data_section_offset: self.data_section_offset, index }
    }
}

impl<'a> Iterator for Tensors<'a> {
    type Item = Tensor<'a>;

    fn next(&mut self) -> Option<Tensor<'a>> {
        self.records.next().map(|record| self.view(record))
    }

    fn nth(&mut self, count: usize) -> Option<Tensor<'a>> {
        self.records.nth(count).map(|record| self.view(record))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.records.size_hint()
    }
}

impl DoubleEndedIterator for Tensors<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.records.next_back().map(|record| self.view(record))
    }
}

impl ExactSizeIterator for Tensors<'_> {}
impl std::iter::FusedIterator for Tensors<'_> {}
