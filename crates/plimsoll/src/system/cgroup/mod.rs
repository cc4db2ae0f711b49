//! The control groups over this process: every ancestor that limits memory, in versions 1 and 2 and in hybrids.
//!
//! [`group`] says what a group is, [`places`] where the groups over a process lie, [`files`] reads one, [`reader`] all.

mod files;
mod group;
mod places;
mod reader;
#[cfg(test)]
mod tests;

#[cfg(fuzzing)]
pub(super) use files::parse_all;
pub use group::{Cgroup, CgroupVersion, Cgroups};
pub(super) use reader::CgroupReader;
