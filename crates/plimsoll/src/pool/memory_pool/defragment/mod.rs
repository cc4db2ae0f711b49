//! Moving buffers together, a few at a time, so that whole slabs become empty and go back.
//!
//! ```text
//!   DefragmentRun               within bounds, with a report
//!     Pass                      the moves, one after the other
//!       Plan                    which moves would mend something, on a copy of the map
//!     Move, MoveInProgress           one buffer's
//! ```

mod moves;
mod pass;
mod plan;
mod run;

pub use moves::{Move, MoveInProgress};
pub use run::{DefragmentOptions, DefragmentReport, DefragmentRun};
