//! From a file to memory: tensors streamed in chunks, through a few staging buffers, at the consumer's pace.
//!
//! ```text
//!   ModelFile        a checked GGUF layout over a file that must not change
//!     -> Selection   which tensors, as what, in chunks of what size
//!     -> Reader      reads in large units, converts, one unit after the other
//!     -> UnitStream  one thread that stays a few units ahead of whoever asks
//! ```

mod destination;
mod device;
mod load_note;
mod model;
mod output;
mod reader;
mod selection;
mod spare;
mod stream;

pub use destination::{Destination, SliceDestination};
pub use device::BufferDestination;
pub use model::{ModelFile, OpenOptions};
pub use output::Output;
pub use reader::{Reader, Unit};
pub use selection::{Chunk, Selection, StreamOptions};
pub use stream::{StreamedUnit, UnitStream};
