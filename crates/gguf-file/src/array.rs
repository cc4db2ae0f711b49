//! Arrays of metadata, kept as the bytes of the file.

use std::fmt;

use crate::{Value, ValueType, decode};

/// An array among the metadata: the bytes of the file with their element type and count.
///
/// Nothing is decoded until it is asked for, and nothing is allocated then. Walking with [`iter`](Self::iter)
/// takes time in proportion to the elements; [`get`](Self::get) is immediate for elements of fixed size and
/// walks from the start for strings and arrays, where an [`ArrayIndex`](crate::ArrayIndex) spares whoever asks often.
#[derive(Clone, Copy, PartialEq)]
pub struct ArrayRef<'a> {
    element_type: ValueType,
    len: usize,
    bytes: &'a [u8],
}

impl<'a> ArrayRef<'a> {
    pub(crate) const fn new(element_type: ValueType, len: usize, bytes: &'a [u8]) -> Self {
        Self { element_type, len, bytes }
    }

    /// The type all elements have.
    #[must_use]
    pub const fn element_type(&self) -> ValueType {
        self.element_type
    }

    /// Number of elements.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no elements.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The element at `index`, counted from 0; `None` past the end.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Value<'a>> {
        self.iter().nth(index)
    }

    /// The elements in order.
    #[must_use]
    pub const fn iter(&self) -> ArrayIter<'a> {
        ArrayIter { element_type: self.element_type, remaining: self.len, bytes: self.bytes }
    }

    /// The elements as they are in the file, little-endian and packed; `None` for strings and arrays, which
    /// have no fixed size.
    #[must_use]
    pub fn as_le_bytes(&self) -> Option<&'a [u8]> {
        self.element_type.fixed_bytes().map(|_| self.bytes)
    }

    pub(crate) const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Bytes the elements take in the file.
    #[must_use]
    pub const fn size_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }
}

impl<'a> IntoIterator for ArrayRef<'a> {
    type Item = Value<'a>;
    type IntoIter = ArrayIter<'a>;

    fn into_iter(self) -> ArrayIter<'a> {
        self.iter()
    }
}

impl<'a> IntoIterator for &ArrayRef<'a> {
    type Item = Value<'a>;
    type IntoIter = ArrayIter<'a>;

    fn into_iter(self) -> ArrayIter<'a> {
        self.iter()
    }
}

impl fmt::Debug for ArrayRef<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "[{}; {}]", self.element_type, self.len)
    }
}

/// Walks the elements of an [`ArrayRef`].
#[derive(Debug, Clone)]
pub struct ArrayIter<'a> {
    element_type: ValueType,
    remaining: usize,
    bytes: &'a [u8],
}

impl<'a> ArrayIter<'a> {
    fn step(&mut self) -> Option<&'a [u8]> {
        self.remaining = self.remaining.checked_sub(1)?;
        let extent = decode::extent_bytes(self.element_type, self.bytes)?;
        let (element, rest) = self.bytes.split_at_checked(extent)?;
        self.bytes = rest;
        Some(element)
    }

    fn skip_elements(&mut self, count: usize) -> Option<()> {
        self.remaining = self.remaining.checked_sub(count)?;
        match self.element_type.fixed_bytes() {
            Some(fixed) => self.bytes = self.bytes.get(count.checked_mul(fixed as usize)?..)?,
            None => {
                for _ in 0..count {
                    let extent = decode::extent_bytes(self.element_type, self.bytes)?;
                    self.bytes = self.bytes.get(extent..)?;
                }
            }
        }
        Some(())
    }
}

impl<'a> Iterator for ArrayIter<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        let element = self.step()?;
        decode::whole_value(self.element_type, element)
    }

    fn nth(&mut self, count: usize) -> Option<Value<'a>> {
        if self.skip_elements(count).is_none() {
            self.remaining = 0;
        }
        self.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.remaining, Some(self.remaining))
    }
}

impl ExactSizeIterator for ArrayIter<'_> {}
impl std::iter::FusedIterator for ArrayIter<'_> {}
