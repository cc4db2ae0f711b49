//! Recordings of allocations.

mod memory_profile;
