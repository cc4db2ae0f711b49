//! Tensor infos: name, shape, type and data offset, each checked by itself.

use super::{known::Known, reader::HeaderReader};
use crate::{
    Error, Limits, MAX_EXACT, TensorType,
    error::shown,
    fork::{ForkType, removed_type_takes},
    metadata::Span,
    names::NameIndex,
    tensor::{TensorRecord, TensorTable, name_at},
};

/// The fewest bytes a tensor info can take: length (u64) and one byte of name, number of dimensions (u32) and
/// none of them, type (u32), data offset (u64).
pub(super) const MINIMUM_BYTES: u64 = 8 + 1 + 4 + 4 + 8;

/// Reads `count` tensor infos, which have been announced.
pub(super) fn read(
    reader: &mut HeaderReader<'_>,
    count: usize,
    known: &Known,
    limits: &Limits,
) -> Result<TensorTable, Error> {
    let mut tensors = TensorTable { list: Vec::new(), by_name: NameIndex::with_capacity(count)? };
    tensors
        .list
        .try_reserve_exact(count)
        .map_err(|_| Error::OutOfMemory { bytes: (count * size_of::<TensorRecord>()) as u64 })?;
    for position in 0..count as u32 {
        let name = read_name(reader, limits)?;
        let record = InfoReader { reader, name, known, limits }.record()?;
        tensors.list.push(record);
        refuse_duplicate(reader, &mut tensors, position, name)?;
    }
    Ok(tensors)
}

fn read_name(reader: &mut HeaderReader<'_>, limits: &Limits) -> Result<Span, Error> {
    let offset = reader.offset();
    let bytes = reader.u64()?;
    let limit_bytes = u64::from(limits.name_bytes);
    if bytes == 0 {
        return Err(Error::EmptyTensorName { offset });
    }
    if bytes > limit_bytes {
        return Err(Error::TensorNameTooLong { offset, bytes, limit_bytes });
    }
    reader.claim("a tensor name", bytes, 1)?;
    let offset = reader.offset();
    let name = reader.take(bytes as usize)?;
    if str::from_utf8(name).is_err() {
        return Err(Error::TensorNameNotUtf8 { offset, tensor: shown(name) });
    }
    if name.contains(&0) {
        return Err(Error::TensorNameHasNul { offset, tensor: shown(name) });
    }
    Ok(Span { start: offset as u32, len: bytes as u32 })
}

fn refuse_duplicate(
    reader: &mut HeaderReader<'_>,
    tensors: &mut TensorTable,
    position: u32,
    name: Span,
) -> Result<(), Error> {
    let header = reader.header()?;
    let TensorTable { list, by_name } = tensors;
    match by_name.insert(name.of(header), position, |position| name_at(list, position, header)) {
        None => Ok(()),
        Some(first) => Err(Error::DuplicateTensorName {
            offset: name.start.into(),
            tensor: text(name.of(header)),
            first_offset: list.get(first as usize).map_or(0, |record| record.name.start.into()),
        }),
    }
}

/// Reads what follows the name of one tensor.
struct InfoReader<'r, 's> {
    reader: &'r mut HeaderReader<'s>,
    name: Span,
    known: &'r Known,
    limits: &'r Limits,
}

impl InfoReader<'_, '_> {
    fn record(mut self) -> Result<TensorRecord, Error> {
        let dimensions = self.dimension_count()?;
        let dims_offset = self.reader.offset();
        let mut dims = [0; Limits::MAX_DIMENSIONS as usize];
        for (axis, dimension) in dims.iter_mut().take(dimensions).enumerate() {
            *dimension = self.dimension(axis as u32)?;
        }
        let shape = dims.get(..dimensions).unwrap_or_default();
        let tensor_type = self.tensor_type(shape)?;
        let size_bytes = self.size_bytes(tensor_type, shape, dims_offset)?;
        let data_offset = self.data_offset(self.known.alignment)?;
        let dimensions = dimensions as u8;
        Ok(TensorRecord { data_offset, size_bytes, name: self.name, tensor_type, dimensions })
    }

    fn dimension_count(&mut self) -> Result<usize, Error> {
        let offset = self.reader.offset();
        let dimensions = self.reader.u32()?;
        let limit = self.limits.dimensions.min(Limits::MAX_DIMENSIONS);
        if dimensions > limit {
            return Err(Error::TooManyDimensions { offset, tensor: self.tensor(), dimensions, limit });
        }
        self.reader.claim("the dimensions of a tensor", 8 * u64::from(dimensions), 0)?;
        Ok(dimensions as usize)
    }

    fn dimension(&mut self, axis: u32) -> Result<u64, Error> {
        let offset = self.reader.offset();
        let dimension = self.reader.u64()?;
        if dimension > MAX_EXACT {
            let tensor = self.tensor();
            return Err(Error::DimensionTooLarge { offset, tensor, axis, dimension, limit: MAX_EXACT });
        }
        Ok(dimension)
    }

    fn tensor_type(&mut self, dims: &[u64]) -> Result<TensorType, Error> {
        let offset = self.reader.offset();
        let type_id = self.reader.u32()?;
        TensorType::from_id(type_id).ok_or_else(|| {
            let tensor = self.tensor();
            match TensorType::removed_name(type_id) {
                Some(removed_name) => {
                    let is_removed =
                        !self.known.bitnet && removed_type_takes(type_id, dims.first().copied().unwrap_or(1));
                    let fork = ForkType::with_id(type_id).next();
                    Error::RemovedTensorType { offset, tensor, type_id, removed_name, is_removed, fork }
                }
                None => Error::UnknownTensorType { offset, tensor, type_id },
            }
        })
    }

    fn size_bytes(&mut self, tensor_type: TensorType, dims: &[u64], offset: u64) -> Result<u64, Error> {
        let block_elements = tensor_type.block_elements();
        // A tensor without dimensions is one element, so its row is too.
        let row_elements = dims.first().copied().unwrap_or(1);
        if !row_elements.is_multiple_of(block_elements) {
            let tensor = self.tensor();
            return Err(Error::PartialBlock { offset, tensor, tensor_type, row_elements, block_elements });
        }
        let Some(elements) = element_count(dims) else {
            let tensor = self.tensor();
            return Err(Error::ElementCountTooLarge {
                offset,
                tensor,
                dims: dims.to_vec(),
                limit: MAX_EXACT,
            });
        };
        match tensor_type.row_bytes(elements) {
            Some(size_bytes) if size_bytes <= MAX_EXACT => Ok(size_bytes),
            _ => {
                let tensor = self.tensor();
                Err(Error::TensorSizeTooLarge { offset, tensor, tensor_type, elements, limit: MAX_EXACT })
            }
        }
    }

    fn data_offset(&mut self, alignment: u64) -> Result<u64, Error> {
        let offset = self.reader.offset();
        let data_offset = self.reader.u64()?;
        if !data_offset.is_multiple_of(alignment) {
            return Err(Error::MisalignedTensor { offset, tensor: self.tensor(), data_offset, alignment });
        }
        Ok(data_offset)
    }

    fn tensor(&mut self) -> String {
        self.reader.header().map_or_else(|_| String::new(), |header| text(self.name.of(header)))
    }
}

/// The product of the dimensions, unless it exceeds [`MAX_EXACT`]. One that is zero makes it zero, however
/// large the others are.
pub(super) fn element_count(dims: &[u64]) -> Option<u64> {
    if dims.contains(&0) {
        return Some(0);
    }
    dims.iter()
        .try_fold(1_u64, |product, &dimension| product.checked_mul(dimension))
        .filter(|&product| product <= MAX_EXACT)
}

fn text(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}
