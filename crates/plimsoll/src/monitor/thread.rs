//! The one thread that samples for every monitor of the process.

use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io::Write,
    os::{fd::OwnedFd, unix::fs::OpenOptionsExt},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, Weak},
    thread,
    time::Duration,
};

use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll},
    fs::OFlags,
    io::{Errno, read, write},
};

use super::watch::Watch;
use crate::{
    error::{Error, Result},
    sync::lock,
    system::{Sampler, SystemRoot},
};

static HUB: Mutex<Hub> = Mutex::new(Hub { watches: Vec::new(), waker: None });

/// Who is watched for, and the running thread's waker.
struct Hub {
    watches: Vec<Weak<Watch>>,
    waker: Option<Arc<OwnedFd>>,
}

fn hub() -> MutexGuard<'static, Hub> {
    lock(&HUB)
}

/// Takes a monitor on, and starts the thread if it does not run.
pub(super) fn watch(watch: &Arc<Watch>) -> Result<()> {
    let mut hub = hub();
    let runs = hub.waker.is_some();
    if !runs {
        hub.waker = Some(start().map_err(|source| Error::Io {
            path: PathBuf::from("the monitor's thread"),
            tensor: None,
            offset_bytes: None,
            call: "clone",
            source,
        })?);
    }
    hub.watches.push(Arc::downgrade(watch));
    drop(hub);
    // A thread that has just been started samples at once by itself.
    if runs {
        wake();
    }
    Ok(())
}

/// Lets the thread look at once: a monitor came or went, or has other limits.
pub(super) fn wake() {
    if let Some(waker) = &hub().waker {
        // It only fails when the waker has woken more often than a 64-bit counter counts.
        let _ = write(waker, &1_u64.to_ne_bytes());
    }
}

fn start() -> std::io::Result<Arc<OwnedFd>> {
    let waker = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
    let waiting = Arc::clone(&waker);
    // Reading small files and judging them takes little stack.
    thread::Builder::new()
        .name("plimsoll-monitor".to_owned())
        .stack_size(256 << 10)
        .spawn(move || run(&waiting))?;
    Ok(waker)
}

fn run(waker: &OwnedFd) {
    let mut samplers = HashMap::new();
    let mut stall = None;
    let mut stalled = false;
    let mut wants_trigger = true;
    while let Some(watches) = open_watches() {
        if wants_trigger {
            let made = stall_trigger();
            // A process that has no descriptor left now may have one the next time.
            wants_trigger = made.as_ref().is_err_and(is_short_of_descriptors);
            stall = made.ok();
        }
        let next = sample(&watches, &mut samplers, stalled);
        drop(watches);
        stalled = wait(waker, &mut stall, next.unwrap_or(Duration::from_secs(1)));
    }
}

/// Reads each root once for all who watch it, and says when to look again. Files of roots that nobody watches any
/// longer are closed.
fn sample(
    watches: &[Arc<Watch>],
    samplers: &mut HashMap<SystemRoot, Sampler>,
    stalled: bool,
) -> Option<Duration> {
    samplers.retain(|root, _| watches.iter().any(|watch| watch.root() == root));
    for root in watches.iter().map(|watch| watch.root()) {
        if !samplers.contains_key(root) {
            samplers.insert(root.clone(), Sampler::new(root.clone()));
        }
    }
    let next = samplers.iter_mut().flat_map(|(root, sampler)| {
        let stalled = stalled && root.is_this_machine();
        let over = watches.iter().filter(move |watch| watch.root() == root);
        let is_close = stalled || over.clone().any(|watch| watch.is_close());
        let signals = Arc::new(if is_close { sampler.read() } else { sampler.read_often() });
        over.map(move |watch| watch.judge(&signals, stalled))
    });
    next.min()
}

/// The monitors that are still open; `None`, and the thread must end, when there are none.
fn open_watches() -> Option<Vec<Arc<Watch>>> {
    let mut hub = hub();
    let open = |watch: &Weak<Watch>| watch.upgrade().filter(|watch| !watch.is_closed());
    let watches: Vec<_> = hub.watches.iter().filter_map(open).collect();
    hub.watches = watches.iter().map(Arc::downgrade).collect();
    if watches.is_empty() {
        hub.waker = None;
        return None;
    }
    Some(watches)
}

/// Asks the kernel to wake the thread when tasks stood still for 150 ms within 2 s for want of memory; fails where it
/// does not know how or does not let this user. Source: the kernel's `accounting/psi.rst`.
fn stall_trigger() -> std::io::Result<File> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let mut file =
        OpenOptions::new().read(true).write(true).custom_flags(flags).open("/proc/pressure/memory")?;
    // Two seconds is the only window that needs no privilege.
    file.write_all(b"some 150000 2000000\0")?;
    Ok(file)
}

fn is_short_of_descriptors(error: &std::io::Error) -> bool {
    [Errno::MFILE, Errno::NFILE].iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// Waits for the waker, for a stall, or for the time to pass; whether it was a stall.
fn wait(waker: &OwnedFd, stall: &mut Option<File>, at_most: Duration) -> bool {
    let timeout =
        Timespec { tv_sec: at_most.as_secs().cast_signed(), tv_nsec: i64::from(at_most.subsec_nanos()) };
    let mut fds = vec![PollFd::new(waker, PollFlags::IN)];
    fds.extend(stall.iter().map(|file| PollFd::new(file, PollFlags::PRI)));
    // An error is a signal that came in between, which is as good a reason to look as any.
    let _ = poll(&mut fds, Some(&timeout));
    let seen = |index: usize| fds.get(index).map_or(PollFlags::empty(), PollFd::revents);
    let (woken, trigger) = (seen(0), seen(1));
    drop(fds);
    if woken.contains(PollFlags::IN) {
        let _ = read(waker, &mut [0; 8]);
    }
    if trigger.contains(PollFlags::ERR) {
        // A trigger that broke would end every wait at once.
        *stall = None;
    }
    trigger.contains(PollFlags::PRI)
}
