//! What a caller may choose about parsing.

/// How a file is parsed. The default reads a whole file and accepts any order of tensors.
///
/// ```
/// use gguf_file::{Limits, Options};
///
/// let options = Options { header_only: true, ..Options::default() };
/// assert_eq!(options.limits, Limits::default());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// The tensor data is not there, only the header: no range is checked against the size of the source. All
    /// other rules hold. Default: `false`.
    pub header_only: bool,
    /// Tensors must follow each other in order, each starting at the first aligned byte after the one before,
    /// as ggml demands. Otherwise gaps and any order are accepted as long as no two tensors overlap, as the
    /// specification demands. Default: `false`.
    pub strict: bool,
    /// How large the parts of the header may be.
    pub limits: Limits,
}

/// How large the parts of a header may be before it is refused.
///
/// No limit is needed for safety from a small file: nothing is allocated that the source is not large enough
/// to hold. They bound what a large hostile file can cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one metadata key. Default: 65 535, the specification's own limit.
    pub key_bytes: u32,
    /// Bytes of one tensor name. Default: 64, the specification's own limit. Some tools write longer ones, for models of
    /// images and video.
    pub name_bytes: u32,
    /// Dimensions of one tensor. Default: 4, as many as ggml has; values above [`Limits::MAX_DIMENSIONS`] count as that.
    pub dimensions: u32,
    /// Bytes of one string value, elements of arrays included. Default: 64 MiB.
    pub string_bytes: u32,
    /// Number of metadata entries. Default: 100 000.
    pub metadata_entries: u32,
    /// Number of tensors. Default: 1 000 000.
    pub tensors: u32,
    /// How deep arrays may be nested; an array of numbers has depth 1. Default: 4; values above
    /// [`Limits::MAX_ARRAY_DEPTH`] count as that.
    pub array_depth: u32,
    /// Bytes of the whole header: everything before the padding that precedes the data section. It is kept in
    /// memory. Default: 256 MiB.
    pub header_bytes: u32,
    /// Number of files (`split.count`) one model may be split into. Default: 1 024.
    pub split_count: u32,
}

impl Limits {
    /// The deepest nesting of arrays that can be allowed: it bounds the recursion that walks them.
    pub const MAX_ARRAY_DEPTH: u32 = 64;

    /// The most dimensions that can be allowed.
    pub const MAX_DIMENSIONS: u32 = 8;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            key_bytes: 65_535,
            name_bytes: 64,
            dimensions: 4,
            string_bytes: 64 << 20,
            metadata_entries: 100_000,
            tensors: 1_000_000,
            array_depth: 4,
            header_bytes: 256 << 20,
            split_count: 1_024,
        }
    }
}
