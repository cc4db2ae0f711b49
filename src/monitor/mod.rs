//! The monitor.

mod memory_monitor;
mod metric;
