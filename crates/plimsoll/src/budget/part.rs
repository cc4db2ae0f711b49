//! A figure that other copies of this crate in the process may count into as well.

use std::ops::Deref;

/// A figure of one account alone, or of the whole process, other copies of this crate included.
#[derive(Debug)]
pub(super) enum Part<T: 'static> {
    Own(T),
    #[cfg_attr(loom, allow(dead_code))] // Loom's atomics cannot be static.
    Process(&'static T),
}

impl<T> Deref for Part<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            Self::Own(own) => own,
            Self::Process(shared) => shared,
        }
    }
}
