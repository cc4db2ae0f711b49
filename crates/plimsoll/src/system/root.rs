//! Where the system's files are read, and what to say when one is not there.

use std::{
    fmt, fs,
    io::{self, Read},
    os::unix::fs::FileExt,
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{Mode, OFlags, open},
    io::Errno,
};

/// No file of the system that is read here comes near this size; a longer one is not what it claims to be.
const MAX_FILE_BYTES: usize = 1 << 20;

/// The folder under which `proc`, `sys`, `dev` and `etc` lie: `/`, or a copy of a board's tree; and whose memory and
/// control groups are meant there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SystemRoot {
    folder: PathBuf,
    /// `None` is the process that reads.
    pid: Option<u32>,
}

impl Default for SystemRoot {
    /// This machine and this process.
    fn default() -> Self {
        Self::at("/")
    }
}

impl SystemRoot {
    /// The tree under `path`.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { folder: path.into(), pid: None }
    }

    /// The same tree as it stands for the process `pid`: its memory, its control groups.
    #[must_use]
    pub fn of_process(&self, pid: u32) -> Self {
        Self { folder: self.folder.clone(), pid: Some(pid) }
    }

    /// Whether this is the machine itself and not a copy of one.
    #[must_use]
    pub fn is_this_machine(&self) -> bool {
        self.folder == Path::new("/")
    }

    /// The place of an absolute path of the system under this root.
    #[must_use]
    pub fn path(&self, absolute: impl AsRef<Path>) -> PathBuf {
        let path = absolute.as_ref();
        self.folder.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Where that path really leads. Links in a copy stay inside it: the one at `/proc/device-tree` would else lead to
    /// the tree of the machine that reads.
    pub(crate) fn followed(&self, absolute: impl AsRef<Path>) -> PathBuf {
        if self.is_this_machine() { self.path(absolute) } else { self.path(self.inside(absolute.as_ref())) }
    }

    /// The path without links, as the copy means them. One that goes in circles leads nowhere.
    fn inside(&self, absolute: &Path) -> PathBuf {
        const MOST_LINKS: usize = 40; // As the kernel.
        let mut links = 0;
        let mut rest: Vec<PathBuf> = vec![absolute.to_owned()];
        let mut done = PathBuf::from("/");
        while let Some(next) = rest.pop() {
            let mut parts = next.components();
            let Some(part) = parts.next() else { continue };
            rest.push(parts.as_path().to_owned());
            match part {
                Component::RootDir | Component::Prefix(_) => done = PathBuf::from("/"),
                Component::CurDir => {}
                Component::ParentDir => drop(done.pop()),
                Component::Normal(name) => {
                    let step = done.join(name);
                    match fs::read_link(self.path(&step)) {
                        Ok(target) if links < MOST_LINKS => {
                            links += 1;
                            rest.push(target);
                        }
                        Ok(_) => return PathBuf::from("/a link that goes in circles"),
                        Err(_) => done = step,
                    }
                }
            }
        }
        done
    }

    /// The absolute path of a file of the process that is meant: `/proc/self/status`.
    pub(super) fn process_file(&self, name: &str) -> String {
        self.pid.map_or_else(|| format!("/proc/self/{name}"), |pid| format!("/proc/{pid}/{name}"))
    }

    /// Whether that path exists, of whatever type.
    #[must_use]
    pub fn exists(&self, absolute: impl AsRef<Path>) -> bool {
        fs::symlink_metadata(self.followed(absolute)).is_ok()
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
        let path = self.path(&absolute);
        let mut bytes = Vec::new();
        let read = self
            .open(absolute.as_ref())
            .and_then(|file| file.take(max_bytes as u64 + 1).read_to_end(&mut bytes));
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

    /// Opens without waiting: a pipe in a tree of files must not hang the reader.
    fn open(&self, absolute: &Path) -> io::Result<fs::File> {
        const HOW: OFlags =
            OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);
        Ok(open(self.followed(absolute), HOW, Mode::empty())?.into())
    }

    /// The names in a folder, in order; none where there is no such folder.
    #[must_use]
    pub fn names_in(&self, absolute: impl AsRef<Path>) -> Vec<String> {
        let entries = fs::read_dir(self.followed(absolute)).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort_unstable();
        names
    }
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
        let too_many = [Errno::MFILE, Errno::NFILE].map(|errno| Some(errno.raw_os_error()));
        let reason = match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Reason::Missing,
            // An open file of a control group that was removed.
            _ if error.raw_os_error() == Some(Errno::NODEV.raw_os_error()) => Reason::Missing,
            io::ErrorKind::PermissionDenied => Reason::Denied,
            _ if too_many.contains(&error.raw_os_error()) => Reason::Unreadable(format!(
                "{error}; raise the limit: ulimit -n, or LimitNOFILE= of a service"
            )),
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
    root: SystemRoot,
    /// The file as the system calls it.
    absolute: PathBuf,
    file: Option<fs::File>,
}

impl Source {
    pub(crate) fn new(root: &SystemRoot, absolute: impl AsRef<Path>) -> Self {
        Self { root: root.clone(), absolute: absolute.as_ref().to_owned(), file: None }
    }

    /// Reads the file and parses it. A file that fails is opened anew at the next read.
    pub(crate) fn read<T>(
        &mut self,
        buffer: &mut Buffer,
        parse: impl FnOnce(&[u8]) -> Result<T, Reason>,
    ) -> Probe<T> {
        let max_bytes = buffer.0.len() - 1;
        match self.fill(&mut buffer.0) {
            // Its last number may be cut in half.
            Ok(bytes) if bytes.len() > max_bytes => {
                Err(Unavailable::new(self.root.path(&self.absolute), Reason::TooLarge { max_bytes }))
            }
            Ok(bytes) => {
                parse(bytes).map_err(|reason| Unavailable::new(self.root.path(&self.absolute), reason))
            }
            Err(error) => {
                self.file = None;
                Err(Unavailable::from_io(self.root.path(&self.absolute), &error))
            }
        }
    }

    fn fill<'b>(&mut self, buffer: &'b mut [u8]) -> io::Result<&'b [u8]> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(self.root.open(&self.absolute)?),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_fills_the_buffer_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let root = SystemRoot::at(folder.path());
        let read = |length: usize| {
            fs::write(folder.path().join("file"), vec![b'1'; length]).unwrap();
            let mut buffer = Buffer::default();
            Source::new(&root, "/file").read(&mut buffer, |bytes| Ok(bytes.len()))
        };
        assert_eq!(read((64 << 10) - 1), Ok((64 << 10) - 1));
        for length in [64 << 10, 80 << 10] {
            assert!(matches!(read(length).unwrap_err().reason, Reason::TooLarge { .. }));
        }
    }
}
