//! A model file that is open: its checked layout, and the bytes behind it.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use gguf_file::{GgufFile, ReadAt, Tensor};

use crate::error::{Error, Result};

pub use gguf_file::Options as OpenOptions;

/// Stands in for the path of a model that came as bytes.
const BYTES_PATH: &str = "<bytes>";

/// An open GGUF file, or the bytes of one.
///
/// Opening reads the header and nothing else. The file stays open, so a file that is renamed, or replaced by
/// another of its name, goes on being read; one that is changed in place is noticed at the next unit and refused.
#[derive(Debug)]
pub struct ModelFile {
    path: PathBuf,
    layout: Arc<GgufFile>,
    source: Source,
}

#[derive(Debug)]
enum Source {
    File { file: File, stamp: Stamp },
    Bytes(Vec<u8>),
}

/// What tells that a file was written to: its size and its time of modification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    size_bytes: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self { size_bytes: metadata.len(), modified: metadata.modified().ok() })
    }
}

impl ModelFile {
    /// Opens a file and reads its header. No tensor data is read.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it cannot be opened or read, or is no regular file; [`Error::InvalidGguf`] when it
    /// breaks a rule of the format.
    pub fn open(path: impl AsRef<Path>, options: &OpenOptions) -> Result<Self> {
        let path = path.as_ref();
        let file = gguf_file::open_file(path).map_err(|error| header_error(path, error))?;
        let stamp = Stamp::of(&file).map_err(|source| io_error(path, None, None, source))?;
        let layout = GgufFile::parse(&file, options).map_err(|error| header_error(path, error))?;
        Ok(Self { path: path.to_owned(), layout: Arc::new(layout), source: Source::File { file, stamp } })
    }

    /// Takes the bytes of a whole file, or of its header alone with `header_only`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidGguf`] when they break a rule of the format.
    pub fn from_bytes(bytes: Vec<u8>, options: &OpenOptions) -> Result<Self> {
        let path = Path::new(BYTES_PATH);
        let layout = GgufFile::parse(&bytes, options).map_err(|error| header_error(path, error))?;
        Ok(Self { path: path.to_owned(), layout: Arc::new(layout), source: Source::Bytes(bytes) })
    }

    /// The path it was opened under, `<bytes>` for bytes.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the header says.
    #[must_use]
    pub fn layout(&self) -> &GgufFile {
        &self.layout
    }

    /// The same for whoever needs it longer than the file.
    #[must_use]
    pub fn shared_layout(&self) -> Arc<GgufFile> {
        Arc::clone(&self.layout)
    }

    /// The size of the file when it was opened, in bytes.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        match &self.source {
            Source::File { stamp, .. } => stamp.size_bytes,
            Source::Bytes(bytes) => bytes.len() as u64,
        }
    }

    /// Memory that the open model takes, in bytes: its header, and its data where it came as bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        let data = match &self.source {
            Source::File { .. } => 0,
            Source::Bytes(bytes) => bytes.len() as u64,
        };
        self.layout.header_bytes() + data
    }

    /// The tensor of that name.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] when there is none.
    pub fn tensor(&self, name: &str) -> Result<Tensor<'_>> {
        self.layout.tensor(name).ok_or_else(|| {
            Error::invalid_argument("tensor", "the name of a tensor of this file", format!("{name:?}"))
        })
    }

    /// Fills `buf` with the bytes from `offset_bytes` on, and makes sure that the file is still the one whose
    /// layout was checked. `tensor` is named in the error.
    pub(super) fn read(&self, buf: &mut [u8], offset_bytes: u64, tensor: &str) -> Result<()> {
        let outcome = match &self.source {
            Source::Bytes(bytes) => bytes.read_exact_at(buf, offset_bytes),
            Source::File { file, stamp } => file
                .read_exact_at(buf, offset_bytes)
                .map_err(|error| explain_short_read(error, buf.len()))
                .and_then(|()| expect_unchanged(*stamp, Stamp::of(file)?)),
        };
        outcome.map_err(|source| io_error(&self.path, Some(tensor), Some(offset_bytes), source))
    }
}

fn explain_short_read(error: io::Error, expected_bytes: usize) -> io::Error {
    if error.kind() != io::ErrorKind::UnexpectedEof {
        return error;
    }
    let text = format!(
        "expected {expected_bytes} bytes, but the file became shorter since it was opened; open it again"
    );
    io::Error::new(io::ErrorKind::UnexpectedEof, text)
}

fn expect_unchanged(at_open: Stamp, now: Stamp) -> io::Result<()> {
    if at_open == now {
        return Ok(());
    }
    let text = format!(
        "expected the file as it was opened ({} bytes), but it was changed since (now {} bytes); open it again",
        at_open.size_bytes, now.size_bytes
    );
    Err(io::Error::new(io::ErrorKind::InvalidData, text))
}

fn header_error(path: &Path, error: gguf_file::Error) -> Error {
    match error {
        gguf_file::Error::Io { offset, source } => io_error(path, None, offset, source),
        gguf_file::Error::NotARegularFile { .. } => {
            io_error(path, None, None, io::Error::new(io::ErrorKind::InvalidInput, error))
        }
        broken_rule => Error::InvalidGguf { path: path.to_owned(), source: Box::new(broken_rule) },
    }
}

fn io_error(path: &Path, tensor: Option<&str>, offset_bytes: Option<u64>, source: io::Error) -> Error {
    let call = if offset_bytes.is_some() { "read" } else { "open" };
    Error::Io { path: path.to_owned(), tensor: tensor.map(str::to_owned), offset_bytes, call, source }
}
