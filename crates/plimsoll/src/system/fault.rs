//! What is the matter with `/proc/meminfo` where its figures come from elsewhere, or are not the kernel's.

use super::root::Reason;

/// What is the matter with `/proc/meminfo`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileFault {
    /// It is not there.
    Missing,
    /// This process may not read it.
    Denied,
    /// The process or the system may open no more files.
    NoDescriptor,
    /// Reading it failed.
    Unreadable,
    /// It does not hold what it should; what was expected.
    Malformed(&'static str),
    /// `/proc` is mounted so that it shows processes alone.
    SubsetPid,
    /// Something that tells nothing is mounted over it.
    Covered,
    /// Something that tells figures is mounted over it, and they are taken as they are.
    Foreign,
}

impl FileFault {
    /// The one for which reading failed.
    pub(super) const fn of(reason: &Reason) -> Self {
        match reason {
            Reason::Missing => Self::Missing,
            Reason::Denied => Self::Denied,
            Reason::NoDescriptor(_) => Self::NoDescriptor,
            Reason::Malformed(expected) => Self::Malformed(expected),
            Reason::SubsetPid => Self::SubsetPid,
            Reason::Covered => Self::Covered,
            Reason::Foreign => Self::Foreign,
            _ => Self::Unreadable,
        }
    }

    /// The same as a reason, without what the system said then: a doubt is told once, and must be the same each time.
    pub(super) fn reason(self) -> Reason {
        match self {
            Self::Missing => Reason::Missing,
            Self::Denied => Reason::Denied,
            Self::NoDescriptor => Reason::NoDescriptor("there are too many open files".to_owned()),
            Self::Unreadable => Reason::Unreadable("the system refuses it".to_owned()),
            Self::Malformed(expected) => Reason::Malformed(expected),
            Self::SubsetPid => Reason::SubsetPid,
            Self::Covered => Reason::Covered,
            Self::Foreign => Reason::Foreign,
        }
    }
}
