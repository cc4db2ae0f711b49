//! The monitor.

mod memory_monitor;
