//! Host memory that a load fills.

// Windows that several threads fill are raw memory; the block says what keeps it there.
#![allow(unsafe_code)]

use std::ptr::NonNull;

use plimsoll::{
    Error as CoreError, Result as CoreResult,
    loader::{Destination, WindowApart},
};

use crate::{js_memory::FreshWindow, lease::LeasedWork};

/// Where a load writes from its own thread.
pub enum LoadTarget {
    /// Memory of a lease, which the load holds.
    Leased(LeasedWork),
    /// Memory that `load` made.
    Fresh(FreshWindow),
}

impl LoadTarget {
    /// Where the bytes are, and how many.
    fn memory(&self) -> (*mut u8, usize) {
        match self {
            Self::Leased(work) => work.memory(),
            Self::Fresh(window) => window.memory(),
        }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Leased(work) => work.bytes_mut(),
            Self::Fresh(window) => window.bytes_mut(),
        }
    }
}

impl Destination for LoadTarget {
    fn capacity_bytes(&self) -> u64 {
        match self {
            Self::Leased(work) => work.bytes().len() as u64,
            Self::Fresh(window) => window.memory().1 as u64,
        }
    }

    fn window(&mut self, offset_bytes: u64, len: usize) -> CoreResult<&mut [u8]> {
        let capacity = self.capacity_bytes();
        let start = offset_bytes as usize;
        start.checked_add(len).and_then(|end| self.bytes_mut().get_mut(start..end)).ok_or_else(|| {
            let expected = format!("large enough for {len} bytes at {offset_bytes}");
            CoreError::invalid_argument("into", expected, format!("{capacity} bytes"))
        })
    }

    fn window_apart(&mut self, offset_bytes: u64, len: usize) -> CoreResult<Option<WindowApart>> {
        let (first, capacity) = self.memory();
        let start = (offset_bytes as usize).checked_add(len).filter(|end| *end <= capacity);
        let start = start.and_then(|end| NonNull::new(first.wrapping_add(end - len)));
        let Some(start) = start else { return self.window(offset_bytes, len).map(|_| None) };
        // SAFETY: the memory is the lease's or the fresh buffer's, which outlast this target; the loader lends no byte twice,
        // and `NativePlaces` takes no memory twice.
        // A script may see memory of a lease, as it may while any work of ours writes there.
        Ok(Some(unsafe { WindowApart::new(start, len) }))
    }
}
