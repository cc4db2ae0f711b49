//! Work that is done late: as late as the driver may, which is when somebody waits for it.

use std::{collections::BTreeMap, ptr};

use crate::{
    driver::{Answer, INVALID_HANDLE},
    memory::{Memory, Piece},
};

/// What a stream has still to do.
pub enum Work {
    /// From memory of the program's, read when the work is done.
    CopyIn {
        to: u64,
        from: *const u8,
        len: usize,
    },
    /// From bytes that the call has already taken over.
    CopyOwned {
        to: u64,
        from: Vec<u8>,
    },
    Move {
        to: u64,
        from: u64,
        len: u64,
    },
    Fill {
        at: u64,
        byte: u8,
        len: u64,
    },
}

// SAFETY: the program's memory is read under the driver's lock.
unsafe impl Send for Work {}

/// Streams by their handles; 0 is the default one, which is always there.
#[derive(Default)]
pub struct Streams {
    queues: BTreeMap<usize, Vec<Work>>,
    next: usize,
}

impl Streams {
    pub fn live(&self) -> u64 {
        self.queues.keys().filter(|handle| **handle != 0).count() as u64
    }

    pub fn create(&mut self) -> usize {
        self.next += 1;
        let handle = 0x5000 + self.next;
        self.queues.insert(handle, Vec::new());
        handle
    }

    pub fn destroy(&mut self, handle: usize, memory: &Memory) -> Answer {
        self.finish(handle, memory)?;
        self.queues.remove(&handle).map(drop).ok_or(INVALID_HANDLE)
    }

    pub fn push(&mut self, handle: usize, work: Work) -> Answer {
        if handle == 0 {
            self.queues.entry(0).or_default().push(work);
            return Ok(());
        }
        self.queues.get_mut(&handle).ok_or(INVALID_HANDLE)?.push(work);
        Ok(())
    }

    /// Whether any stream has something to do with the `len` bytes at `at`.
    pub fn uses(&self, at: u64, len: u64) -> bool {
        let meets = |(from, bytes): (u64, u64)| from < at + len && at < from + bytes;
        self.queues.values().flatten().flat_map(Work::ranges).any(meets)
    }

    pub fn finish(&mut self, handle: usize, memory: &Memory) -> Answer {
        if handle != 0 && !self.queues.contains_key(&handle) {
            return Err(INVALID_HANDLE);
        }
        for work in self.queues.get_mut(&handle).map(std::mem::take).unwrap_or_default() {
            work.run(memory)?;
        }
        Ok(())
    }

    pub fn finish_all(&mut self, memory: &Memory) -> Answer {
        let handles: Vec<_> = self.queues.keys().copied().collect();
        handles.into_iter().try_for_each(|handle| self.finish(handle, memory))
    }
}

impl Work {
    /// What it reads and writes of the device's, each as an address and a length.
    fn ranges(&self) -> Vec<(u64, u64)> {
        match self {
            Self::CopyIn { to, len, .. } => vec![(*to, *len as u64)],
            Self::CopyOwned { to, from } => vec![(*to, from.len() as u64)],
            Self::Move { to, from, len } => vec![(*to, *len), (*from, *len)],
            Self::Fill { at, len, .. } => vec![(*at, *len)],
        }
    }

    fn run(self, memory: &Memory) -> Answer {
        match self {
            Self::CopyIn { to, from, len } => write(&memory.pieces(to, len as u64)?, from),
            Self::CopyOwned { to, from } => write(&memory.pieces(to, from.len() as u64)?, from.as_ptr()),
            Self::Move { to, from, len } => {
                let mut bytes = vec![0; len as usize];
                read(&memory.pieces(from, len)?, bytes.as_mut_ptr());
                write(&memory.pieces(to, len)?, bytes.as_ptr());
            }
            Self::Fill { at, byte, len } => {
                for piece in memory.pieces(at, len)? {
                    // SAFETY: a piece is live memory of that length.
                    unsafe { ptr::write_bytes(piece.at, byte, piece.len) };
                }
            }
        }
        Ok(())
    }
}

fn write(pieces: &[Piece], mut from: *const u8) {
    for piece in pieces {
        // SAFETY: a piece is live memory of that length, and so is what the caller of the driver gave.
        unsafe { ptr::copy_nonoverlapping(from, piece.at, piece.len) };
        from = from.wrapping_add(piece.len);
    }
}

/// Copies out, at once.
pub fn read(pieces: &[Piece], mut to: *mut u8) {
    for piece in pieces {
        // SAFETY: as in `write`, with the directions changed.
        unsafe { ptr::copy_nonoverlapping(piece.at, to, piece.len) };
        to = to.wrapping_add(piece.len);
    }
}
