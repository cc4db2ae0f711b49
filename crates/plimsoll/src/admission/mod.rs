//! Whose turn it is: callers wait for bytes of a budget, in order, and holders are asked to make room for them.
//!
//! ```text
//!   Admission   submit ------> Queue   one for all budgets that share an account
//!      |                         |  a release, a gate, a timer of 50 ms: run()
//!      v                         v
//!   Ticket <----- Delivery <-- Granted   the whole list in one atomic step, or nothing
//!      |                         |
//!      v                         v
//!   Grant: stretch, shrink, touch, ready, release      holders: asked to release, or to shrink their stretch
//! ```
//!
//! The decisions are [`policy`]'s, which knows numbers alone. The queue adds the lock, the thread the clock.

mod clock;
mod delivery;
mod grant;
mod holding;
mod line_up;
mod make_room;
mod options;
pub mod policy;
mod queue;
mod signal;
#[cfg(not(loom))]
mod thread;
mod ticket;

pub use grant::Grant;
pub use line_up::{Admission, QueueWatch};
pub use make_room::{MakeRoom, MakeRoomKind, OnMakeRoom};
pub use options::{AcquireOptions, GrantRequest, MAX_WAITING};
pub use queue::{OnChange, WaitingInfo};
pub use ticket::{Ticket, TicketCanceller};

#[cfg(all(test, loom))]
mod model;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;
