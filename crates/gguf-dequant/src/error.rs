use crate::Format;

/// Why nothing was dequantised. The output is untouched whenever one of these comes back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The id names no tensor type that this crate knows.
    #[error("tensor type {type_id} cannot be dequantised; expected one of {}", supported())]
    UnsupportedType {
        /// The id, as a GGUF tensor info gives it.
        type_id: u32,
    },

    /// The input does not end where a block ends.
    #[error(
        "{format} input must be whole blocks of {} bytes, but {input_bytes} bytes came: cut it at a block's end",
        format.block_bytes()
    )]
    PartialBlock {
        /// What the input was said to hold.
        format: Format,
        /// The input's length.
        input_bytes: usize,
    },

    /// The output is longer or shorter than the values in the input.
    #[error(
        "the {format} input holds {expected_elements} values, but the output is {output_elements} long: \
         pass a slice of exactly {expected_elements}"
    )]
    OutputLength {
        /// What the input was said to hold.
        format: Format,
        /// How many values the input's blocks make.
        expected_elements: usize,
        /// How many values the output takes.
        output_elements: usize,
    },
}

fn supported() -> String {
    let types: Vec<_> = Format::ALL.iter().map(|format| format!("{format} ({})", format.type_id())).collect();
    types.join(", ")
}

impl TryFrom<u32> for Format {
    type Error = Error;

    /// The format of a ggml tensor type id.
    ///
    /// # Errors
    ///
    /// [`Error::UnsupportedType`] where this crate has no kernel for the id.
    fn try_from(type_id: u32) -> Result<Self, Error> {
        Self::from_type_id(type_id).ok_or(Error::UnsupportedType { type_id })
    }
}
