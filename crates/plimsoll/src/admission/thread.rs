//! The one thread that serves the queues of a process while anybody waits in them.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex as StdMutex, Weak},
    thread,
    time::Duration,
};

use super::{clock::now_ns, queue::Queue, signal};
use crate::{
    error::{Error, Result},
    sync::lock,
};

/// How long a change can go unnoticed that nobody tells of: the machine's headroom rises without a release of ours.
const LONGEST_WAIT: Duration = Duration::from_millis(50);

/// Those in which somebody waits, while the thread runs.
static SERVED: StdMutex<Option<Vec<Weak<Queue>>>> = StdMutex::new(None);

/// Has a queue served in which somebody waits.
pub(super) fn serve(queue: &Arc<Queue>) -> Result<()> {
    let mut served = lock(&SERVED);
    let queues = match &mut *served {
        Some(queues) => queues,
        none => {
            start()?;
            none.insert(Vec::new())
        }
    };
    if !queues.iter().any(|known| known.as_ptr() == Arc::as_ptr(queue)) {
        queues.push(Arc::downgrade(queue));
    }
    drop(served);
    signal::wake();
    Ok(())
}

fn start() -> Result<()> {
    let io = |source| Error::Io {
        path: PathBuf::from("the thread of the queue"),
        tensor: None,
        offset_bytes: None,
        call: "clone",
        source,
    };
    let builder = thread::Builder::new().name("plimsoll-queue".to_owned()).stack_size(256 << 10);
    builder.spawn(run).map(drop).map_err(io)
}

fn run() {
    while let Some(queues) = waited_for() {
        let next = queues.iter().filter_map(|queue| queue.run(now_ns())).min();
        drop(queues);
        // A deadline of this moment is over with the next look, not before.
        let least = Duration::from_micros(100);
        signal::wait(next.map_or(LONGEST_WAIT, |next| next.clamp(least, LONGEST_WAIT)));
    }
}

/// The queues that have to be looked after; `None`, and the thread must end, when there are none. Whoever comes to wait says so
/// after that can be seen, under the same lock.
fn waited_for() -> Option<Vec<Arc<Queue>>> {
    let mut served = lock(&SERVED);
    let queues = served.as_mut()?;
    let live: Vec<_> = queues.iter().filter_map(Weak::upgrade).filter(|queue| queue.is_served()).collect();
    *queues = live.iter().map(Arc::downgrade).collect();
    if live.is_empty() {
        *served = None;
        return None;
    }
    Some(live)
}
