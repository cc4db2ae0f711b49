//! Where the elements of an array stand, found in one walk.

use std::ops::Range;

use crate::{ArrayRef, Value, decode};

/// So many elements, or so many bytes, lie between two places at most.
const STRIDE_ELEMENTS: usize = 64;
const STRIDE_BYTES: usize = 4096;

/// Where elements of an array of strings or arrays stand, so that any of them is found by a short walk.
///
/// Such elements have no fixed size: [`ArrayRef::get`] walks over all before the one that is wanted, and whoever asks for
/// one after the other spends the square of their number. This is made in one walk over the array, and then no element is
/// further than 64 others, or 4 KiB, from a place that is known. It takes less than a fiftieth of the array's bytes.
///
/// It belongs to the array it was made [of](Self::of); with another one it finds nothing, or the wrong elements.
///
/// ```
/// # use gguf_file::{ArrayIndex, ArrayRef, Value};
/// fn texts<'a>(array: ArrayRef<'a>, wanted: &[usize]) -> Vec<Option<Value<'a>>> {
///     let index = ArrayIndex::of(array);
///     wanted.iter().map(|&at| index.elements(array, at..at + 1).next()).collect()
/// }
/// ```
#[derive(Debug, Clone, Default)]
pub struct ArrayIndex {
    places: Vec<Place>,
}

/// Where the element of that number begins, in bytes from the first.
#[derive(Debug, Clone, Copy)]
struct Place {
    element: u32,
    at: u32,
}

impl ArrayIndex {
    /// Walks over the array once. An array of elements of fixed size needs no places.
    #[must_use]
    pub fn of(array: ArrayRef<'_>) -> Self {
        let mut places = Vec::new();
        if array.element_type().fixed_bytes().is_some() {
            return Self { places };
        }
        let bytes = array.bytes();
        let (mut at, mut last) = (0, Place { element: 0, at: 0 });
        for element in 0..array.len() {
            let walked = (element - last.element as usize, at - last.at as usize);
            if walked.0 >= STRIDE_ELEMENTS || walked.1 >= STRIDE_BYTES {
                // Headers are shorter than 2^32 bytes, and no element is shorter than one.
                last = Place { element: element as u32, at: at as u32 };
                places.push(last);
            }
            let extent = bytes.get(at..).and_then(|rest| decode::extent_bytes(array.element_type(), rest));
            let Some(extent) = extent else { break };
            at += extent;
        }
        places.shrink_to_fit();
        Self { places }
    }

    /// The elements of `range`, without those that the array has not got.
    #[must_use]
    pub fn elements<'a, 'i>(&'i self, array: ArrayRef<'a>, range: Range<usize>) -> IndexedElements<'a, 'i> {
        let next = self.places.partition_point(|place| place.element as usize <= range.start);
        let known = next.checked_sub(1).and_then(|index| self.places.get(index));
        let Place { element, at } = known.copied().unwrap_or(Place { element: 0, at: 0 });
        let mut elements = IndexedElements {
            array,
            places: self.places.get(next..).unwrap_or_default(),
            element: element as usize,
            at: at as usize,
            end: range.end.min(array.len()),
        };
        // Elements of fixed size are found by their number.
        if let Some(fixed) = array.element_type().fixed_bytes() {
            (elements.element, elements.at) = (range.start, range.start.saturating_mul(fixed as usize));
        }
        while elements.element < range.start && elements.step().is_some() {}
        elements
    }

    /// Bytes of memory it takes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.places.capacity() * size_of::<Place>()
    }
}

/// Walks over elements of an array whose places are known.
#[derive(Debug, Clone)]
pub struct IndexedElements<'a, 'i> {
    array: ArrayRef<'a>,
    /// The places after the element that comes next.
    places: &'i [Place],
    element: usize,
    at: usize,
    end: usize,
}

impl<'a> IndexedElements<'a, '_> {
    /// The bytes of the next element.
    fn step(&mut self) -> Option<&'a [u8]> {
        let start = self.at;
        let rest = self.array.bytes().get(start..)?;
        let end = match self.places.split_first() {
            // Where the next one begins is known, so that a large element is not walked over again.
            Some((place, later)) if place.element as usize == self.element + 1 => {
                self.places = later;
                place.at as usize
            }
            _ => start.checked_add(decode::extent_bytes(self.array.element_type(), rest)?)?,
        };
        (self.element, self.at) = (self.element + 1, end);
        self.array.bytes().get(start..end)
    }
}

impl<'a> Iterator for IndexedElements<'a, '_> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        if self.element >= self.end {
            return None;
        }
        let element = self.step()?;
        decode::whole_value(self.array.element_type(), element)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.end.saturating_sub(self.element)))
    }
}

impl std::iter::FusedIterator for IndexedElements<'_, '_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GgufFile, Options, decode::STEPS};

    const STRING: u32 = 8;
    const ARRAY: u32 = 9;

    fn string(text: &str) -> Vec<u8> {
        [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
    }

    fn array(element_type: u32, elements: &[Vec<u8>]) -> Vec<u8> {
        let head = [&element_type.to_le_bytes()[..], &(elements.len() as u64).to_le_bytes()].concat();
        [head, elements.concat()].concat()
    }

    fn file(value: &[u8]) -> GgufFile {
        let counts = [0_u64, 1].map(u64::to_le_bytes).concat();
        let entry = [&string("k")[..], &ARRAY.to_le_bytes(), value].concat();
        let bytes = [b"GGUF", &3_u32.to_le_bytes()[..], &counts, &entry].concat();
        GgufFile::from_bytes(&bytes, &Options::default()).unwrap()
    }

    fn array_of(file: &GgufFile) -> ArrayRef<'_> {
        file.metadata().get("k").unwrap().as_array().unwrap()
    }

    /// How many values are measured while `work` runs.
    fn steps_of<T>(work: impl FnOnce() -> T) -> (usize, T) {
        let before = STEPS.get();
        let result = work();
        (STEPS.get() - before, result)
    }

    fn texts(count: usize) -> Vec<Vec<u8>> {
        (0..count).map(|index| string(&"x".repeat(index % 7))).collect()
    }

    /// Arrays of strings within arrays, some of them large, and the number of all values.
    fn arrays(count: usize) -> (Vec<u8>, usize) {
        let inner = |index: usize| array(STRING, &texts(if index % 10 == 3 { 1000 } else { index % 5 }));
        let inner: Vec<_> = (0..count).map(inner).collect();
        let strings = (0..count).map(|index| if index % 10 == 3 { 1000 } else { index % 5 }).sum::<usize>();
        (array(ARRAY, &inner), count + strings)
    }

    #[test]
    fn every_element_is_that_of_a_walk_from_the_start() {
        let fixed = array(0, &(0..200).map(|byte| vec![byte]).collect::<Vec<_>>());
        for value in [array(STRING, &texts(1000)), arrays(300).0, array(STRING, &[]), fixed] {
            let file = file(&value);
            let array = array_of(&file);
            let index = ArrayIndex::of(array);
            let all: Vec<_> = array.iter().collect();
            for start in 0..all.len() + 2 {
                for end in [start, start + 1, start + 2, start + 100, usize::MAX] {
                    let found: Vec<_> = index.elements(array, start..end).collect();
                    let expected = all.get(start.min(all.len())..end.min(all.len())).unwrap_or_default();
                    assert_eq!(found, expected, "{start}..{end} of {array:?}");
                }
            }
        }
    }

    #[test]
    fn an_index_takes_one_walk_and_an_element_a_short_one() {
        for count in [1000, 4000, 16_000] {
            let file = file(&array(STRING, &texts(count)));
            let array = array_of(&file);
            let (steps, index) = steps_of(|| ArrayIndex::of(array));
            assert_eq!(steps, count);
            let one = |at: usize| steps_of(|| index.elements(array, at..at + 1).last().unwrap()).0;
            assert!((0..count).map(one).max().unwrap() <= STRIDE_ELEMENTS + 1);
            assert_eq!(
                steps_of(|| index.elements(array, 0..count).count()),
                (count - count.div_ceil(64) + 1, count)
            );
            assert!(index.memory_bytes() * 50 < array.size_bytes() as usize);
        }
    }

    #[test]
    fn a_large_element_is_walked_over_once_and_never_again() {
        let (value, values) = arrays(1000);
        let file = file(&value);
        let array = array_of(&file);
        let (steps, index) = steps_of(|| ArrayIndex::of(array));
        assert_eq!(steps, values);
        // No more than lie in 4 KiB, whether it is large itself or behind a large one.
        let one = |at: usize| steps_of(|| index.elements(array, at..at + 1).last().unwrap()).0;
        assert!((0..1000).map(one).max().unwrap() <= STRIDE_BYTES / 8);
        let inner = |element: Value<'_>| element.as_array().unwrap().len();
        let (steps, strings) = steps_of(|| index.elements(array, 0..1000).map(inner).sum::<usize>());
        assert!(steps < values / 4 && strings == values - 1000, "{steps} steps");
    }

    #[test]
    fn an_array_is_found_again_by_its_place() {
        let file = file(&arrays(50).0);
        let metadata = file.metadata();
        let outer = array_of(&file);
        for array in outer.iter().map(|element| element.as_array().unwrap()).chain([outer]) {
            let place = metadata.place_of(array).unwrap();
            let (steps, found) = steps_of(|| metadata.array_at(place).unwrap());
            assert_eq!((steps, found), (0, array));
        }
        let other = self::file(&array(0, &vec![vec![1]; 100_000]));
        let place = other.metadata().place_of(array_of(&other)).unwrap();
        assert_eq!(metadata.array_at(place), None);
        let wrong = ArrayPlace { element_type: crate::ValueType::Array, ..metadata.place_of(outer).unwrap() };
        let wrong =
            metadata.array_at(ArrayPlace { offset: wrong.offset + 3, size_bytes: 999, ..wrong }).unwrap();
        assert!(wrong.iter().count() <= wrong.len());
        assert!(ArrayIndex::of(wrong).elements(wrong, 0..usize::MAX).count() <= wrong.len());
        // An index of another array finds something or nothing, and does no harm.
        assert!(ArrayIndex::of(outer).elements(wrong, 40..50).count() <= 10);
    }

    use crate::ArrayPlace;
}
