//! Watches the memory and tells of trouble before the kernel acts.
//!
//! Off until asked. However many monitors there are, one thread samples for all of them; it ends with the last.

mod handle;
mod level;
mod metric;
mod sample;
mod thread;
mod updates;
mod watch;

pub use handle::Monitor;
pub use level::{Level, LevelLimits};
pub use metric::{Metric, MetricDefinition, MetricKind, MetricMerge, metric_catalogue};
pub use sample::Sample;
pub use updates::Updates;
pub use watch::{MonitorOptions, Notice};
