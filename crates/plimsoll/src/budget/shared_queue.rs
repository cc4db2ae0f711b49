//! The queue that several processes have in common: what a room in which callers wait asks of whoever knows the others.

use std::fmt;

/// A request that waits for its turn, as other processes see it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SharedTurn {
    /// What it asks for, in bytes.
    pub bytes: u64,
    /// Its priority; higher comes first.
    pub priority: i32,
    /// Since when it waits, in nanoseconds since the board started; among equals the earlier comes first.
    pub since_ns: u64,
    /// What those who come after it must leave of what is free, in bytes.
    pub kept_bytes: u64,
    /// Of one of another process: whether it goes before a request of this one that is its equal in all else.
    pub goes_first: bool,
    /// How many of the same process wait, this one included.
    pub count: u32,
    /// Whether it is in nobody's way in other processes, and only shown there.
    pub stands_back: bool,
}

/// What another process could give back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SharedHolder {
    /// Which process, by its slot.
    pub slot: usize,
    /// The lowest priority of what could go.
    pub priority: i32,
    /// How long that has not been used, in nanoseconds.
    pub idle_ns: u64,
    /// How much could go, in bytes.
    pub revocable_bytes: u64,
}

/// What a process is asked to give back, for somebody of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SharedAsk {
    /// Tells one request from the next.
    pub id: u64,
    /// How much, in bytes.
    pub bytes: u64,
    /// The priority of who needs it.
    pub priority: i32,
    /// Until when, in nanoseconds since the board started.
    pub until_ns: u64,
}

/// What has become of what another process was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SharedAnswer {
    /// It has not answered yet.
    Stands,
    /// It has given what it was asked for, or has not got so much any more; or nobody is there any longer.
    Over,
    /// It will not.
    Declined,
}

/// The queue of several processes. Each publishes the request of its own that is next, and what it could give back. By default
/// it is that of one process alone. A process may have several queues, by numbers of their own: one request of all of them is
/// shown at a time.
pub trait SharedQueue: fmt::Debug + Send + Sync {
    /// Publishes the request of this process that is next, and its label; `None` where none waits. To be repeated at least
    /// every half a second: of one that is silent longer nobody keeps anything, since its process may be stopped.
    fn wait(&self, _queue: usize, _next: Option<SharedTurn>, _label: &str) {}

    /// The request of the other processes that is next, if any waits.
    fn turn_elsewhere(&self) -> Option<SharedTurn> {
        None
    }

    /// What those who ask out of turn must leave for requests of other processes, in bytes.
    fn kept_bytes(&self) -> u64 {
        0
    }

    /// Publishes what this process could give back: the lowest priority of it, how much in bytes, and when it was last used.
    fn offer(&self, _queue: usize, _priority: i32, _revocable_bytes: u64, _used_at_ns: u64) {}

    /// What the other processes could give back.
    fn holders_elsewhere(&self) -> Vec<SharedHolder> {
        Vec::new()
    }

    /// Asks another process to give something back, and returns the id of what was asked. `None` where it was not: while
    /// somebody else who waits asks it, or where it is gone.
    fn ask(&self, _slot: usize, _ask: SharedAsk) -> Option<u64> {
        None
    }

    /// What has become of what that process was asked under that id.
    fn answer_of(&self, _slot: usize, _id: u64) -> SharedAnswer {
        SharedAnswer::Over
    }

    /// What that process was asked under that id is needed no longer.
    fn withdraw(&self, _slot: usize, _id: u64) {}

    /// What that queue of this process is asked to give back, if it is.
    fn asked(&self, _queue: usize) -> Option<SharedAsk> {
        None
    }

    /// Says what has become of what this process was asked under that id, so that it is waited for no longer and others can
    /// ask it.
    fn answer(&self, _id: u64, _answer: SharedAnswer) {}

    /// Says that this process loads what the key names. Whether nobody else does, so that it may.
    fn begin_load(&self, _key: &str) -> bool {
        true
    }

    /// What the key names is loaded, or is not going to be.
    fn end_load(&self, _key: &str) {}
}
