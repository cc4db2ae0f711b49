//! The memory of Rockchip's NPU, from its own driver. Opened by name only: programs that run models import dma-bufs, which
//! dma-heap gives without any of what follows.
//!
//! ```text
//!   RknpuBackend, its slabs and imports      any thread
//!     -> Owner: a queue                      one thread: two callers at once have crashed boards
//!       -> Npu: handles, kernel addresses    under a lock between processes, for the same reason
//!         -> /dev/dri/renderD*, by the driver's name
//!   Window, one for each domain              what fits where, known before the driver is asked
//! ```

mod backend;
mod domains;
// Tests try these calls on a driver that is at hand; nothing outside this crate should depend on them.
#[doc(hidden)]
pub mod drm;
mod errno;
mod import;
mod info;
mod lock;
mod memory;
mod npu;
mod owner;
mod uapi;
mod window;

pub use backend::RknpuBackend;
pub use domains::{DOMAIN_COUNT, DomainId, plan};
pub use import::RknpuImport;
pub use info::RknpuInfo;
pub use window::{Alignment, WINDOW_BYTES, Window};
