//! Whether the machine can give that much now. Drivers of shared memory do not ask: dma-heap takes what it is told to and
//! lets the kernel kill somebody for it.

use super::{DeviceUsage, Request};
use crate::{
    budget::{Headroom, HeadroomOptions, InFlight, Promised},
    error::{Error, Left, Result},
    system::{Machine, SystemRoot},
    units::{MAX_BYTES, format_bytes},
};

/// Where a back end reads what the machine has left, and how much of it must stay.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceContext {
    /// Whose signals are read: this machine's by default.
    pub root: SystemRoot,
    /// How headroom is worked out.
    pub headroom: HeadroomOptions,
}

/// Who pays for the memory of a back end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charge {
    /// The machine and every cgroup over the process, as for ordinary memory.
    Process,
    /// The machine alone: no cgroup counts it.
    Machine,
}

impl DeviceContext {
    /// Whether it is the machine that this process runs on.
    pub(super) fn is_of_this_machine(&self) -> bool {
        self.root == SystemRoot::default()
    }

    /// Checks a request against what the machine has left, before a driver is asked.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for zero bytes or more than [`MAX_BYTES`]; [`Error::InsufficientMemory`] beyond
    /// headroom, or beyond what the board's driver accepts at once; [`Error::Io`] when the machine's memory cannot be
    /// read.
    pub fn check_headroom(&self, request: &Request<'_>, charge: Charge) -> Result<()> {
        request.check_size()?;
        let bytes = request.bytes;
        let headroom = self.headroom(request.promised, charge)?;
        // Where the driver's rule is not known, the driver itself refuses.
        let largest_bytes = headroom.largest_allocation_bytes.unwrap_or(headroom.bytes);
        if bytes <= largest_bytes {
            return Ok(());
        }
        let binding_constraint = if bytes <= headroom.bytes {
            format!(
                "the driver takes at most {} at once of {}",
                format_bytes(largest_bytes),
                headroom.binding
            )
        } else {
            headroom.binding.to_string()
        };
        Err(request.refused(
            Left { available_bytes: headroom.bytes, largest_free_bytes: largest_bytes },
            binding_constraint,
            "Ask for less, in several slabs, or release something first",
        ))
    }

    /// Admits a request and takes it, so that no other thread is admitted for the same bytes in between. For memory that
    /// is all there once its driver has given it. Drivers work side by side; a request that fits only if others have not
    /// taken theirs yet waits for them.
    ///
    /// # Errors
    ///
    /// As [`check_headroom`](Self::check_headroom), and what `take` says.
    pub fn within_headroom<T>(
        &self,
        request: &Request<'_>,
        charge: Charge,
        take: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let _in_flight = InFlight::begin(&self.root, request.bytes, request.promised, |promised| {
            self.check_headroom(&Request { promised, ..*request }, charge)
        })?;
        take()
    }

    /// What to say when a driver found no memory for a request that was admitted, or was not to be.
    pub(super) fn exhausted(
        &self,
        request: &Request<'_>,
        charge: Charge,
        why: impl Into<String>,
        suggestion: &str,
    ) -> Error {
        let available_bytes = self.headroom(request.promised, charge).map_or(0, |headroom| headroom.bytes);
        request.refused(Left::below(available_bytes, request.bytes), why, suggestion)
    }

    /// The usage of a back end whose memory is the machine's RAM, with what the machine has left, as far as that is known.
    pub(super) fn with_room(&self, usage: DeviceUsage, charge: Charge) -> DeviceUsage {
        let Ok(headroom) = self.headroom(Promised::NOTHING, charge) else { return usage };
        DeviceUsage {
            total_bytes: Machine::memory_at(&self.root).ok().map(|memory| memory.total_bytes),
            free_bytes: Some(headroom.bytes),
            largest_free_bytes: headroom.largest_allocation_bytes,
            ..usage
        }
    }

    /// What the machine has left for memory that is charged like that.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the machine's memory cannot be read.
    pub fn headroom(&self, promised: Promised, charge: Charge) -> Result<Headroom> {
        let machine = match charge {
            Charge::Process => Machine::read_at(&self.root)?,
            Charge::Machine => Machine::of_memory(Machine::memory_at(&self.root)?),
        };
        Ok(Headroom::of(&machine, promised, &self.headroom))
    }
}

impl Request<'_> {
    /// That it is refused for want of memory.
    pub(super) fn refused(
        &self,
        left: Left,
        binding_constraint: impl Into<String>,
        suggestion: impl Into<String>,
    ) -> Error {
        Error::insufficient_memory(self.label, self.bytes, left, binding_constraint, suggestion)
    }

    /// Refuses sizes that no device has.
    pub(super) fn check_size(&self) -> Result<()> {
        if (1..=MAX_BYTES).contains(&self.bytes) {
            return Ok(());
        }
        Err(Error::invalid_argument("bytes", format!("1 to {MAX_BYTES}"), self.bytes.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::MIB;
    use std::{
        fs,
        path::Path,
        sync::{
            Arc, Mutex,
            mpsc::{Receiver, Sender, channel},
        },
        thread,
        time::Duration,
    };

    fn machine_with(available_bytes: u64) -> (tempfile::TempDir, DeviceContext) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("proc")).unwrap();
        write_available(folder.path(), available_bytes);
        let headroom = HeadroomOptions { floor_bytes: Some(256 * MIB), ..HeadroomOptions::default() };
        let context = DeviceContext { root: SystemRoot::at(folder.path()), headroom };
        (folder, context)
    }

    fn write_available(folder: &Path, available_bytes: u64) {
        let text =
            format!("MemTotal: 8388608 kB\nMemFree: 0 kB\nMemAvailable: {} kB\n", available_bytes / 1024);
        let (new, meminfo) = (folder.join("proc/meminfo.new"), folder.join("proc/meminfo"));
        fs::write(&new, text).unwrap();
        fs::rename(new, meminfo).unwrap();
    }

    #[test]
    fn what_is_there_beyond_the_floor_and_not_promised_is_admitted() {
        let (_folder, context) = machine_with(1024 * MIB);
        let request = Request { promised: Promised::granted(100 * MIB), ..Request::new(668 * MIB, "slab") };
        context.check_headroom(&request, Charge::Machine).unwrap();
        let more = Request { bytes: 668 * MIB + 1, ..request };
        let refusal = context.check_headroom(&more, Charge::Process).unwrap_err();
        assert_eq!(refusal.code(), "ERR_INSUFFICIENT_MEMORY");
        assert!(refusal.to_string().contains("floor of 256.00 MiB"), "{refusal}");
    }

    #[test]
    fn absurd_sizes_and_unreadable_machines_are_errors() {
        let (folder, context) = machine_with(1024 * MIB);
        for bytes in [0, MAX_BYTES + 1, u64::MAX] {
            let refusal = context.check_headroom(&Request::new(bytes, "slab"), Charge::Machine).unwrap_err();
            assert_eq!(refusal.code(), "ERR_INVALID_ARGUMENT");
        }
        fs::remove_file(folder.path().join("proc/meminfo")).unwrap();
        let refusal = context.check_headroom(&Request::new(1, "slab"), Charge::Machine).unwrap_err();
        assert!(refusal.to_string().contains("meminfo"), "{refusal}");
    }

    /// A kernel whose figures fall when memory has been taken.
    struct Shared {
        folder: tempfile::TempDir,
        context: DeviceContext,
        available_bytes: Mutex<u64>,
    }

    impl Shared {
        fn with(available_bytes: u64) -> Arc<Self> {
            let (folder, context) = machine_with(available_bytes);
            Arc::new(Self { folder, context, available_bytes: Mutex::new(available_bytes) })
        }

        fn give(&self, bytes: u64) {
            let mut available_bytes = self.available_bytes.lock().unwrap();
            *available_bytes -= bytes;
            write_available(self.folder.path(), *available_bytes);
        }

        fn room_bytes(&self) -> u64 {
            *self.available_bytes.lock().unwrap() - 256 * MIB
        }

        /// Takes in a thread of its own.
        fn take(
            self: &Arc<Self>,
            bytes: u64,
            driver: impl FnOnce(&Self) -> Result<()> + Send + 'static,
        ) -> thread::JoinHandle<Result<()>> {
            let kernel = self.clone();
            thread::spawn(move || {
                let request = Request::new(bytes, "slab");
                kernel.context.within_headroom(&request, Charge::Machine, || driver(&kernel))
            })
        }
    }

    /// A driver that says when it is asked, and gives when it is told to.
    fn slow_driver<T: Send + 'static>() -> (impl FnOnce() -> T, Receiver<()>, Sender<T>) {
        let ((asked, is_asked), (answer, answered)) = (channel(), channel());
        let driver = move || {
            asked.send(()).unwrap();
            answered.recv().unwrap()
        };
        (driver, is_asked, answer)
    }

    #[test]
    fn a_driver_that_takes_its_time_keeps_no_other_from_its_own() {
        let kernel = Shared::with(1024 * MIB);
        let (driver, is_asked, answer) = slow_driver();
        let slow = kernel.take(500 * MIB, move |_| driver());
        is_asked.recv().unwrap();
        let (done, is_done) = channel();
        let quick = kernel.take(268 * MIB, move |_| {
            done.send(()).unwrap();
            Ok(())
        });
        let came = is_done.recv_timeout(Duration::from_mins(1));
        answer.send(Ok(())).unwrap();
        slow.join().unwrap().unwrap();
        quick.join().unwrap().unwrap();
        assert!(came.is_ok(), "it waited for the other driver");
    }

    #[test]
    fn what_a_driver_is_taking_is_granted_to_no_other() {
        for outcome in ["taken", "failed", "panicked"] {
            let kernel = Shared::with(1024 * MIB);
            let (driver, is_asked, answer) = slow_driver();
            let first = kernel.take(500 * MIB, move |kernel| match driver() {
                "taken" => {
                    kernel.give(500 * MIB);
                    Ok(())
                }
                "failed" => Err(Error::Cancelled),
                _ => panic!("a test"),
            });
            is_asked.recv().unwrap();
            let (other, other_is_asked, other_answer) = slow_driver();
            let second = kernel.take(500 * MIB, move |_| {
                other();
                Ok(())
            });
            let refusal = kernel.take(800 * MIB, |_| Ok(())).join().unwrap().unwrap_err();
            assert_eq!(
                refusal.code(),
                "ERR_INSUFFICIENT_MEMORY",
                "more than there is, whoever else has done"
            );
            assert!(other_is_asked.try_recv().is_err(), "granted twice");
            answer.send(outcome).unwrap();
            let was_taken = first.join().is_ok_and(|taken| taken.is_ok());
            assert_eq!(was_taken, outcome == "taken");
            let _ = other_answer.send(());
            assert_eq!(second.join().unwrap().is_ok(), !was_taken, "{outcome}");
        }
    }

    #[test]
    fn takers_at_the_same_moment_never_take_more_than_there_is() {
        let kernel = Shared::with(1024 * MIB);
        let takers: Vec<_> = (1..=40_u64)
            .map(|number| {
                let bytes = number * 7 % 60 * MIB + MIB;
                kernel.take(bytes, move |kernel| {
                    thread::yield_now();
                    assert!(kernel.room_bytes() >= bytes, "granted twice");
                    kernel.give(bytes);
                    thread::yield_now();
                    Ok(())
                })
            })
            .collect();
        let smallest_refused = takers.into_iter().filter_map(|taker| match taker.join().unwrap() {
            Err(Error::InsufficientMemory { requested_bytes, .. }) => Some(requested_bytes),
            settled => settled.map(|()| None).unwrap(),
        });
        let smallest_refused = smallest_refused.min().unwrap();
        assert!(kernel.room_bytes() < smallest_refused, "what fits is not refused for what is counted twice");
    }
}
