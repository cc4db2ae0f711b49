//! What drivers are taking at this moment: the bytes are promised, and the kernel's figures may not show them yet.
//!
//! ```text
//!   one taker      lock, admit, enter the bytes, unlock | its driver works: for seconds, where it is an NPU | lock, strike them out
//!   kernel's       --------------------------------------------------\_________________________________________________
//!   figures
//!   others         ---- wait for the lock -------------- see the bytes entered, and later perhaps both ------ see the figures
//! ```
//!
//! So the same bytes may be counted twice for a while, and never not at all. Who is refused for that alone waits until
//! somebody has done, and looks again.

use std::{
    path::PathBuf,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use crate::{error::Result, system::SystemRoot};

/// Everything that this process takes, with the machine that it is taken from.
static TAKING: Mutex<Vec<(PathBuf, u64)>> = Mutex::new(Vec::new());

/// Told when somebody has done.
static DONE: Condvar = Condvar::new();

/// Bytes that a driver is taking, until this is dropped.
#[derive(Debug)]
pub(super) struct Taking {
    machine: PathBuf,
    bytes: u64,
}

impl Taking {
    /// Enters bytes that `admit` lets pass, which is told how many others are taking. No two are asked at the same time.
    ///
    /// # Errors
    ///
    /// What `admit` says of the bytes when nobody else is taking any.
    pub(super) fn admitted(root: &SystemRoot, bytes: u64, admit: impl Fn(u64) -> Result<()>) -> Result<Self> {
        let machine = root.path("/");
        let mut taking = lock();
        loop {
            let of_machine = taking.iter().filter(|(other, _)| *other == machine);
            let others_bytes = of_machine.map(|(_, bytes)| *bytes).fold(0, u64::saturating_add);
            match admit(others_bytes) {
                Ok(()) => break,
                Err(refusal) if others_bytes == 0 => return Err(refusal),
                // Will they be too many even when the others' are counted once?
                Err(_) => admit(0)?,
            }
            taking = DONE.wait(taking).unwrap_or_else(PoisonError::into_inner);
        }
        taking.push((machine.clone(), bytes));
        Ok(Self { machine, bytes })
    }
}

impl Drop for Taking {
    fn drop(&mut self) {
        let mut taking = lock();
        let own = taking.iter().position(|(machine, bytes)| (machine, bytes) == (&self.machine, &self.bytes));
        if let Some(own) = own {
            taking.swap_remove(own);
        }
        drop(taking);
        DONE.notify_all();
    }
}

fn lock() -> MutexGuard<'static, Vec<(PathBuf, u64)>> {
    TAKING.lock().unwrap_or_else(PoisonError::into_inner)
}
