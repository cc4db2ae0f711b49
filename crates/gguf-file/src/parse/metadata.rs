//! Metadata: each key, and the extent of its value.

use super::reader::HeaderReader;
use crate::{
    Error, Limits, ValueType,
    error::shown,
    metadata::{Entries, Entry, Span, key_at},
    names::NameIndex,
};

/// The fewest bytes an entry can take: length (u64) and one byte of key, type (u32), one byte of value.
pub(super) const MINIMUM_BYTES: u64 = 8 + 1 + 4 + 1;

/// Reads `count` entries, which have been announced.
pub(super) fn read(reader: &mut HeaderReader<'_>, count: usize, limits: &Limits) -> Result<Entries, Error> {
    let mut entries = Entries { list: Vec::new(), by_key: NameIndex::with_capacity(count)? };
    entries
        .list
        .try_reserve_exact(count)
        .map_err(|_| Error::OutOfMemory { bytes: (count * size_of::<Entry>()) as u64 })?;
    for position in 0..count as u32 {
        let key = read_key(reader, limits)?;
        let entry = ValueReader { reader, limits, key }.entry()?;
        entries.list.push(entry);
        refuse_duplicate(reader, &mut entries, position, key)?;
    }
    Ok(entries)
}

fn read_key(reader: &mut HeaderReader<'_>, limits: &Limits) -> Result<Span, Error> {
    let offset = reader.offset();
    let bytes = reader.u64()?;
    let limit_bytes = u64::from(limits.key_bytes);
    if bytes == 0 {
        return Err(Error::EmptyKey { offset });
    }
    if bytes > limit_bytes {
        return Err(Error::KeyTooLong { offset, bytes, limit_bytes });
    }
    reader.claim("a metadata key", bytes, 1)?;
    let offset = reader.offset();
    let key = reader.take(bytes as usize)?;
    if str::from_utf8(key).is_err() {
        return Err(Error::KeyNotUtf8 { offset, key: shown(key) });
    }
    if key.contains(&0) {
        return Err(Error::KeyHasNul { offset, key: shown(key) });
    }
    Ok(Span { start: offset as u32, len: bytes as u32 })
}

fn refuse_duplicate(
    reader: &mut HeaderReader<'_>,
    entries: &mut Entries,
    position: u32,
    key: Span,
) -> Result<(), Error> {
    let header = reader.header()?;
    let Entries { list, by_key } = entries;
    let name = key.of(header);
    match by_key.insert(name, position, |position| key_at(list, position, header)) {
        None => Ok(()),
        Some(first) => Err(Error::DuplicateKey {
            offset: key.start.into(),
            key: shown(name),
            first_offset: list.get(first as usize).map_or(0, |entry| entry.key.start.into()),
        }),
    }
}

/// Walks over the value of one key.
///
/// Each of its steps finds the smallest extent of what it reads already announced, and announces what lengths
/// and counts add to it.
struct ValueReader<'r, 's> {
    reader: &'r mut HeaderReader<'s>,
    limits: &'r Limits,
    key: Span,
}

impl ValueReader<'_, '_> {
    fn entry(mut self) -> Result<Entry, Error> {
        let offset = self.reader.offset();
        let type_id = self.reader.u32()?;
        let Some(value_type) = ValueType::from_id(type_id) else {
            return Err(Error::UnknownValueType { offset, key: self.shown_key(), type_id });
        };
        let start = self.reader.offset();
        self.reader.claim("a metadata value", value_type.minimum_bytes(), 1)?;
        match value_type {
            ValueType::String => self.string()?,
            ValueType::Array => self.array(1)?,
            ValueType::Bool => self.bools(1)?,
            _ => self.reader.skip(value_type.minimum_bytes() as usize),
        }
        let len = self.reader.offset() - start;
        Ok(Entry { key: self.key, value: Span { start: start as u32, len: len as u32 }, value_type })
    }

    fn strings(&mut self, count: usize) -> Result<(), Error> {
        let mut remaining = count;
        loop {
            remaining -= self.reader.skip_fetched_strings(remaining, self.limits.string_bytes.into());
            if remaining == 0 {
                return Ok(());
            }
            self.string()?;
            remaining -= 1;
        }
    }

    fn string(&mut self) -> Result<(), Error> {
        let bytes = self.reader.u64()?;
        if bytes > u64::from(self.limits.string_bytes) {
            return Err(self.string_too_long(bytes));
        }
        self.reader.claim("a string", bytes, 0)?;
        self.reader.skip(bytes as usize);
        Ok(())
    }

    fn array(&mut self, depth: u32) -> Result<(), Error> {
        let offset = self.reader.offset();
        let limit = self.limits.array_depth.min(Limits::MAX_ARRAY_DEPTH);
        if depth > limit {
            return Err(Error::ArrayTooDeep { offset, key: self.shown_key(), depth, limit });
        }
        let type_id = self.reader.u32()?;
        let Some(element_type) = ValueType::from_id(type_id) else {
            return Err(Error::UnknownElementType { offset, key: self.shown_key(), type_id });
        };
        let offset = self.reader.offset();
        let count = self.reader.u64()?;
        self.reader.claim_entries("array elements", offset, count, element_type.minimum_bytes())?;
        self.elements(element_type, count as usize, depth)
    }

    fn elements(&mut self, element_type: ValueType, count: usize, depth: u32) -> Result<(), Error> {
        match element_type {
            ValueType::String => self.strings(count),
            ValueType::Array => (0..count).try_for_each(|_| self.array(depth + 1)),
            ValueType::Bool => self.bools(count),
            _ => {
                self.reader.skip(count * element_type.minimum_bytes() as usize);
                Ok(())
            }
        }
    }

    fn bools(&mut self, count: usize) -> Result<(), Error> {
        let start = self.reader.offset();
        let bytes = self.reader.take(count)?;
        let Some((index, &value)) = bytes.iter().enumerate().find(|&(_, &byte)| byte > 1) else {
            return Ok(());
        };
        Err(Error::InvalidBool { offset: start + index as u64, key: self.shown_key(), value })
    }

    fn string_too_long(&mut self, bytes: u64) -> Error {
        Error::StringTooLong {
            offset: self.reader.offset() - size_of::<u64>() as u64,
            key: self.shown_key(),
            bytes,
            limit_bytes: self.limits.string_bytes.into(),
        }
    }

    fn shown_key(&mut self) -> String {
        self.reader.header().map_or_else(|_| String::new(), |header| shown(self.key.of(header)))
    }
}
