//! The headers of a model on a server, fetched by range requests. What is asked for next, and what an answer means, is
//! decided here; whoever has a client for HTTP makes the requests.
//!
//! ```text
//!   RemoteModel      which of the model's files is fetched, and the model in the end
//!     -> RemoteHeader   one file: what to ask for, whether the answer fits, whether the header is there
//!          -> ServerAnswer       what a server says before its body
//! ```

mod answer;
mod header;
mod model;
mod words;

pub use answer::ServerAnswer;
pub use header::{HeaderStep, RemoteHeader};
pub use model::RemoteModel;
