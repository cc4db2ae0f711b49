//! Why a file is refused: one variant per broken rule.

use std::io;

use crate::{FileKind, Foreign, ForkType, TensorType, ValueType, error_text};

/// Why a file was refused, or a value could not be read.
///
/// There is one variant per broken rule. Each has a stable name, [`Error::rule`], which is given at the head
/// of its description, and carries the values that broke it. `offset` is always the position in the file, in
/// bytes, of what is wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // ---- the source ----
    /// `io`: the file could not be opened (no `offset`) or read; [`io::ErrorKind::UnexpectedEof`] means that
    /// it became shorter while it was read.
    #[error(fmt = error_text::io)]
    Io {
        /// Where the read began; `None` if the file could not even be opened.
        offset: Option<u64>,
        /// What the system said.
        source: io::Error,
    },
    /// `not-a-regular-file`: only regular files have a size and can be read at any position.
    #[error("expected a regular file, found {kind}")]
    NotARegularFile {
        /// What it is instead.
        kind: FileKind,
    },
    /// `out-of-memory`: the memory for the header could not be had.
    #[error("no memory for a header of {bytes} bytes; lower Limits::header_bytes to refuse such files")]
    OutOfMemory {
        /// How many bytes were asked for.
        bytes: u64,
    },

    // ---- sizes of the whole ----
    /// `truncated`: the file is too short for what it announces.
    #[error(
        "truncated at byte {offset}: {reading} needs {needed_bytes} bytes, {available_bytes} are left for \
         it; the file is cut off or its lengths are corrupt"
    )]
    Truncated {
        /// What was about to be read.
        reading: &'static str,
        /// Where it starts.
        offset: u64,
        /// How many bytes it needs.
        needed_bytes: u64,
        /// How many the file still has for it, after what must follow it.
        available_bytes: u64,
    },
    /// `count-exceeds-file`: so many entries cannot fit in the rest of the file, however small each is.
    #[error(
        "the count at byte {offset} announces {count} {counted} of at least {minimum_bytes} bytes each, but \
         only {available_bytes} bytes are left for them"
    )]
    CountExceedsFile {
        /// What is counted.
        counted: &'static str,
        /// Where the count stands.
        offset: u64,
        /// The count.
        count: u64,
        /// The fewest bytes one of them can take.
        minimum_bytes: u64,
        /// How many bytes the file still has for them.
        available_bytes: u64,
    },
    /// `header-too-large`: metadata and tensor infos exceed
    /// [`Limits::header_bytes`](crate::Limits::header_bytes).
    #[error(
        "the header needs at least {needed_bytes} bytes, found out at byte {offset}; the limit is \
         {limit_bytes}"
    )]
    HeaderTooLarge {
        /// Where the length or count that breaks the limit ends.
        offset: u64,
        /// How long the header must be at least.
        needed_bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },

    // ---- the fixed header ----
    /// `bad-magic`: the file does not begin with `GGUF`.
    #[error(fmt = error_text::bad_magic)]
    BadMagic {
        /// The first four bytes.
        found: [u8; 4],
        /// What it looks like instead, where that is known.
        foreign: Option<Foreign>,
    },
    /// `unsupported-version`: neither version 2 nor 3.
    #[error("GGUF version {version} is not supported; versions 2 and 3 are")]
    UnsupportedVersion {
        /// The version.
        version: u32,
    },
    /// `version-1`: the version of 2023 with 32-bit counts.
    #[error(
        "GGUF version 1 is not supported, versions 2 and 3 are; convert the model again with current tools"
    )]
    Version1,
    /// `big-endian`: the file is of the other byte order.
    #[error(
        "big-endian GGUF (version {version}) is not supported; convert the model for a little-endian machine"
    )]
    BigEndian {
        /// The version, read as big-endian.
        version: u32,
    },
    /// `metadata-count-limit`: more entries than
    /// [`Limits::metadata_entries`](crate::Limits::metadata_entries).
    #[error("{count} metadata entries (count at byte {offset}); the limit is {limit}")]
    MetadataCountLimit {
        /// Where the count stands.
        offset: u64,
        /// The count.
        count: u64,
        /// The limit.
        limit: u64,
    },
    /// `tensor-count-limit`: more tensors than [`Limits::tensors`](crate::Limits::tensors).
    #[error("{count} tensors (count at byte {offset}); the limit is {limit}")]
    TensorCountLimit {
        /// Where the count stands.
        offset: u64,
        /// The count.
        count: u64,
        /// The limit.
        limit: u64,
    },

    // ---- metadata keys ----
    /// `empty-key`: a metadata key of no bytes.
    #[error("the metadata key at byte {offset} is empty")]
    EmptyKey {
        /// Where the key's length stands.
        offset: u64,
    },
    /// `key-too-long`: a key exceeds [`Limits::key_bytes`](crate::Limits::key_bytes).
    #[error("a metadata key of {bytes} bytes (length at byte {offset}); the limit is {limit_bytes}")]
    KeyTooLong {
        /// Where the key's length stands.
        offset: u64,
        /// Its length.
        bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// `key-not-utf8`: a key is not valid UTF-8.
    #[error("the metadata key at byte {offset} is not valid UTF-8: \"{key}\"")]
    KeyNotUtf8 {
        /// Where the key's bytes start.
        offset: u64,
        /// The key, unprintable bytes escaped, shortened to 100 bytes.
        key: String,
    },
    /// `key-has-nul`: a key holds a zero byte.
    #[error("the metadata key at byte {offset} holds a NUL byte: \"{key}\"")]
    KeyHasNul {
        /// Where the key's bytes start.
        offset: u64,
        /// The key, unprintable bytes escaped, shortened to 100 bytes.
        key: String,
    },
    /// `duplicate-key`: a key occurs twice.
    #[error("the metadata key \"{key}\" at byte {offset} occurs before, at byte {first_offset}")]
    DuplicateKey {
        /// Where the later key's bytes start.
        offset: u64,
        /// The key, unprintable bytes escaped, shortened to 100 bytes.
        key: String,
        /// Where the earlier key's bytes start.
        first_offset: u64,
    },

    // ---- metadata values ----
    /// `unknown-value-type`: a value type id above 12.
    #[error("\"{key}\" has the unknown value type {type_id} at byte {offset}; types 0 to 12 are known")]
    UnknownValueType {
        /// Where the type id stands.
        offset: u64,
        /// The key, unprintable bytes escaped, shortened to 100 bytes.
        key: String,
        /// The id.
        type_id: u32,
    },
    /// `unknown-element-type`: an array's element type id above 12.
    #[error(
        "\"{key}\" is an array of the unknown element type {type_id} at byte {offset}; types 0 to 12 are \
         known"
    )]
    UnknownElementType {
        /// Where the type id stands.
        offset: u64,
        /// The key, unprintable bytes escaped, shortened to 100 bytes.
        key: String,
        /// The id.
        type_id: u32,
    },
    /// `string-too-long`: a string value exceeds [`Limits::string_bytes`](crate::Limits::string_bytes).
    #[error(
        "\"{key}\" holds a string of {bytes} bytes (length at byte {offset}); the limit is {limit_bytes}"
    )]
    StringTooLong {
        /// Where the string's length stands.
        offset: u64,
        /// The key, unprintable bytes escaped, shortened to 100 bytes.
        key: String,
        /// The string's length.
        bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// `invalid-bool`: a boolean that is neither 0 nor 1.
    #[error("\"{key}\" holds the boolean {value} at byte {offset}; only 0 and 1 are booleans")]
    InvalidBool {
        /// Where the byte stands.
        offset: u64,
        /// The key, unprintable bytes escaped, shortened to 100 bytes.
        key: String,
        /// The byte.
        value: u8,
    },
    /// `array-too-deep`: arrays nested deeper than [`Limits::array_depth`](crate::Limits::array_depth).
    #[error("\"{key}\" nests arrays {depth} deep at byte {offset}; the limit is {limit}")]
    ArrayTooDeep {
        /// Where the array that is too deep starts.
        offset: u64,
        /// The key, unprintable bytes escaped, shortened to 100 bytes.
        key: String,
        /// Its depth.
        depth: u32,
        /// The limit.
        limit: u32,
    },

    // ---- what known keys must hold ----
    /// `missing-key`: a key that was asked for does not exist. No file is refused for this.
    #[error("there is no metadata key \"{key}\"")]
    MissingKey {
        /// The key that was asked for.
        key: String,
    },
    /// `wrong-value-type`: a key holds another type than it must.
    #[error("\"{key}\" must be {expected}, found {found} at byte {offset}")]
    WrongValueType {
        /// Where the value starts.
        offset: u64,
        /// The key.
        key: String,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        found: ValueType,
    },
    /// `negative-value`: a key's number is below zero where that makes no sense.
    #[error("\"{key}\" is {value} at byte {offset}; expected a number that is not negative")]
    NegativeValue {
        /// Where the value starts.
        offset: u64,
        /// The key.
        key: String,
        /// The number.
        value: i64,
    },
    /// `value-not-utf8`: a key whose text is needed holds bytes that are no text.
    #[error("\"{key}\" must be valid UTF-8, its value at byte {offset} is not")]
    ValueNotUtf8 {
        /// Where the value starts.
        offset: u64,
        /// The key.
        key: String,
    },
    /// `alignment-type`: `general.alignment` is not a `u32`.
    #[error("general.alignment must be a u32, found {found} at byte {offset}")]
    AlignmentType {
        /// Where the value starts.
        offset: u64,
        /// Its type.
        found: ValueType,
    },
    /// `alignment-not-power-of-two`: `general.alignment` is 0, 3, 24 or the like.
    #[error("general.alignment is {alignment} at byte {offset}; expected a power of two")]
    AlignmentNotPowerOfTwo {
        /// Where the value starts.
        offset: u64,
        /// The value.
        alignment: u32,
    },
    /// `alignment-too-large`: `general.alignment` exceeds 1 MiB.
    #[error("general.alignment is {alignment} at byte {offset}; the largest accepted is {limit}")]
    AlignmentTooLarge {
        /// Where the value starts.
        offset: u64,
        /// The value.
        alignment: u32,
        /// The largest accepted.
        limit: u32,
    },
    /// `split-count-limit`: `split.count` exceeds [`Limits::split_count`](crate::Limits::split_count).
    #[error("split.count is {count} at byte {offset}; the limit is {limit} files")]
    SplitCountLimit {
        /// Where the value starts.
        offset: u64,
        /// The value.
        count: u64,
        /// The limit.
        limit: u64,
    },
    /// `split-number`: `split.no` is not below `split.count`.
    #[error("split.no is {number} at byte {offset}; expected it below split.count, which is {count}")]
    SplitNumber {
        /// Where the value of `split.no` starts.
        offset: u64,
        /// The value of `split.no`, counted from 0.
        number: u64,
        /// The value of `split.count`.
        count: u64,
    },
    /// `split-tensor-count`: `split.tensors.count` cannot be right: it is less than the tensors of this file,
    /// or this is the only file and it differs.
    #[error(
        "split.tensors.count is {declared} at byte {offset}, but this file alone holds {present} tensors"
    )]
    SplitTensorCount {
        /// Where the value starts.
        offset: u64,
        /// The value: tensors of all files together.
        declared: u64,
        /// Tensors in this file.
        present: u64,
    },
    /// `split-file-name`: the file is one of several by its metadata, and its name does not tell those of the others.
    #[error(
        "the file is one of the {count} files of a model, but its name does not end in -NNNNN-of-{count:05}.gguf, by which \
         the others are found; name it as its maker did, or open it alone"
    )]
    SplitFileName {
        /// The value of `split.count`.
        count: u64,
    },
    /// `split-file-number`: `split.no` is not the place that the file's name gives it.
    #[error(
        "split.no is {number} at byte {offset}; by its name the file has to be number {expected}, counted from 0"
    )]
    SplitFileNumber {
        /// Where the value stands; 0 if there is none.
        offset: u64,
        /// The value, counted from 0.
        number: u64,
        /// What it should be.
        expected: u64,
    },
    /// `split-file-count`: a file of a split model says another `split.count` than there are files.
    #[error("split.count is {count} at byte {offset}; expected {expected}, as many as there are files")]
    SplitFileCount {
        /// Where the value stands.
        offset: u64,
        /// The value.
        count: u64,
        /// How many files there are.
        expected: u64,
    },
    /// `split-total`: the files of a split model do not have as many tensors together as `split.tensors.count` says.
    #[error(
        "split.tensors.count is {declared} at byte {offset}, but all files together hold {present} tensors"
    )]
    SplitTotal {
        /// Where the value stands, in the first file.
        offset: u64,
        /// The value.
        declared: u64,
        /// Tensors in all files.
        present: u64,
    },
    /// `split-repeated-tensor`: two files of a split model have a tensor of the same name.
    #[error("tensor {name:?} is in file number {first} of the model too, counted from 1")]
    SplitRepeatedTensor {
        /// The tensor's name.
        name: String,
        /// The first file that has it, counted from 1.
        first: u64,
    },

    // ---- tensor infos ----
    /// `empty-tensor-name`: a tensor name of no bytes.
    #[error("the tensor name at byte {offset} is empty")]
    EmptyTensorName {
        /// Where the name's length stands.
        offset: u64,
    },
    /// `tensor-name-too-long`: a name exceeds [`Limits::name_bytes`](crate::Limits::name_bytes).
    #[error(
        "a tensor name of {bytes} bytes (length at byte {offset}); the limit is {limit_bytes}, which can be \
         raised (maxNameBytes, or `inspect --lenient`): tools for models of images and video write longer names"
    )]
    TensorNameTooLong {
        /// Where the name's length stands.
        offset: u64,
        /// Its length.
        bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// `tensor-name-not-utf8`: a tensor name is not valid UTF-8.
    #[error("the tensor name at byte {offset} is not valid UTF-8: \"{tensor}\"")]
    TensorNameNotUtf8 {
        /// Where the name's bytes start.
        offset: u64,
        /// The name, unprintable bytes escaped, shortened to 100 bytes.
        tensor: String,
    },
    /// `tensor-name-has-nul`: a tensor name holds a zero byte, at which C programs would cut it.
    #[error("the tensor name at byte {offset} holds a NUL byte: \"{tensor}\"")]
    TensorNameHasNul {
        /// Where the name's bytes start.
        offset: u64,
        /// The name, unprintable bytes escaped, shortened to 100 bytes.
        tensor: String,
    },
    /// `duplicate-tensor-name`: two tensors have the same name.
    #[error("the tensor name {tensor:?} at byte {offset} occurs before, at byte {first_offset}")]
    DuplicateTensorName {
        /// Where the later name's bytes start.
        offset: u64,
        /// The name.
        tensor: String,
        /// Where the earlier name's bytes start.
        first_offset: u64,
    },
    /// `too-many-dimensions`: a tensor has more than 4 dimensions.
    #[error(
        "tensor {tensor:?} has {dimensions} dimensions at byte {offset}; at most {limit} are allowed, \
         which can be raised (maxDimensions, or `inspect --lenient`)"
    )]
    TooManyDimensions {
        /// Where the number stands.
        offset: u64,
        /// The tensor's name.
        tensor: String,
        /// The number of dimensions.
        dimensions: u32,
        /// The most allowed.
        limit: u32,
    },
    /// `dimension-too-large`: a dimension exceeds [`MAX_EXACT`](crate::MAX_EXACT).
    #[error(
        "dimension {axis} of tensor {tensor:?} is {dimension} at byte {offset}; the largest accepted is \
         {limit}"
    )]
    DimensionTooLarge {
        /// Where the dimension stands.
        offset: u64,
        /// The tensor's name.
        tensor: String,
        /// Which dimension; 0 varies fastest.
        axis: u32,
        /// Its size.
        dimension: u64,
        /// The largest accepted.
        limit: u64,
    },
    /// `element-count-too-large`: the product of the dimensions exceeds [`MAX_EXACT`](crate::MAX_EXACT).
    #[error("tensor {tensor:?} of dimensions {dims:?} (at byte {offset}) has more than {limit} elements")]
    ElementCountTooLarge {
        /// Where the dimensions start.
        offset: u64,
        /// The tensor's name.
        tensor: String,
        /// Its dimensions, the fastest-varying first.
        dims: Vec<u64>,
        /// The largest accepted.
        limit: u64,
    },
    /// `removed-tensor-type`: a type that ggml once had and removed.
    #[error(fmt = error_text::removed_type)]
    RemovedTensorType {
        /// Where the type id stands.
        offset: u64,
        /// The tensor's name.
        tensor: String,
        /// The id.
        type_id: u32,
        /// What the type was called.
        removed_name: &'static str,
        /// Whether it can be that type: neither its rows nor the model's family say otherwise.
        is_removed: bool,
        /// The type that a fork has under this id.
        fork: Option<&'static ForkType>,
    },
    /// `unknown-tensor-type`: a type id that means nothing to this version.
    #[error(fmt = error_text::unknown_type)]
    UnknownTensorType {
        /// Where the type id stands.
        offset: u64,
        /// The tensor's name.
        tensor: String,
        /// The id.
        type_id: u32,
    },
    /// `partial-block`: the first dimension is not a whole number of blocks.
    #[error(
        "tensor {tensor:?} has rows of {row_elements} elements (at byte {offset}), not a multiple of the \
         {block_elements} in a block of {tensor_type}"
    )]
    PartialBlock {
        /// Where the first dimension stands.
        offset: u64,
        /// The tensor's name.
        tensor: String,
        /// Its type.
        tensor_type: TensorType,
        /// Its first dimension.
        row_elements: u64,
        /// Elements in a block of this type.
        block_elements: u64,
    },
    /// `tensor-size-too-large`: the data would take more than [`MAX_EXACT`](crate::MAX_EXACT) bytes.
    #[error(
        "tensor {tensor:?} of {elements} {tensor_type} elements (at byte {offset}) exceeds {limit} bytes"
    )]
    TensorSizeTooLarge {
        /// Where the dimensions start.
        offset: u64,
        /// The tensor's name.
        tensor: String,
        /// Its type.
        tensor_type: TensorType,
        /// Number of elements.
        elements: u64,
        /// The largest accepted.
        limit: u64,
    },
    /// `misaligned-tensor`: a tensor's data offset is not a multiple of the alignment.
    #[error(
        "tensor {tensor:?} has its data at {data_offset} (given at byte {offset}), which is not a multiple \
         of the alignment {alignment}"
    )]
    MisalignedTensor {
        /// Where the data offset stands.
        offset: u64,
        /// The tensor's name.
        tensor: String,
        /// The data offset, relative to the data section.
        data_offset: u64,
        /// The file's alignment.
        alignment: u64,
    },

    // ---- the layout of the data ----
    /// `tensor-end-too-large`: a tensor's data would end beyond byte [`MAX_EXACT`](crate::MAX_EXACT) of the
    /// file.
    #[error(
        "tensor {tensor:?} of {size_bytes} bytes has its data at {data_offset} (given at byte {offset}), \
         which ends beyond byte {limit} of the file"
    )]
    TensorEndTooLarge {
        /// Where the data offset stands.
        offset: u64,
        /// The tensor's name.
        tensor: String,
        /// The data offset, relative to the data section.
        data_offset: u64,
        /// Size of the data.
        size_bytes: u64,
        /// The last byte position accepted.
        limit: u64,
    },
    /// `data-section-missing`: the file ends before its data section begins.
    #[error(
        "the data section begins at byte {offset}, the file has only {file_bytes} bytes; open it \
         header-only if the data is elsewhere"
    )]
    DataSectionMissing {
        /// Where the data section begins.
        offset: u64,
        /// Size of the file.
        file_bytes: u64,
    },
    /// `tensor-past-end`: a tensor's data does not lie wholly inside the file.
    #[error(
        "the data of tensor {tensor:?} takes bytes {start} to {end}, the file has only {file_bytes} (data \
         offset given at byte {offset}); the file is cut off or the offset is corrupt"
    )]
    TensorPastEnd {
        /// Where the data offset stands.
        offset: u64,
        /// The tensor's name.
        tensor: String,
        /// First byte of its data in the file.
        start: u64,
        /// First byte after its data.
        end: u64,
        /// Size of the file.
        file_bytes: u64,
    },
    /// `fork-layout`: the distance from a tensor to what follows it is that of a fork's type under the same id, and not that of
    /// ggml's.
    #[error(
        "tensor {tensor:?} has type {} (given at byte {offset}), which is {tensor_type} to ggml and takes \
         {size_bytes} bytes there, but what follows lies {distance_bytes} further, as with {} of {}; get the \
         model in a type of ggml's, or use that fork",
        fork.id, fork.name, fork.fork
    )]
    ForkLayout {
        /// Where the type id stands.
        offset: u64,
        /// The tensor's name.
        tensor: String,
        /// The type that ggml has under this id.
        tensor_type: TensorType,
        /// Bytes that the tensor would take as that.
        size_bytes: u64,
        /// Bytes from its start to that of the next tensor, or to the end of the file.
        distance_bytes: u64,
        /// The fork's type.
        fork: &'static ForkType,
    },
    /// `tensors-overlap`: two tensors share bytes.
    #[error(
        "tensor {tensor:?} has its data at {data_offset} (given at byte {offset}), inside that of \
         {other:?}, which ends at {other_end}"
    )]
    TensorsOverlap {
        /// Where the data offset of the tensor that lies further back stands.
        offset: u64,
        /// The tensor that lies further back in the data section.
        tensor: String,
        /// Its data offset, relative to the data section.
        data_offset: u64,
        /// The tensor before it.
        other: String,
        /// First byte after that tensor's data, relative to the data section.
        other_end: u64,
    },
    /// `tensors-not-contiguous`: with [`Options::strict`](crate::Options::strict), a gap or tensors out of
    /// order.
    #[error(
        "tensor {tensor:?} has its data at {data_offset} (given at byte {offset}); strict order demands \
         {expected}"
    )]
    TensorsNotContiguous {
        /// Where the data offset stands.
        offset: u64,
        /// The tensor's name.
        tensor: String,
        /// The data offset, relative to the data section.
        data_offset: u64,
        /// The first aligned byte after the tensor before it.
        expected: u64,
    },
}

/// A key or name as an error shows it: hostile files can make it long and unprintable.
pub(crate) fn shown(name: &[u8]) -> String {
    const SHOWN_BYTES: usize = 100;
    match name.get(..SHOWN_BYTES) {
        Some(head) if name.len() > SHOWN_BYTES => format!("{}...", head.escape_ascii()),
        _ => name.escape_ascii().to_string(),
    }
}
