//! What drivers are taking at this moment: the bytes are promised, and the kernel's figures may not show them yet.
//!
//! ```text
//!   one taker      lock, check, insert the bytes, unlock | its driver works: for seconds, where it is an NPU | lock, remove them
//!   kernel's       -----------------------------------------------------\_________________________________________________
//!   figures
//!   others         ---- wait for the lock ----------------- see the bytes there, and later perhaps both -------- see the figures
//! ```
//!
//! So the same bytes may be counted twice for a while, and never not at all. Who is refused for that alone waits until
//! somebody has done, and asks again.

use std::{
    path::PathBuf,
    sync::{Condvar, Mutex, MutexGuard},
};

use super::promised::Promised;
use crate::{
    error::Result,
    sync::{lock, wait},
    system::SystemRoot,
};

/// Everything that this process takes.
static LIST: List = List { takers: Mutex::new(Vec::new()), done: Condvar::new() };

struct List {
    takers: Mutex<Vec<Taker>>,
    /// Notified when somebody has done.
    done: Condvar,
}

/// What is taken, with the machine that it is taken from.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Taker {
    machine: PathBuf,
    of: Supply,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Supply {
    /// So many bytes of a machine's available memory.
    Memory(u64),
    /// Some of its pool of huge pages, which is read and taken of by one at a time.
    HugePages,
}

/// Memory that a driver is taking, until this is dropped.
#[derive(Debug)]
#[must_use = "dropping it says that the driver has done"]
pub(crate) struct InFlight(Taker);

impl InFlight {
    /// Bytes that `check` lets pass, which is told what is promised when others' bytes in flight are counted too. No two are
    /// asked at the same time.
    ///
    /// # Errors
    ///
    /// What `check` says of the bytes when nobody else is taking any.
    pub(crate) fn begin(
        root: &SystemRoot,
        bytes: u64,
        promised: Promised,
        check: impl Fn(Promised) -> Result<()>,
    ) -> Result<Self> {
        let machine = root.path("/");
        let mut takers = LIST.lock();
        loop {
            let others_bytes =
                takers.iter().map(|taker| taker.bytes_of(&machine)).fold(0, u64::saturating_add);
            match check(promised.with_in_flight(others_bytes)) {
                Ok(()) => break,
                Err(refusal) if others_bytes == 0 => return Err(refusal),
                // Will they be too many even when the others' are counted once?
                Err(_) => check(promised)?,
            }
            takers = LIST.wait(takers);
        }
        Ok(Self::insert(&mut takers, Taker { machine, of: Supply::Memory(bytes) }))
    }

    /// The pool of huge pages, from reading what it has until some of it are mapped: a map reserves its pages at once, so that
    /// the next taker reads what is left. What two saw both, the kernel would add for the second, unweighed, where it may.
    pub(crate) fn of_huge_pages(root: &SystemRoot) -> Self {
        let taker = Taker { machine: root.path("/"), of: Supply::HugePages };
        let mut takers = LIST.lock();
        while takers.contains(&taker) {
            takers = LIST.wait(takers);
        }
        Self::insert(&mut takers, taker)
    }

    fn insert(takers: &mut Vec<Taker>, taker: Taker) -> Self {
        takers.push(taker.clone());
        Self(taker)
    }
}

impl Taker {
    /// What it takes of the available memory of a machine, in bytes.
    fn bytes_of(&self, machine: &PathBuf) -> u64 {
        match self.of {
            Supply::Memory(bytes) if self.machine == *machine => bytes,
            _ => 0,
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut takers = LIST.lock();
        let own = takers.iter().position(|taker| *taker == self.0);
        if let Some(own) = own {
            takers.swap_remove(own);
        }
        drop(takers);
        LIST.done.notify_all();
    }
}

impl List {
    fn lock(&self) -> MutexGuard<'_, Vec<Taker>> {
        lock(&self.takers)
    }

    fn wait<'a>(&self, takers: MutexGuard<'a, Vec<Taker>>) -> MutexGuard<'a, Vec<Taker>> {
        wait(&self.done, takers)
    }
}
