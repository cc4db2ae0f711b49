//! The handle of a monitor.

use std::sync::Arc;

use super::{
    level::{Level, LevelLimits},
    sample::Sample,
    thread,
    watch::{MonitorOptions, Notice, Watch},
};
use crate::{budget::MemoryBudget, error::Result};

/// A monitor that runs. Dropping or [closing](Self::close) it ends it.
#[derive(Debug)]
pub struct Monitor(Arc<Watch>);

impl Monitor {
    /// Starts to watch over a budget, and tells `observer` of every sample on the monitor's thread.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) for invalid limits;
    /// [`Error::Io`](crate::Error::Io) when no thread can be started.
    pub fn start(
        budget: MemoryBudget,
        options: MonitorOptions,
        observer: impl Fn(Notice) + Send + Sync + 'static,
    ) -> Result<Self> {
        options.limits.checked()?;
        let watch = Arc::new(Watch::new(budget, options, Box::new(observer)));
        thread::watch(&watch)?;
        Ok(Self(watch))
    }

    /// The level now.
    #[must_use]
    pub fn level(&self) -> Level {
        self.0.level()
    }

    /// The last sample; none before the first, and while the machine's memory or a limit cannot be read.
    #[must_use]
    pub fn latest(&self) -> Option<Arc<Sample>> {
        self.0.latest()
    }

    /// The samples that are kept, oldest first.
    #[must_use]
    pub fn history(&self) -> Vec<Arc<Sample>> {
        self.0.history()
    }

    /// Sets other limits. The next sample is judged by them.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) for invalid limits.
    pub fn set_limits(&self, limits: LevelLimits) -> Result<()> {
        self.0.set_limits(limits.checked()?);
        thread::wake();
        Ok(())
    }

    /// Ends it: the budget grants again, and the thread ends if this was the last. A notice that is being told while
    /// it is closed may still arrive. A second call does nothing.
    pub fn close(&self) {
        if self.0.close() {
            thread::wake();
        }
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.close();
    }
}
