//! The mixture of tensor types a model was quantised to.

use std::fmt;

/// What `general.file_type` says: the mixture of tensor types a whole model was quantised to.
///
/// It is a label for people: which type a tensor has is in the tensor. `Q4_K_M`, for instance, means mostly
/// `Q4_K` with `Q6_K` where it matters and `F32` norms. The ids are those of `enum llama_ftype` in
/// llama.cpp's `include/llama.h`.
///
/// ```
/// use gguf_file::FileType;
///
/// assert_eq!(FileType::from_id(15).name(), Some("Q4_K_M"));
/// assert_eq!(FileType::from_id(4711).to_string(), "file type 4711");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileType {
    id: u64,
}

impl FileType {
    /// The file type with this id; any id will do, since new ones appear every few months.
    #[must_use]
    pub const fn from_id(id: u64) -> Self {
        Self { id }
    }

    /// The id that stands in the file.
    #[must_use]
    pub const fn id(self) -> u64 {
        self.id
    }

    /// The name llama.cpp's tools use, such as `"Q4_K_M"`; `None` for an id that is unknown or was removed.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.id {
            0 => "F32",
            1 => "F16",
            2 => "Q4_0",
            3 => "Q4_1",
            7 => "Q8_0",
            8 => "Q5_0",
            9 => "Q5_1",
            10 => "Q2_K",
            11 => "Q3_K_S",
            12 => "Q3_K_M",
            13 => "Q3_K_L",
            14 => "Q4_K_S",
            15 => "Q4_K_M",
            16 => "Q5_K_S",
            17 => "Q5_K_M",
            18 => "Q6_K",
            19 => "IQ2_XXS",
            20 => "IQ2_XS",
            21 => "Q2_K_S",
            22 => "IQ3_XS",
            23 => "IQ3_XXS",
            24 => "IQ1_S",
            25 => "IQ4_NL",
            26 => "IQ3_S",
            27 => "IQ3_M",
            28 => "IQ2_S",
            29 => "IQ2_M",
            30 => "IQ4_XS",
            31 => "IQ1_M",
            32 => "BF16",
            36 => "TQ1_0",
            37 => "TQ2_0",
            38 => "MXFP4_MOE",
            39 => "NVFP4",
            40 => "Q1_0",
            41 => "Q2_0",
            _ => return None,
        })
    }
}

impl fmt::Display for FileType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => formatter.pad(name),
            None => write!(formatter, "file type {}", self.id),
        }
    }
}
