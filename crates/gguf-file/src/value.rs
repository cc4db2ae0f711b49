//! Metadata values: their types, and one value decoded.

use std::{borrow::Cow, fmt, str::Utf8Error};

/// The type of a metadata value, as it is stored in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ValueType {
    /// Unsigned, 8 bits.
    U8 = 0,
    /// Signed, 8 bits.
    I8 = 1,
    /// Unsigned, 16 bits.
    U16 = 2,
    /// Signed, 16 bits.
    I16 = 3,
    /// Unsigned, 32 bits.
    U32 = 4,
    /// Signed, 32 bits.
    I32 = 5,
    /// IEEE float, 32 bits.
    F32 = 6,
    /// One byte, 0 or 1.
    Bool = 7,
    /// A byte count and that many bytes, nominally UTF-8.
    String = 8,
    /// An element type, an element count and the elements.
    Array = 9,
    /// Unsigned, 64 bits.
    U64 = 10,
    /// Signed, 64 bits.
    I64 = 11,
    /// IEEE float, 64 bits.
    F64 = 12,
}

impl ValueType {
    /// Every type in the order of the ids.
    pub const ALL: &[Self] = &[
        Self::U8,
        Self::I8,
        Self::U16,
        Self::I16,
        Self::U32,
        Self::I32,
        Self::F32,
        Self::Bool,
        Self::String,
        Self::Array,
        Self::U64,
        Self::I64,
        Self::F64,
    ];

    /// The type with this id, or `None` above 12.
    #[must_use]
    pub fn from_id(id: u32) -> Option<Self> {
        Self::ALL.get(id as usize).copied()
    }

    /// The id that stands in the file.
    #[must_use]
    pub const fn id(self) -> u32 {
        self as u32
    }

    /// The name in lower case: `"u8"` to `"f64"`, `"bool"`, `"string"`, `"array"`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::U8 => "u8",
            Self::I8 => "i8",
            Self::U16 => "u16",
            Self::I16 => "i16",
            Self::U32 => "u32",
            Self::I32 => "i32",
            Self::F32 => "f32",
            Self::Bool => "bool",
            Self::String => "string",
            Self::Array => "array",
            Self::U64 => "u64",
            Self::I64 => "i64",
            Self::F64 => "f64",
        }
    }

    /// Bytes one value takes, or `None` for strings and arrays.
    #[must_use]
    pub const fn fixed_bytes(self) -> Option<u64> {
        match self {
            Self::String | Self::Array => None,
            _ => Some(self.minimum_bytes()),
        }
    }

    /// The fewest bytes one value can take: a string is at least its length, an array its type and length.
    pub(crate) const fn minimum_bytes(self) -> u64 {
        match self {
            Self::U8 | Self::I8 | Self::Bool => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 | Self::String => 8,
            Self::Array => 12,
        }
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// The bytes of a string value.
///
/// Files call them UTF-8, but real vocabularies hold tokens that are not, and strings with trailing zeros; so
/// they are kept as they are and decoded on demand.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct GgufStr<'a>(&'a [u8]);

impl<'a> GgufStr<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The bytes as they are in the file.
    #[must_use]
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// The text, if it is text.
    ///
    /// # Errors
    ///
    /// The place of the first byte that is not UTF-8.
    pub const fn to_str(self) -> Result<&'a str, Utf8Error> {
        str::from_utf8(self.0)
    }

    /// The text, with U+FFFD for whatever is not UTF-8.
    #[must_use]
    pub fn to_string_lossy(self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.0)
    }
}

impl fmt::Debug for GgufStr<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "\"{}\"", self.0.escape_ascii())
    }
}

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

impl fmt::Debug for ArrayRef<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "[{}; {}]", self.element_type, self.len)
    }
}

/// One metadata value. It borrows from the [`GgufFile`](crate::GgufFile); decoding allocates nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// Unsigned, 8 bits.
    U8(u8),
    /// Signed, 8 bits.
    I8(i8),
    /// Unsigned, 16 bits.
    U16(u16),
    /// Signed, 16 bits.
    I16(i16),
    /// Unsigned, 32 bits.
    U32(u32),
    /// Signed, 32 bits.
    I32(i32),
    /// IEEE float, 32 bits.
    F32(f32),
    /// A boolean.
    Bool(bool),
    /// Text, nominally.
    String(GgufStr<'a>),
    /// An array, decoded element by element on demand.
    Array(ArrayRef<'a>),
    /// Unsigned, 64 bits.
    U64(u64),
    /// Signed, 64 bits.
    I64(i64),
    /// IEEE float, 64 bits.
    F64(f64),
}

impl<'a> Value<'a> {
    /// The type it has in the file.
    #[must_use]
    pub const fn value_type(&self) -> ValueType {
        match self {
            Self::U8(_) => ValueType::U8,
            Self::I8(_) => ValueType::I8,
            Self::U16(_) => ValueType::U16,
            Self::I16(_) => ValueType::I16,
            Self::U32(_) => ValueType::U32,
            Self::I32(_) => ValueType::I32,
            Self::F32(_) => ValueType::F32,
            Self::Bool(_) => ValueType::Bool,
            Self::String(_) => ValueType::String,
            Self::Array(_) => ValueType::Array,
            Self::U64(_) => ValueType::U64,
            Self::I64(_) => ValueType::I64,
            Self::F64(_) => ValueType::F64,
        }
    }

    /// The number, if this is an integer of any width that is not negative.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        match *self {
            Self::U64(number) => Some(number),
            _ => self.as_i64().and_then(|number| u64::try_from(number).ok()),
        }
    }

    /// The number, if this is an integer of any width that fits.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match *self {
            Self::U8(number) => Some(number.into()),
            Self::I8(number) => Some(number.into()),
            Self::U16(number) => Some(number.into()),
            Self::I16(number) => Some(number.into()),
            Self::U32(number) => Some(number.into()),
            Self::I32(number) => Some(number.into()),
            Self::U64(number) => i64::try_from(number).ok(),
            Self::I64(number) => Some(number),
            _ => None,
        }
    }

    /// The number, if this is a float of either width.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        match *self {
            Self::F32(number) => Some(number.into()),
            Self::F64(number) => Some(number),
            _ => None,
        }
    }

    /// The boolean, if this is one.
    #[must_use]
    pub const fn as_bool(&self) -> Option<bool> {
        match *self {
            Self::Bool(boolean) => Some(boolean),
            _ => None,
        }
    }

    /// The string's bytes, if this is a string.
    #[must_use]
    pub const fn as_string(&self) -> Option<GgufStr<'a>> {
        match *self {
            Self::String(string) => Some(string),
            _ => None,
        }
    }

    /// The text, if this is a string and valid UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&'a str> {
        self.as_string().and_then(|string| string.to_str().ok())
    }

    /// The array, if this is one.
    #[must_use]
    pub const fn as_array(&self) -> Option<ArrayRef<'a>> {
        match *self {
            Self::Array(array) => Some(array),
            _ => None,
        }
    }
}
