//! What people hand over as a GGUF file that is none, told by how it begins.

use std::fmt;

/// What a file that does not begin with `GGUF` looks like.
///
/// A guess from its first bytes, for a message that helps; nothing is decided by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Foreign {
    /// The pointer that Git LFS leaves in a file's place.
    LfsPointer,
    /// A web page.
    Html,
    /// The error message of a server, as text or JSON.
    ServerMessage,
    /// Weights in the safetensors format.
    Safetensors,
    /// A ggml file of before August 2023: ggml, ggmf, ggjt or ggla.
    OldGgml,
    /// An executable that carries a GGUF file: a llamafile.
    Llamafile,
    /// A zip archive, among them the checkpoints of `PyTorch`.
    Zip,
    /// A pickle of Python's, such as an older checkpoint of `PyTorch`.
    Pickle,
    /// A compressed file: gzip, zstd, xz or bzip2.
    Compressed,
    /// Nothing but zeros so far: space that a download has yet to fill.
    Zeros,
}

impl Foreign {
    /// How many bytes of a file are looked at.
    pub(crate) const LOOKED_AT: usize = 512;

    /// What the first bytes of a file of `file_bytes` look like.
    pub(crate) fn of(beginning: &[u8], file_bytes: u64) -> Option<Self> {
        let text = beginning.trim_ascii_start();
        let starts = |words: &[&str]| {
            words.iter().any(|word| {
                text.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word.as_bytes()))
            })
        };
        if beginning.iter().all(|byte| *byte == 0) {
            return Some(Self::Zeros);
        }
        if is_safetensors(beginning, file_bytes) {
            return Some(Self::Safetensors);
        }
        if starts(&["version https://git-lfs", "version https://hawser"]) {
            return Some(Self::LfsPointer);
        }
        if starts(&["<!doctype", "<html", "<?xml", "<head"]) {
            return Some(Self::Html);
        }
        match beginning {
            [b'l' | b'f', b'm', b'g', b'g', ..] | [b't' | b'a', b'j' | b'l', b'g', b'g', ..] => {
                Some(Self::OldGgml)
            }
            [b'M', b'Z', b'q', b'F', b'p', b'D', ..] | [0x7f, b'E', b'L', b'F', ..] => Some(Self::Llamafile),
            [b'P', b'K', 3 | 5, 4 | 6, ..] => Some(Self::Zip),
            [0x80, 2..=5, ..] => Some(Self::Pickle),
            [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] | [0xfd, b'7', b'z', b'X', b'Z', ..] => {
                Some(Self::Compressed)
            }
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Some(Self::Compressed),
            _ if starts(&[
                "{\"error",
                "entry not found",
                "not found",
                "invalid ",
                "unauthorized",
                "access ",
            ]) =>
            {
                Some(Self::ServerMessage)
            }
            _ => None,
        }
    }

    /// What it is, with an article.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LfsPointer => "a Git LFS pointer",
            Self::Html => "a web page",
            Self::ServerMessage => "the error message of a server",
            Self::Safetensors => "a safetensors file",
            Self::OldGgml => "a ggml file of before August 2023",
            Self::Llamafile => "an executable, as a llamafile is",
            Self::Zip => "a zip archive",
            Self::Pickle => "a Python pickle",
            Self::Compressed => "a compressed file",
            Self::Zeros => "a file that is empty so far",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::LfsPointer => "fetch the file it stands for: git lfs pull",
            Self::Html => {
                "download the file and not its page; on Hugging Face the address has /resolve/ where the page's has /blob/"
            }
            Self::ServerMessage => {
                "download it again; mind its address, and whether the server wants a token"
            }
            Self::Safetensors | Self::Pickle => {
                "convert the model's folder with llama.cpp's convert_hf_to_gguf.py"
            }
            Self::OldGgml => "convert the model again with current tools, or get it as GGUF",
            Self::Llamafile => "take the GGUF file out of it: unzip FILE '*.gguf'",
            Self::Zip => {
                "unpack it; a PyTorch checkpoint is converted with llama.cpp's convert_hf_to_gguf.py"
            }
            Self::Compressed => "decompress it",
            Self::Zeros => "let its download end, or download it again",
        }
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// The length of a JSON object that fits into the file, and the object.
fn is_safetensors(beginning: &[u8], file_bytes: u64) -> bool {
    beginning.split_first_chunk().is_some_and(|(length, json)| {
        u64::from_le_bytes(*length) < file_bytes && matches!(json, [b'{', b'"' | b'}' | b' ', ..])
    })
}
