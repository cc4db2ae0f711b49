//! The metadata of a file: keys and values in file order.

use crate::{ArrayRef, Error, Value, ValueType, decode, names::NameIndex};

/// The key of the model family.
pub(crate) const ARCHITECTURE_KEY: &str = "general.architecture";

/// The key of the mixture of tensor types.
pub(crate) const FILE_TYPE_KEY: &str = "general.file_type";
pub(crate) const SPLIT_NUMBER_KEY: &str = "split.no";
pub(crate) const SPLIT_COUNT_KEY: &str = "split.count";
pub(crate) const SPLIT_TENSOR_COUNT_KEY: &str = "split.tensors.count";

/// A stretch of the header, in bytes from its start, which is also the start of the file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) len: u32,
}

impl Span {
    /// The bytes of `header` it covers. Spans are only made by the parser, for a header that covers them.
    pub(crate) fn of(self, header: &[u8]) -> &[u8] {
        let start = self.start as usize;
        header.get(start..start + self.len as usize).unwrap_or_default()
    }
}

/// Where one key and its value lie in the header.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) key: Span,
    pub(crate) value: Span,
    pub(crate) value_type: ValueType,
}

/// The entries with an index over their keys.
#[derive(Debug, Clone, Default)]
pub(crate) struct Entries {
    pub(crate) list: Vec<Entry>,
    pub(crate) by_key: NameIndex,
}

/// The key of the entry at `position`.
pub(crate) fn key_at<'h>(list: &[Entry], position: u32, header: &'h [u8]) -> &'h [u8] {
    list.get(position as usize).map_or(&[], |entry| entry.key.of(header))
}

/// Where an array of the metadata stands in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ArrayPlace {
    /// The type all elements have.
    pub element_type: ValueType,
    /// Number of elements.
    pub len: usize,
    /// Where the first element begins, in bytes from the start of the file.
    pub offset: u64,
    /// Bytes the elements take.
    pub size_bytes: u64,
}

/// The metadata of a file, in file order. A view: copying it costs nothing.
///
/// ```no_run
/// # use gguf_file::{GgufFile, Options};
/// let file = GgufFile::open("model.gguf", &Options::default())?;
/// for (key, value) in file.metadata().iter() {
///     println!("{key}: {value:?}");
/// }
/// let context = file.metadata().u64_of("llama.context_length")?;
/// # Ok::<(), gguf_file::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Metadata<'a> {
    pub(crate) header: &'a [u8],
    pub(crate) entries: &'a Entries,
}

impl<'a> Metadata<'a> {
    /// Number of entries.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.entries.list.len()
    }

    /// Whether there are no entries.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.list.is_empty()
    }

    /// Whether `key` exists.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.entry(key).is_some()
    }

    /// The value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        self.entry(key).and_then(|entry| self.value(entry))
    }

    /// Keys and values in file order.
    #[must_use]
    pub fn iter(&self) -> MetadataIter<'a> {
        MetadataIter { metadata: *self, entries: self.entries.list.iter() }
    }

    /// The integer that `key` holds, whatever its width.
    ///
    /// # Errors
    ///
    /// [`Error::MissingKey`], [`Error::WrongValueType`] if it is no integer, [`Error::NegativeValue`].
    pub fn u64_of(&self, key: &str) -> Result<u64, Error> {
        let (entry, value) = self.required(key)?;
        value.as_u64().ok_or_else(|| match value.as_i64() {
            Some(value) => Error::NegativeValue { offset: entry.offset(), key: key.to_owned(), value },
            None => entry.wrong_type(key, "an integer"),
        })
    }

    /// The text that `key` holds.
    ///
    /// # Errors
    ///
    /// [`Error::MissingKey`], [`Error::WrongValueType`] if it is no string, [`Error::ValueNotUtf8`].
    pub fn str_of(&self, key: &str) -> Result<&'a str, Error> {
        let (entry, value) = self.required(key)?;
        let string = value.as_string().ok_or_else(|| entry.wrong_type(key, "a string"))?;
        string.to_str().map_err(|_| Error::ValueNotUtf8 { offset: entry.offset(), key: key.to_owned() })
    }

    /// Where an array of this metadata stands, also one that lies in another, so that it can be found again by
    /// [`array_at`](Self::array_at) without a walk. `None` for an array of another file.
    #[must_use]
    pub fn place_of(&self, array: ArrayRef<'_>) -> Option<ArrayPlace> {
        let bytes = array.bytes();
        let offset = bytes.as_ptr().addr().checked_sub(self.header.as_ptr().addr())?;
        // An array without elements may end where the header does.
        (offset.checked_add(bytes.len())? <= self.header.len()).then(|| ArrayPlace {
            element_type: array.element_type(),
            len: array.len(),
            offset: offset as u64,
            size_bytes: array.size_bytes(),
        })
    }

    /// The array at a place that [`place_of`](Self::place_of) gave for the same file. A place of another file gives `None`,
    /// or an array of whatever stands there: reading it is safe, and means nothing.
    #[must_use]
    pub fn array_at(&self, place: ArrayPlace) -> Option<ArrayRef<'a>> {
        let start = usize::try_from(place.offset).ok()?;
        let end = start.checked_add(usize::try_from(place.size_bytes).ok()?)?;
        Some(ArrayRef::new(place.element_type, place.len, self.header.get(start..end)?))
    }

    fn entry(&self, key: &str) -> Option<&'a Entry> {
        let list = &self.entries.list;
        let position =
            self.entries.by_key.find(key.as_bytes(), |position| key_at(list, position, self.header))?;
        list.get(position as usize)
    }

    /// Where the value of `key` stands in the file; 0 if there is none.
    pub(crate) fn offset_of(&self, key: &str) -> u64 {
        self.entry(key).map_or(0, Entry::offset)
    }

    fn required(&self, key: &str) -> Result<(&'a Entry, Value<'a>), Error> {
        let entry = self.entry(key);
        entry
            .and_then(|entry| Some((entry, self.value(entry)?)))
            .ok_or_else(|| Error::MissingKey { key: key.to_owned() })
    }

    fn value(&self, entry: &Entry) -> Option<Value<'a>> {
        decode::whole_value(entry.value_type, entry.value.of(self.header))
    }
}

impl Entry {
    /// Where the value stands in the file.
    pub(crate) fn offset(&self) -> u64 {
        self.value.start.into()
    }

    fn wrong_type(&self, key: &str, expected: &'static str) -> Error {
        Error::WrongValueType { offset: self.offset(), key: key.to_owned(), expected, found: self.value_type }
    }
}

impl<'a> IntoIterator for Metadata<'a> {
    type Item = (&'a str, Value<'a>);
    type IntoIter = MetadataIter<'a>;

    fn into_iter(self) -> MetadataIter<'a> {
        self.iter()
    }
}

impl<'a> IntoIterator for &Metadata<'a> {
    type Item = (&'a str, Value<'a>);
    type IntoIter = MetadataIter<'a>;

    fn into_iter(self) -> MetadataIter<'a> {
        self.iter()
    }
}

/// Walks the entries of [`Metadata`].
#[derive(Debug, Clone)]
pub struct MetadataIter<'a> {
    metadata: Metadata<'a>,
    entries: std::slice::Iter<'a, Entry>,
}

impl<'a> Iterator for MetadataIter<'a> {
    type Item = (&'a str, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.entries.next()?;
        let key = str::from_utf8(entry.key.of(self.metadata.header)).ok()?;
        Some((key, self.metadata.value(entry)?))
    }

    /// In constant time: keys and values before it are not looked at.
    fn nth(&mut self, count: usize) -> Option<Self::Item> {
        if let Some(before) = count.checked_sub(1) {
            self.entries.nth(before)?;
        }
        self.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.entries.size_hint()
    }
}

impl ExactSizeIterator for MetadataIter<'_> {}
impl std::iter::FusedIterator for MetadataIter<'_> {}
