//! What happened before the end: the last minute of samples, holders, grants and waits in a small file, for whoever looks after
//! a kill or a power cut.
//!
//! Off until asked. A [`BlackBox`] writes a block of 4 KiB a second, and at once when something happens that cannot wait. A
//! block is written whole and forced to the disk, so that a cut spoils at most the one being written. [`read_black_box`] takes
//! all that are whole, whatever the rest looks like.
//!
//! ```no_run
//! use plimsoll::{MemoryBudget, blackbox::{BlackBox, BlackBoxOptions, read_black_box}, units::GIB};
//!
//! let budget = MemoryBudget::new(8 * GIB, 0)?;
//! let black_box = BlackBox::start(budget.clone(), BlackBoxOptions::default())?;
//! let weights = budget.allocate(6 * GIB, "weights")?;
//! // ... and after the board has gone down in the middle of it:
//! let reading = read_black_box(black_box.path())?;
//! for line in reading.told().map(|run| run.words()).unwrap_or_default() {
//!     println!("{line}");
//! }
//! # Ok::<(), plimsoll::Error>(())
//! ```

mod block;
mod codec;
mod composer;
mod handle;
mod happening;
mod moment;
mod moment_codec;
mod options;
mod place;
mod reading;
mod ring;
mod run;
mod thread;
mod verdict;
mod words;

#[cfg(test)]
mod handle_tests;
#[cfg(test)]
mod tests;

pub use block::{BLOCK_BYTES, MomentKind};
pub use handle::{BlackBox, BlackBoxStats};
pub use happening::{Happening, HappeningKind};
pub use moment::{BlackBoxMoment, HolderMoment, LabelMoment, MachineMoment};
pub use options::{BlackBoxOptions, HolderSource, TroubleObserver};
pub use place::default_black_box_path;
pub use reading::{BlackBoxReading, read_black_box};
pub use ring::{PART_BLOCK_COUNT, PART_COUNT};
pub use run::BlackBoxRun;
pub use verdict::Verdict;

/// The reader without a file, for the fuzzer alone.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing {
    /// What whoever reads those bytes as a black box has to do.
    pub fn read(bytes: &[u8]) {
        for run in super::reading::runs_of(bytes, &|_| false).0 {
            std::hint::black_box(run.words());
        }
    }
}
