//! Why a figure of the system is not there, and what to do about it.

use std::{fmt, io, path::PathBuf};

use rustix::io::Errno;

use crate::error::Error;

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
    /// The process whose file it is has ended, or there is none of that id that can be seen.
    Ended,
    /// This process may not read it.
    Denied,
    /// Reading failed, with the system's words.
    Unreadable(String),
    /// The process or the system may open no more files; in the system's words.
    NoDescriptor(String),
    /// It is larger than any file of its kind.
    TooLarge {
        /// The largest that is read, in bytes.
        max_bytes: usize,
    },
    /// It does not hold what it should; what was expected.
    Malformed(&'static str),
    /// `/proc` is mounted so that it shows processes alone.
    SubsetPid,
    /// It is something else that was mounted over it.
    Covered,
    /// It is something else that was mounted over it, and its figures are taken as they are.
    Foreign,
    /// Other figures stand for its own.
    StandsIn {
        /// What is the matter with it.
        cause: Box<Self>,
        /// What stands for it, in words.
        words: &'static str,
    },
    /// It is there, and a limit may exist that it does not show, or one figure stands for another; why.
    Doubtful(String),
    /// It is of the topmost control group that can be seen here, and there are some above it.
    HiddenAbove,
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

    /// What to do about it, where its cause is known.
    #[must_use]
    pub fn remedy(&self) -> Option<&'static str> {
        self.reason.remedy()
    }

    pub(crate) fn from_io(path: impl Into<PathBuf>, error: &io::Error) -> Self {
        let gone = [Errno::NODEV, Errno::SRCH].map(|errno| Some(errno.raw_os_error()));
        let too_many = [Errno::MFILE, Errno::NFILE].map(|errno| Some(errno.raw_os_error()));
        let reason = match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Reason::Missing,
            // An open file of a control group that was removed, and of a process that has ended.
            _ if gone.contains(&error.raw_os_error()) => Reason::Missing,
            io::ErrorKind::PermissionDenied => Reason::Denied,
            _ if too_many.contains(&error.raw_os_error()) => Reason::NoDescriptor(error.to_string()),
            _ => Reason::Unreadable(error.to_string()),
        };
        Self::new(path, reason)
    }
}

impl Reason {
    fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::SubsetPid => {
                Some("Set ProcSubset=all for the service, or mount /proc without the option subset=pid")
            }
            Self::Covered | Self::Foreign => Some(
                "Take away what is mounted over it: an InaccessiblePaths= of the service, or a bind mount",
            ),
            Self::StandsIn { cause, .. } => match **cause {
                Self::Missing => Some("Mount /proc: mount -t proc proc /proc"),
                Self::NoDescriptor(_) => Some("Raise the limit: ulimit -n, or LimitNOFILE= of a service"),
                ref cause => cause.remedy(),
            },
            _ => None,
        }
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.reason {
            Reason::Missing => write!(f, "{path} is not there"),
            Reason::Ended => {
                write!(
                    f,
                    "{path} is not there: the process has ended, or there is none of that id that can be seen"
                )
            }
            Reason::Denied => write!(f, "{path} may not be read by this user"),
            Reason::Unreadable(why) => write!(f, "{path} cannot be read: {why}"),
            Reason::NoDescriptor(why) => write!(
                f,
                "{path} cannot be read: {why}; raise the limit: ulimit -n, or LimitNOFILE= of a service"
            ),
            Reason::TooLarge { max_bytes } => {
                write!(f, "{path} is larger than {max_bytes} bytes, which no such file is")
            }
            Reason::Malformed(expected) => write!(f, "{path} does not hold {expected}"),
            Reason::SubsetPid => write!(
                f,
                "{path} is hidden: /proc is mounted with subset=pid, as for a service with ProcSubset=pid; \
                 ProcSubset=all shows it"
            ),
            Reason::Covered => write!(f, "{path} is hidden by something that is mounted over it"),
            Reason::Foreign => write!(
                f,
                "{path} is not the kernel's: something else is mounted over it, and its figures are taken as they are"
            ),
            Reason::StandsIn { cause, words } => {
                let cause = Self::new(&self.path, (**cause).clone());
                write!(f, "{cause}; {words}")
            }
            Reason::Doubtful(why) => write!(f, "{path}: {why}"),
            Reason::HiddenAbove => write!(
                f,
                "{path} is the topmost control group that can be seen here, and not the topmost there is: a limit of \
                 one above it is not seen"
            ),
        }
    }
}

impl std::error::Error for Unavailable {}

impl From<Unavailable> for Error {
    fn from(unavailable: Unavailable) -> Self {
        let source = io::Error::other(unavailable.to_string());
        Self::Io { path: unavailable.path, tensor: None, offset_bytes: None, call: "open", source }
    }
}
