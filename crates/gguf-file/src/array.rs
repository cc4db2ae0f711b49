//! The elements of an array of metadata.

use crate::{ArrayRef, Value, ValueType, decode};

impl<'a> ArrayRef<'a> {
    /// The element at `index`, counted from 0; `None` past the end.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Value<'a>> {
        self.iter().nth(index)
    }

    /// The elements in order.
    #[must_use]
    pub const fn iter(&self) -> ArrayIter<'a> {
        ArrayIter { element_type: self.element_type(), remaining: self.len(), bytes: self.bytes() }
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
