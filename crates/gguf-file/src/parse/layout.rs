//! The layout of the data section: what the tensor infos amount to together.

use super::tensors::element_count;
use crate::{
    Error, ForkType, GgufFile, MAX_EXACT,
    tensor::{TensorRecord, TensorTable},
};

/// Where the data section begins. A file without tensors has none, and need not be padded.
pub(super) fn data_section_offset(header_bytes: u64, tensors: &TensorTable, alignment: u64) -> u64 {
    if tensors.list.is_empty() { header_bytes } else { align_up(header_bytes, alignment) }
}

pub(super) fn check(file: &GgufFile, strict: bool) -> Result<(), Error> {
    refuse_inexact_ends(file)?;
    let in_order = file.tensors_in_order();
    refuse_fork_layouts(file, &in_order)?;
    if strict {
        expect_contiguous(file)?;
    } else {
        refuse_overlaps(file, &in_order)?;
    }
    if !file.header_only {
        expect_data_inside_file(file)?;
    }
    Ok(())
}

/// From here on offsets may be added to sizes and to the start of the data section without a check.
fn refuse_inexact_ends(file: &GgufFile) -> Result<(), Error> {
    for record in &file.tensors.list {
        let end = record
            .data_offset
            .checked_add(record.size_bytes)
            .and_then(|end| end.checked_add(file.data_section_offset));
        if end.is_none_or(|end| end > MAX_EXACT) {
            return Err(Error::TensorEndTooLarge {
                offset: record.data_offset_field(),
                tensor: name(file, record),
                data_offset: record.data_offset,
                size_bytes: record.size_bytes,
                limit: MAX_EXACT,
            });
        }
    }
    Ok(())
}

fn expect_contiguous(file: &GgufFile) -> Result<(), Error> {
    let mut expected = 0;
    for record in &file.tensors.list {
        if record.data_offset != expected {
            return Err(Error::TensorsNotContiguous {
                offset: record.data_offset_field(),
                tensor: name(file, record),
                data_offset: record.data_offset,
                expected,
            });
        }
        expected = align_up(record.data_end(), file.alignment);
    }
    Ok(())
}

/// The types of forks that share an id with a type of ggml's show in where the next tensor begins. A fork is named if its
/// type explains every tensor of the id, and ggml's does not.
fn refuse_fork_layouts(file: &GgufFile, in_order: &[&TensorRecord]) -> Result<(), Error> {
    for fork in ForkType::ALL {
        let mut first_apart = None;
        let mut explains = true;
        let of_id = in_order.iter().enumerate().filter(|(_, record)| record.tensor_type.id() == fork.id);
        for (position, record) in of_id {
            let Some(room) = Room::behind(file, in_order, position, record) else { continue };
            let dims = record.dims(&file.header);
            let elements = element_count(&dims).unwrap_or(0);
            let fork_bytes = fork.size_bytes(dims.first().copied().unwrap_or(1), elements);
            explains &= fork_bytes.is_some_and(|bytes| room.is_of(bytes));
            if !room.is_of(record.size_bytes) {
                first_apart = first_apart.or(Some((record, room.bytes)));
            }
        }
        if let Some((record, distance_bytes)) = first_apart.filter(|_| explains) {
            return Err(Error::ForkLayout {
                offset: record.type_field(),
                tensor: name(file, record),
                tensor_type: record.tensor_type,
                size_bytes: record.size_bytes,
                distance_bytes,
                fork,
            });
        }
    }
    Ok(())
}

/// From where a tensor's data begins to where the next one's does, or to the end of the file.
struct Room {
    bytes: u64,
    alignment: u64,
    is_last: bool,
}

impl Room {
    /// `None` behind the last tensor of a file whose data is elsewhere.
    fn behind(
        file: &GgufFile,
        in_order: &[&TensorRecord],
        position: usize,
        record: &TensorRecord,
    ) -> Option<Self> {
        let next = in_order.get(position + 1);
        let end = match next {
            Some(next) => next.data_offset,
            None if file.header_only => return None,
            None => file.file_bytes.saturating_sub(file.data_section_offset),
        };
        let bytes = end.saturating_sub(record.data_offset);
        Some(Self { bytes, alignment: file.alignment, is_last: next.is_none() })
    }

    /// Whether a tensor of so many bytes leaves nothing but its padding, which may be missing at the end of a file.
    fn is_of(&self, size_bytes: u64) -> bool {
        self.bytes == align_up(size_bytes, self.alignment) || (self.is_last && self.bytes == size_bytes)
    }
}

fn refuse_overlaps(file: &GgufFile, in_order: &[&TensorRecord]) -> Result<(), Error> {
    let mut before: Option<&TensorRecord> = None;
    for record in in_order.iter().copied().filter(|record| record.size_bytes > 0) {
        if let Some(other) = before.filter(|before| record.data_offset < before.data_end()) {
            return Err(Error::TensorsOverlap {
                offset: record.data_offset_field(),
                tensor: name(file, record),
                data_offset: record.data_offset,
                other: name(file, other),
                other_end: other.data_end(),
            });
        }
        before = Some(record);
    }
    Ok(())
}

fn expect_data_inside_file(file: &GgufFile) -> Result<(), Error> {
    let file_bytes = file.file_bytes;
    if !file.tensors.list.is_empty() && file.data_section_offset > file_bytes {
        return Err(Error::DataSectionMissing { offset: file.data_section_offset, file_bytes });
    }
    for record in &file.tensors.list {
        let start = file.data_section_offset + record.data_offset;
        let end = start + record.size_bytes;
        if end > last_end(file, record) {
            return Err(Error::TensorPastEnd {
                offset: record.data_offset_field(),
                tensor: name(file, record),
                start,
                end,
                file_bytes,
            });
        }
    }
    Ok(())
}

/// The padding after the last tensor may be missing, and a tensor without data may stand right behind it.
fn last_end(file: &GgufFile, record: &TensorRecord) -> u64 {
    if record.size_bytes == 0 { align_up(file.file_bytes, file.alignment) } else { file.file_bytes }
}

/// Saturates for the sizes of sources near 2^64, which no offset reaches.
fn align_up(bytes: u64, alignment: u64) -> u64 {
    bytes.checked_next_multiple_of(alignment).unwrap_or(u64::MAX)
}

fn name(file: &GgufFile, record: &TensorRecord) -> String {
    String::from_utf8_lossy(record.name.of(&file.header)).into_owned()
}
