//! What of a file lies in the page cache, and giving it back: without root, and without reading a byte of the file.
//!
//! ```text
//!   calls     cachestat(2) and mincore(2), which no safe interface has
//!     -> counts    how much of a range is cached, and who told it
//!       -> runs    which parts of a range are cached
//!     -> dropping  a range, or all of a file, given back
//! ```
//!
//! The kernel tells of a file's pages only to who owns the file or may write to it; to others cachestat(2) is refused and
//! mincore(2) calls every page cached. Then nothing is told here, with the reason, and never a wrong number. Dropping needs no
//! more than that the file may be read. Pages that some process has mapped stay, and so do those of a file that lies in memory
//! (tmpfs), which are no cache but the file itself.

mod calls;
mod counts;
mod dropping;
mod runs;
#[cfg(test)]
mod tests;

pub use counts::{CachedPages, PageCache, PageCacheSource, cached_pages, page_cache};
pub use dropping::{DroppedPages, drop_page_cache, drop_range};
pub use runs::cached_runs;
