//! The one way in which the addon locks: the core's.

pub use plimsoll::sync::lock;
