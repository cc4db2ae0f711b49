//! Where the system's files are read, and what to say when one is not there.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read},
    os::unix::fs::FileExt,
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{Mode, OFlags, open},
    io::Errno,
};

/// No file of the system that is read here comes near this size; a longer one is not what it claims to be.
const MAX_FILE_BYTES: usize = 1 << 20;

pub use super::unavailable::{Probe, Reason, Unavailable};

/// The longest line that is looked at whole; what follows of a longer one is passed over.
const MAX_LINE_BYTES: usize = 64 << 10;

/// A table of mounts has no bound in the kernel but that of mounts, 100,000 of them by default.
const MAX_LINES_BYTES: u64 = 1 << 30;

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

    /// The absolute path of the folder of the process that is meant, where that is another than the one that reads.
    pub(super) fn process_folder(&self) -> Option<String> {
        self.pid.map(|pid| format!("/proc/{pid}"))
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

    /// Tells each line of a file that may be long, without its end. Of a line of more than 64 KiB the first are told.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] when it is missing, forbidden, unreadable or larger than 1 GiB.
    pub(super) fn for_each_line(&self, absolute: impl AsRef<Path>, mut each: impl FnMut(&[u8])) -> Probe<()> {
        let path = self.path(&absolute);
        let mut read = || -> io::Result<bool> {
            let mut file = BufReader::new(self.open(absolute.as_ref())?.take(MAX_LINES_BYTES + 1));
            let mut line = Vec::new();
            loop {
                line.clear();
                if (&mut file).take(MAX_LINE_BYTES as u64).read_until(b'\n', &mut line)? == 0 {
                    return Ok(file.get_ref().limit() > 0);
                }
                let whole = line.strip_suffix(b"\n");
                each(whole.unwrap_or(&line));
                if whole.is_none() && line.len() == MAX_LINE_BYTES {
                    file.skip_until(b'\n')?;
                }
            }
        };
        match read() {
            Ok(true) => Ok(()),
            Ok(false) => {
                Err(Unavailable::new(path, Reason::TooLarge { max_bytes: MAX_LINES_BYTES as usize }))
            }
            Err(error) => Err(Unavailable::from_io(path, &error)),
        }
    }

    /// Opens without waiting: a pipe in a tree of files must not hang the reader.
    fn open(&self, absolute: &Path) -> io::Result<fs::File> {
        const HOW: OFlags =
            OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);
        let path = self.followed(absolute);
        open(&path, HOW, Mode::empty()).map(fs::File::from).map_err(|errno| {
            let is_short = errno == Errno::MFILE || errno == Errno::NFILE;
            // Without a descriptor it can still be told that there is no such file.
            let missing = is_short.then(|| fs::symlink_metadata(&path).err()).flatten();
            missing.unwrap_or_else(|| errno.into())
        })
    }

    /// The names in a folder, in order; none where there is no such folder.
    #[must_use]
    pub fn names_in(&self, absolute: impl AsRef<Path>) -> Vec<String> {
        self.entries_in(absolute.as_ref(), |_| true).unwrap_or_default()
    }

    /// The names of the folders in a folder, in order.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] when the folder is missing, forbidden or unreadable.
    pub(super) fn folders_in(&self, absolute: impl AsRef<Path>) -> Probe<Vec<String>> {
        let is_folder = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
        self.entries_in(absolute.as_ref(), is_folder)
    }

    fn entries_in(&self, absolute: &Path, is_wanted: impl Fn(&fs::DirEntry) -> bool) -> Probe<Vec<String>> {
        let read = || -> io::Result<Vec<String>> {
            let mut names = Vec::new();
            for entry in fs::read_dir(self.followed(absolute))? {
                let entry = entry?;
                if is_wanted(&entry) {
                    names.extend(entry.file_name().into_string());
                }
            }
            Ok(names)
        };
        let mut names = read().map_err(|error| Unavailable::from_io(self.path(absolute), &error))?;
        names.sort_unstable();
        Ok(names)
    }

    /// Whether a folder is there. Fails where that cannot be told.
    pub(super) fn has_folder(&self, absolute: impl AsRef<Path>) -> Probe<bool> {
        match fs::metadata(self.followed(&absolute)) {
            Ok(found) => Ok(found.is_dir()),
            Err(error) => match Unavailable::from_io(self.path(&absolute), &error) {
                missing if missing.is_absent() => Ok(false),
                unavailable => Err(unavailable),
            },
        }
    }

    /// The id of the process that is meant, as this system counts; of a copy, the one that made it, if it says so.
    pub(super) fn process_id(&self) -> Option<u32> {
        if self.pid.is_some() || self.is_this_machine() {
            return self.pid.or_else(|| Some(std::process::id()));
        }
        let linked = fs::read_link(self.path("/proc/self")).ok();
        let of_link = linked.and_then(|link| link.file_name()?.to_str()?.parse().ok());
        let of_status = || {
            let status = self.read_text("/proc/self/status").ok()?;
            super::text::field(&status, "Pid", ':')?.trim().parse().ok()
        };
        of_link.or_else(of_status)
    }
}

/// A file that is read again and again: kept open, and read from its start each time.
#[derive(Debug)]
pub(crate) struct RootSource {
    root: SystemRoot,
    /// The file as the system calls it.
    absolute: PathBuf,
    file: Option<fs::File>,
}

impl RootSource {
    pub(crate) fn new(root: &SystemRoot, absolute: impl AsRef<Path>) -> Self {
        Self { root: root.clone(), absolute: absolute.as_ref().to_owned(), file: None }
    }

    /// Where it lies under the root.
    pub(super) fn path(&self) -> PathBuf {
        self.root.path(&self.absolute)
    }

    /// Reads the file and parses it. A file that fails is opened anew at the next read.
    pub(crate) fn read<T>(
        &mut self,
        buffer: &mut LineBuffer,
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

/// Where a [`RootSource`] is read to. The longest file that is sampled, `/proc/vmstat`, has about 5 KiB.
#[derive(Debug)]
pub(crate) struct LineBuffer(Box<[u8]>);

impl Default for LineBuffer {
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
            let mut buffer = LineBuffer::default();
            RootSource::new(&root, "/file").read(&mut buffer, |bytes| Ok(bytes.len()))
        };
        assert_eq!(read((64 << 10) - 1), Ok((64 << 10) - 1));
        for length in [64 << 10, 80 << 10] {
            assert!(matches!(read(length).unwrap_err().reason, Reason::TooLarge { .. }));
        }
    }
}
