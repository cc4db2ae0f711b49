//! Where the system's files are read, and what to say when one is not there.

use std::{
    fmt, fs,
    io::{self, Read},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;

/// No file of the system that is read here comes near this size; a longer one is not what it claims to be.
const MAX_FILE_BYTES: usize = 1 << 20;

/// The folder under which `proc`, `sys`, `dev` and `etc` lie: `/`, or a copy of a board's tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemRoot(PathBuf);

impl Default for SystemRoot {
    /// This machine.
    fn default() -> Self {
        Self(PathBuf::from("/"))
    }
}

impl SystemRoot {
    /// The tree under `path`.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Whether this is the machine itself and not a copy of one.
    #[must_use]
    pub fn is_this_machine(&self) -> bool {
        self.0 == Path::new("/")
    }

    /// The place of an absolute path of the system under this root.
    #[must_use]
    pub fn path(&self, absolute: impl AsRef<Path>) -> PathBuf {
        let path = absolute.as_ref();
        self.0.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Whether that path exists, of whatever type.
    #[must_use]
    pub fn exists(&self, absolute: impl AsRef<Path>) -> bool {
        fs::symlink_metadata(self.path(absolute)).is_ok()
    }

    /// Reads a small file whole.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] when it is missing, forbidden, unreadable or larger than 1 MiB.
    pub fn read(&self, absolute: impl AsRef<Path>) -> Probe<Vec<u8>> {
        self.read_up_to(absolute, MAX_FILE_BYTES)
    }

    /// Reads a file of at most that size whole.
    pub(crate) fn read_up_to(&self, absolute: impl AsRef<Path>, max_bytes: usize) -> Probe<Vec<u8>> {
        let path = self.path(absolute);
        let mut bytes = Vec::new();
        let read = open(&path).and_then(|file| file.take(max_bytes as u64 + 1).read_to_end(&mut bytes));
        match read {
            Ok(length) if length > max_bytes => Err(Unavailable::new(path, Reason::TooLarge { max_bytes })),
            Ok(_) => Ok(bytes),
            Err(error) => Err(Unavailable::from_io(path, &error)),
        }
    }

    /// Reads a small file of text; bytes that are no text read as replacement characters.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn read_text(&self, absolute: impl AsRef<Path>) -> Probe<String> {
        let bytes = self.read(absolute)?;
        Ok(String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    /// The names in a folder, in order; none where there is no such folder.
    #[must_use]
    pub fn names_in(&self, absolute: impl AsRef<Path>) -> Vec<String> {
        let entries = fs::read_dir(self.path(absolute)).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort_unstable();
        names
    }
}

/// Opens without waiting: a pipe in a tree of files must not hang the reader.
fn open(path: &Path) -> io::Result<fs::File> {
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits();
    fs::OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open(path)
}

/// A figure, or why it is not there.
pub type Probe<T> = Result<T, Unavailable>;

/// Why a figure of the system is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unavailable {
    /// The file that would have it.
    pub path: PathBuf,
    /// What is the matter with it.
    pub reason: Reason,
}

/// What is the matter with a file of the system.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// It does not exist: the kernel has no such feature, or it is not mounted here.
    Missing,
    /// This process may not read it.
    Denied,
    /// Reading failed, with the system's words.
    Unreadable(String),
    /// It is larger than any file of its kind.
    TooLarge {
        /// The largest that is read, in bytes.
        max_bytes: usize,
    },
    /// It does not hold what it should; what was expected.
    Malformed(&'static str),
}

impl Unavailable {
    pub(crate) fn new(path: impl Into<PathBuf>, reason: Reason) -> Self {
        Self { path: path.into(), reason }
    }

    /// Whether there simply is no such file, or no longer.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        self.reason == Reason::Missing
    }

    pub(crate) fn from_io(path: impl Into<PathBuf>, error: &io::Error) -> Self {
        let reason = match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Reason::Missing,
            // An open file of a control group that was removed.
            _ if error.raw_os_error() == Some(rustix::io::Errno::NODEV.raw_os_error()) => Reason::Missing,
            io::ErrorKind::PermissionDenied => Reason::Denied,
            _ => Reason::Unreadable(error.to_string()),
        };
        Self::new(path, reason)
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.reason {
            Reason::Missing => write!(f, "{path} is not there"),
            Reason::Denied => write!(f, "{path} may not be read by this user"),
            Reason::Unreadable(why) => write!(f, "{path} cannot be read: {why}"),
            Reason::TooLarge { max_bytes } => {
                write!(f, "{path} is larger than {max_bytes} bytes, which no such file is")
            }
            Reason::Malformed(expected) => write!(f, "{path} does not hold {expected}"),
        }
    }
}

impl std::error::Error for Unavailable {}

/// A file that is read again and again: kept open, and read from its start each time.
#[derive(Debug)]
pub(crate) struct Source {
    path: PathBuf,
    file: Option<fs::File>,
}

impl Source {
    pub(crate) fn new(root: &SystemRoot, absolute: impl AsRef<Path>) -> Self {
        Self { path: root.path(absolute), file: None }
    }

    /// Reads the file and parses it. A file that fails is opened anew at the next read.
    pub(crate) fn read<T>(
        &mut self,
        buffer: &mut Buffer,
        parse: impl FnOnce(&[u8]) -> Result<T, Reason>,
    ) -> Probe<T> {
        match self.fill(&mut buffer.0) {
            Ok(bytes) => parse(bytes).map_err(|reason| Unavailable::new(&self.path, reason)),
            Err(error) => {
                self.file = None;
                Err(Unavailable::from_io(&self.path, &error))
            }
        }
    }

    fn fill<'b>(&mut self, buffer: &'b mut [u8]) -> io::Result<&'b [u8]> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(open(&self.path)?),
        };
        let mut length = 0;
        while let Some(rest) = buffer.get_mut(length..).filter(|rest| !rest.is_empty()) {
            match file.read_at(rest, length as u64) {
                Ok(0) => break,
                Ok(read) => length += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(buffer.get(..length).unwrap_or_default())
    }
}

/// Where a [`Source`] is read to. The longest file that is sampled, `/proc/vmstat`, has about 5 KiB.
#[derive(Debug)]
pub(crate) struct Buffer(Box<[u8]>);

impl Default for Buffer {
    fn default() -> Self {
        Self(vec![0; 64 << 10].into())
    }
}
