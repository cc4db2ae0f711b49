//! From a file to memory: tensors streamed in chunks, through a few staging buffers, at the consumer's pace.
//!
//! ```text
//!   ModelFile        a checked layout over files that must not change
//!     -> Selection   which tensors, as what, in chunks of what size
//!     -> Intake      reads a unit at a time: by reads, out of a map, or past the page cache
//!     -> Worker      one thread's share: read, check, convert
//!     -> UnitStream  threads that stay a few units ahead of whoever asks
//! ```

mod check;
mod destination;
mod device;
mod digest;
mod drop_behind;
mod file_map;
mod intake;
mod io_mode;
mod layout;
mod load_note;
mod model;
mod output;
mod pieces;
mod plan;
mod reader;
mod remote;
mod room;
mod selection;
mod share;
mod source;
mod spare;
mod stream;
mod stream_state;
mod work;

pub use destination::{Destination, SliceDestination, WindowApart};
pub use device::BufferDestination;
pub use digest::TensorDigest;
pub use io_mode::{IoMode, Reading};
pub use layout::{ModelGap, ModelLayout, ModelTensor};
pub use model::{ModelFile, OpenOptions};
pub use output::Output;
pub use pieces::Pieces;
pub use reader::Reader;
pub use remote::{HeaderStep, RemoteHeader, RemoteModel, ServerAnswer};
pub use room::expect_room;
pub use selection::{Chunk, MAX_THREADS, Selection, StreamOptions};
pub use stream::UnitStream;
pub use stream_state::StreamedUnit;
pub use work::Unit;
