//! A file that must not change while it is read, or what stands in its place: bytes, or a file on a server.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use gguf_file::ReadAt;
use rustix::fs::{Advice, fadvise};

use crate::error::{Error, Result};

/// Stands in for the path of a model that came as bytes.
const BYTES_PATH: &str = "<bytes>";

/// One of a model's files, open, from the byte on at which the model begins.
#[derive(Debug)]
pub(super) struct Source {
    path: PathBuf,
    base_bytes: u64,
    content: Content,
}

#[derive(Debug)]
enum Content {
    File {
        file: File,
        stamp: Stamp,
    },
    Bytes(Vec<u8>),
    /// On a server: the header was fetched, and nothing else can be read.
    Remote {
        size_bytes: u64,
    },
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

impl Source {
    /// Opens a file of which the model is what follows `base_bytes`.
    pub fn open(path: &Path, base_bytes: u64) -> Result<Self> {
        let file = gguf_file::open_file(path).map_err(|error| header_error(path, error))?;
        let stamp = Stamp::of(&file).map_err(|source| io_error(path, None, None, source))?;
        // Of the header the kernel reads what it is asked for. What it would read ahead it would also mark, and go on from there
        // under reads of others to come. A refusal harms nobody.
        let _ = fadvise(&file, 0, None, Advice::Random);
        Self::new(path, base_bytes, stamp.size_bytes, Content::File { file, stamp })
    }

    pub fn of_bytes(bytes: Vec<u8>, base_bytes: u64) -> Result<Self> {
        let size_bytes = bytes.len() as u64;
        Self::new(Path::new(BYTES_PATH), base_bytes, size_bytes, Content::Bytes(bytes))
    }

    /// A file on a server, of which the header was fetched.
    pub fn of_remote(url: &str, size_bytes: u64) -> Self {
        Self { path: PathBuf::from(url), base_bytes: 0, content: Content::Remote { size_bytes } }
    }

    fn new(path: &Path, base_bytes: u64, size_bytes: u64, content: Content) -> Result<Self> {
        if base_bytes > size_bytes {
            let expected = format!("within the {size_bytes} bytes of {}", path.display());
            return Err(Error::invalid_argument("offsetBytes", expected, base_bytes.to_string()));
        }
        Ok(Self { path: path.to_owned(), base_bytes, content })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the model begins, in bytes from the start of the file.
    pub fn base_bytes(&self) -> u64 {
        self.base_bytes
    }

    /// The header was read: the kernel may read ahead of reads to come.
    pub fn header_was_read(&self) {
        if let Some(file) = self.file() {
            let _ = fadvise(file, 0, None, Advice::Normal);
        }
    }

    pub fn is_remote(&self) -> bool {
        matches!(self.content, Content::Remote { .. })
    }

    /// The file; `None` for bytes and a file on a server.
    pub fn file(&self) -> Option<&File> {
        match &self.content {
            Content::File { file, .. } => Some(file),
            Content::Bytes(_) | Content::Remote { .. } => None,
        }
    }

    /// Bytes from the model's beginning to the end of the file, as it was opened.
    pub fn size_bytes(&self) -> u64 {
        let whole = match &self.content {
            Content::File { stamp, .. } => stamp.size_bytes,
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::Remote { size_bytes } => *size_bytes,
        };
        whole - self.base_bytes
    }

    /// Bytes of memory that it takes.
    pub fn memory_bytes(&self) -> u64 {
        match &self.content {
            Content::File { .. } | Content::Remote { .. } => 0,
            Content::Bytes(bytes) => bytes.len() as u64,
        }
    }

    /// Has `read` fetch `len` bytes from `offset_bytes` on, and makes sure that the file is still the one that was opened.
    /// `tensor` is named in the error.
    pub fn read_by(
        &self,
        offset_bytes: u64,
        len: usize,
        tensor: &str,
        read: impl FnOnce() -> io::Result<()>,
    ) -> Result<()> {
        let outcome =
            read().map_err(|error| explain_short_read(error, len)).and_then(|()| self.expect_unchanged());
        outcome.map_err(|source| io_error(&self.path, Some(tensor), Some(offset_bytes), source))
    }

    fn expect_unchanged(&self) -> io::Result<()> {
        let Content::File { file, stamp: at_open } = &self.content else { return Ok(()) };
        let now = Stamp::of(file)?;
        if *at_open == now {
            return Ok(());
        }
        let text = format!(
            "expected the file as it was opened ({} bytes), but it was changed since (now {} bytes); open it again",
            at_open.size_bytes, now.size_bytes
        );
        Err(io::Error::new(io::ErrorKind::InvalidData, text))
    }
}

/// From the model's beginning on.
impl ReadAt for Source {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let offset = self.base_bytes.checked_add(offset).ok_or(io::ErrorKind::InvalidInput)?;
        match &self.content {
            Content::File { file, .. } => ReadAt::read_at(file, buf, offset),
            Content::Bytes(bytes) => bytes.read_at(buf, offset),
            Content::Remote { .. } => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    fn size_bytes(&self) -> io::Result<u64> {
        Ok(Self::size_bytes(self))
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

pub(super) fn header_error(path: &Path, error: gguf_file::Error) -> Error {
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
