//! One request on its way to its grant.

use std::sync::Arc;

use super::{
    clock::now_ns,
    delivery::Delivery,
    grant::Grant,
    queue::{Granted, Queue},
};
use crate::error::{Error, Result};

/// A request that waits, or has come to something. Dropping it gives the request up, or releases what was granted: whichever
/// moment that is, nothing is left behind.
#[derive(Debug)]
#[must_use = "dropping it gives the request up"]
pub struct Ticket {
    delivery: Arc<Delivery<Result<Granted>>>,
    canceller: TicketCanceller,
}

/// Gives a request up from elsewhere.
#[derive(Debug, Clone)]
pub struct TicketCanceller {
    queue: Arc<Queue>,
    tie: u64,
}

impl Ticket {
    pub(super) fn new(queue: Arc<Queue>, tie: u64, delivery: Arc<Delivery<Result<Granted>>>) -> Self {
        Self { delivery, canceller: TicketCanceller { queue, tie } }
    }

    /// What it has come to; `None` while it waits, and once that was taken.
    #[must_use]
    pub fn try_take(&self) -> Option<Result<Grant>> {
        self.delivery.take().map(|outcome| outcome.map(Grant::new))
    }

    /// Waits for what it comes to.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`], [`Error::NeverFits`] when the line was lowered meanwhile, and [`Error::Cancelled`].
    pub fn wait(self) -> Result<Grant> {
        let outcome = self.delivery.wait();
        outcome.unwrap_or(Err(Error::Released { what: "the ticket" })).map(Grant::new)
    }

    /// What gives it up from another thread.
    #[must_use]
    pub fn canceller(&self) -> TicketCanceller {
        self.canceller.clone()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.canceller.cancel();
    }
}

impl TicketCanceller {
    /// Gives the request up: whoever waits for it gets [`Error::Cancelled`]. Whether it still waited; a grant that was made
    /// before stays its owner's.
    #[allow(clippy::must_use_candidate)] // Most callers do not mind.
    pub fn cancel(&self) -> bool {
        self.cancel_at(now_ns())
    }

    pub(super) fn cancel_at(&self, now_ns: u64) -> bool {
        self.queue.cancel(self.tie, now_ns)
    }
}
