#![doc = include_str!("../README.md")]

mod array;
mod array_index;
mod beginning;
mod decode;
mod error;
mod error_text;
mod file;
mod file_kind;
mod file_type;
mod foreign;
mod fork;
mod metadata;
mod names;
mod open;
mod options;
mod parse;
mod read_at;
mod rule;
mod shards;
mod tensor;
mod tensor_type;
mod value;

pub use array::ArrayIter;
pub use array_index::{ArrayIndex, IndexedElements};
pub use beginning::Beginning;
pub use error::Error;
pub use file::{Gap, GgufFile, Split};
pub use file_kind::FileKind;
pub use file_type::FileType;
pub use foreign::Foreign;
pub use fork::ForkType;
pub use metadata::{ArrayPlace, Metadata, MetadataIter};
pub use open::open_file;
pub use options::{Limits, Options};
pub use read_at::ReadAt;
pub use shards::ShardName;
pub use tensor::{Dims, Tensor, Tensors};
pub use tensor_type::TensorType;
pub use value::{ArrayRef, GgufStr, Value, ValueType};

/// The largest count, size, offset or end that any file may have: 2^53 - 1, the largest integer below which a
/// double is exact. Larger figures are refused, so every figure of a [`GgufFile`] survives JSON and
/// JavaScript.
pub const MAX_EXACT: u64 = (1 << 53) - 1;
