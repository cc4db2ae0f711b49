//! The best configuration of a model that a machine has memory for.
//!
//! A configuration is a choice on five axes: slots, the type of the cache, the micro-batch, whether the file is mapped, and the
//! context. The others have few values, the best first; the context is searched in steps of 256 tokens, as caches grow by those.
//! [`fit`] goes through the choices in the order of the [priorities](FitOptions::priorities) and finds the longest context for
//! each, until no later one can be better.
//!
//! What counts is the peak of the estimate, and that no allocation is larger than the largest that can be had; with limits of
//! devices, what each of them holds. Servers' caches whose sizes were not asked for count nothing: what is left is told, for
//! them to be set to.

mod choices;
mod configuration;
mod limits;
mod options;
mod outcome;
mod search;
mod trades;

pub use configuration::Configuration;
pub use limits::FitLimits;
pub use options::{FitAxis, FitOptions};
pub use outcome::Fit;
pub use search::fit;
pub use trades::Trade;
