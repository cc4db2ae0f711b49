//! The line and what counts against it: guards take and release.
//!
//! A [`MemoryBudget`] is a [`Line`] over its account: a counter that never passes the line, and the list of
//! live allocations. Budgets that share their account share what is allocated, each under its own line.

mod account;
mod allocation;
mod allocation_info;
mod cached_headroom;
mod clock;
mod counter;
mod driver_rule;
mod entry;
mod gate;
mod headroom;
mod in_flight;
mod line;
mod memory_budget;
mod other_copies;
mod part;
mod pending;
mod promised;
mod record;
mod recording;
mod refusal;
mod refused_requests;
#[cfg(not(loom))]
mod registry;
mod resident;
mod shared;
mod shared_queue;
mod sharing;
mod system_budget;
mod turn;
mod uncharged;
mod waiting;
mod weighing;

pub use allocation::Allocation;
pub use allocation_info::AllocationInfo;
pub use driver_rule::DriverRule;
pub use gate::ClosedGate;
pub use headroom::{Headroom, HeadroomKind, HeadroomOptions, HeadroomTerm};
pub(crate) use in_flight::InFlight;
pub use line::{Line, MachineOptions, Term, TermKind};
pub use memory_budget::MemoryBudget;
pub use promised::Promised;
pub use record::{
    Event, EventKind, LabelTotals, Latest, MAX_CAPACITY, Origin, Record, RecordAlarm, RecordOptions, Refused,
};
pub use recording::Recording;
pub use refused_requests::{
    MAX_REFUSED_REQUESTS, RefusalCode, RefusalCount, RefusedRequest, RefusedRequests,
};
#[cfg(not(loom))]
pub use registry::{ACCOUNTS_VERSION, OtherCopies, ProcessAccounts, join};
pub use shared_queue::{SharedAnswer, SharedAsk, SharedHolder, SharedQueue, SharedTurn};
pub use sharing::{Crowded, Sharers, Unsettled, Unshared};
pub use system_budget::SystemOptions;
pub(crate) use uncharged::{Uncharged, Unseen, unseen_bytes};
pub(crate) use waiting::Wake;

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
