//! Pools of real device memory: slabs from a back end, buffers out of slabs.
//!
//! ```text
//!   MemoryPool                  one lock over all that follows; no device is asked under it
//!     Map                       where everything lies: slabs with their free blocks, buffers with their places
//!       Held = Arc<Slab>        device memory, and the guard by which the budget counts it
//!            + SlabMap           which bytes of it are free
//!     PoolBuffer                a handle: its bytes may move, unless it is pinned
//!     Counters, scopes, trace   what happened
//! ```

mod buffer;
mod counters;
mod defragment;
mod entries;
mod hold;
mod inner;
mod layout;
mod map;
mod mapping;
mod options;
mod pin;
mod pool;
mod request;
mod rooms;
mod slab;
mod slabs;
mod state;
mod stats;
mod trace;

pub use buffer::{ExportedFd, PoolBuffer};
pub use counters::{PoolCounter, Scope};
pub use defragment::{DefragmentOptions, DefragmentReport, DefragmentRun, Move, MoveInProgress};
pub use mapping::{Access, Mapping};
pub use options::{BufferOptions, Placement, PoolOptions};
pub use pin::{Claim, Pin};
pub use pool::MemoryPool;
pub use request::{BufferRequest, Step};
pub use stats::{BlockInfo, BufferInfo, PoolStats, SlabInfo};
pub use trace::{TraceEvent, TraceKind, trace_lines};

use inner::{PoolInner, WHAT};
use state::PoolState;
use trace::Trace;
