//! One thread for all that is done to a device: its driver must not be called from two at once.

use std::{
    fmt,
    sync::mpsc::{Receiver, Sender, channel, sync_channel},
    thread::{Builder, JoinHandle},
};

use super::drm::DRIVER;
use crate::error::{Error, Result};

type Job<D> = Box<dyn FnOnce(&mut D) + Send>;

/// The thread that a device lives on. Dropping it ends the device, and the thread after it.
pub(super) struct Owner<D> {
    jobs: Option<Sender<Job<D>>>,
    thread: Option<JoinHandle<()>>,
}

impl<D: 'static> Owner<D> {
    /// Starts the thread, which opens the device and waits for jobs.
    ///
    /// # Errors
    ///
    /// What `open` says; [`Error::Device`] when there can be no further thread.
    pub(super) fn start(open: impl FnOnce() -> Result<D> + Send + 'static) -> Result<Self> {
        let (jobs, queue) = channel();
        let (opened, outcome) = sync_channel(1);
        let work = move || match open() {
            Ok(device) => {
                // Whoever started it may be gone by now; then the queue is at its end too.
                let _ = opened.send(Ok(()));
                run(device, queue);
            }
            Err(error) => drop(opened.send(Err(error))),
        };
        let thread =
            Builder::new().name("plimsoll-rknpu".to_owned()).stack_size(256 << 10).spawn(work).map_err(
                |source| {
                    Error::device(DRIVER, source.raw_os_error(), "clone", "no further thread can be had")
                },
            )?;
        outcome.recv().map_err(|_| gone()).flatten()?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Does something to the device, after all that was asked before, and waits for the answer.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] when the thread is no more.
    pub(super) fn call<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut D) -> T + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = sync_channel(1);
        let job: Job<D> = Box::new(move |device| drop(answer.send(job(device))));
        let queue = self.jobs.as_ref().ok_or_else(gone)?;
        queue.send(job).map_err(|_| gone())?;
        answered.recv().map_err(|_| gone())
    }
}

fn run<D>(mut device: D, queue: Receiver<Job<D>>) {
    for job in queue {
        job(&mut device);
    }
}

fn gone() -> Error {
    Error::internal("the thread that owns the NPU has ended")
}

impl<D> Drop for Owner<D> {
    /// Waits for the device to be closed, so that it can be opened again at once.
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // It fails only when the thread has panicked, which ended the device as well.
            let _ = thread.join();
        }
    }
}

impl<D> fmt::Debug for Owner<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Owner").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::{Arc, Mutex},
        thread,
    };

    #[test]
    fn every_job_runs_on_the_one_thread_in_the_order_asked() {
        let owner = Arc::new(Owner::start(|| Ok((thread::current().id(), Vec::new()))).unwrap());
        let askers: Vec<_> = (0..4_u32)
            .map(|asker| {
                let owner = owner.clone();
                thread::spawn(move || {
                    for turn in 0..100_u32 {
                        let at_home = owner.call(move |(home, done)| {
                            done.push((asker, turn));
                            *home == thread::current().id()
                        });
                        assert!(at_home.unwrap());
                    }
                })
            })
            .collect();
        for asker in askers {
            asker.join().unwrap();
        }
        let done = owner.call(|(_, done)| done.clone()).unwrap();
        assert_eq!(done.len(), 400);
        for asker in 0..4 {
            assert!(done.iter().filter(|(who, _)| *who == asker).is_sorted());
        }
    }

    #[test]
    fn the_device_has_ended_when_its_owner_is_dropped() {
        struct Device(Arc<Mutex<Vec<&'static str>>>);
        impl Drop for Device {
            fn drop(&mut self) {
                self.0.lock().unwrap().push("closed");
            }
        }
        let log = Arc::new(Mutex::new(Vec::new()));
        let device = Device(log.clone());
        let owner = Owner::start(move || Ok(device)).unwrap();
        owner.call(|device| device.0.lock().unwrap().push("used")).unwrap();
        drop(owner);
        assert_eq!(*log.lock().unwrap(), ["used", "closed"]);
    }

    #[test]
    fn what_fails_to_open_is_told_and_a_panic_is_an_error() {
        let refused = Owner::<()>::start(|| Err(Error::Cancelled)).unwrap_err();
        assert!(matches!(refused, Error::Cancelled));
        let owner = Owner::start(|| Ok(())).unwrap();
        assert!(owner.call(|()| panic!("a test")).is_err());
        assert_eq!(owner.call(|()| ()).unwrap_err().code(), "ERR_INTERNAL");
    }
}
