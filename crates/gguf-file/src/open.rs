//! Opening a path without being led astray by what it names.

use std::{
    fmt,
    fs::{File, FileType, OpenOptions},
    path::Path,
};

use crate::Error;

/// What a path leads to that is not a regular file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileKind {
    /// A directory.
    Directory,
    /// A named pipe, whose opening would wait for a writer.
    Fifo,
    /// A socket.
    Socket,
    /// A character device, such as a terminal or `/dev/zero`.
    CharacterDevice,
    /// A block device, such as a disk.
    BlockDevice,
    /// None of these.
    Other,
}

impl fmt::Display for FileKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Directory => "a directory",
            Self::Fifo => "a named pipe",
            Self::Socket => "a socket",
            Self::CharacterDevice => "a character device",
            Self::BlockDevice => "a block device",
            Self::Other => "something else",
        })
    }
}

/// Opens `path` for reading if it is a regular file.
///
/// What is found is looked at before and after opening, and opened without waiting, so that a named pipe
/// without a writer does not hang, a device is not touched by mistake, and a path swapped in between is
/// caught.
///
/// # Errors
///
/// [`Error::NotARegularFile`] for a directory, pipe, socket or device; [`Error::Io`] without an offset for a
/// path that does not exist or may not be read.
pub fn open_file(path: impl AsRef<Path>) -> Result<File, Error> {
    let path = path.as_ref();
    let before = std::fs::metadata(path).map_err(opening)?;
    expect_regular(before.file_type())?;
    let file = without_waiting(OpenOptions::new().read(true)).open(path).map_err(opening)?;
    expect_regular(file.metadata().map_err(opening)?.file_type())?;
    Ok(file)
}

fn opening(source: std::io::Error) -> Error {
    Error::Io { offset: None, source }
}

fn expect_regular(file_type: FileType) -> Result<(), Error> {
    if file_type.is_file() { Ok(()) } else { Err(Error::NotARegularFile { kind: kind_of(file_type) }) }
}

#[cfg(unix)]
fn without_waiting(options: &mut OpenOptions) -> &mut OpenOptions {
    use rustix::fs::OFlags;
    use std::os::unix::fs::OpenOptionsExt;
    // A terminal must not become the controlling one of a daemon that was given its path.
    options.custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed())
}

#[cfg(not(unix))]
fn without_waiting(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

#[cfg(unix)]
fn kind_of(file_type: FileType) -> FileKind {
    use std::os::unix::fs::FileTypeExt;
    if file_type.is_dir() {
        FileKind::Directory
    } else if file_type.is_fifo() {
        FileKind::Fifo
    } else if file_type.is_socket() {
        FileKind::Socket
    } else if file_type.is_char_device() {
        FileKind::CharacterDevice
    } else if file_type.is_block_device() {
        FileKind::BlockDevice
    } else {
        FileKind::Other
    }
}

#[cfg(not(unix))]
fn kind_of(file_type: FileType) -> FileKind {
    if file_type.is_dir() { FileKind::Directory } else { FileKind::Other }
}
