//! What of a machine's memory is promised and has not been taken yet.
//!
//! ```text
//!   budgets      grant bytes that their holders take later           Account, Uncharged -> Pending    granted_bytes
//!   others       the same in other processes                      Sharers                          elsewhere_bytes
//!   drivers      take bytes that the kernel does not show at once    InFlight                         in_flight_bytes
//! ```
//!
//! Whoever asks what a machine can give is told a [`Promised`], and headroom leaves room for all of it. It is put together
//! here and in [`InFlight`](super::InFlight) alone.

use super::uncharged::process_pending_bytes;

/// What of a machine's memory is promised and has not been taken yet, by who promised it.
///
/// ```
/// use plimsoll::budget::Promised;
/// let promised = Promised::granted(100).and(Promised::granted(20));
/// assert_eq!((promised.bytes(), promised.less(30).bytes()), (120, 90));
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Promised {
    /// Granted by budgets and not yet taken, in bytes.
    pub granted_bytes: u64,
    /// The same by other processes that [share](super::Sharers) a ledger with a budget of this one, in bytes.
    pub elsewhere_bytes: u64,
    /// In flight: drivers are taking it at this moment, and the kernel's figures may not show it yet; in bytes.
    pub in_flight_bytes: u64,
}

impl Promised {
    /// Nothing is promised.
    pub const NOTHING: Self = Self { granted_bytes: 0, elsewhere_bytes: 0, in_flight_bytes: 0 };

    /// So much was granted, and nothing is in flight.
    #[must_use]
    pub const fn granted(bytes: u64) -> Self {
        Self { granted_bytes: bytes, ..Self::NOTHING }
    }

    /// What is promised of the memory of the machine that this process runs on, by whichever budget of it.
    pub(crate) fn by_process() -> Self {
        Self::granted(process_pending_bytes())
    }

    /// All of it, in bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.granted_bytes.saturating_add(self.elsewhere_bytes).saturating_add(self.in_flight_bytes)
    }

    /// Both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            granted_bytes: self.granted_bytes.saturating_add(other.granted_bytes),
            elsewhere_bytes: self.elsewhere_bytes.saturating_add(other.elsewhere_bytes),
            in_flight_bytes: self.in_flight_bytes.saturating_add(other.in_flight_bytes),
        }
    }

    /// What others were granted, where `own_bytes` of it are the asker's.
    #[must_use]
    pub const fn less(self, own_bytes: u64) -> Self {
        Self { granted_bytes: self.granted_bytes.saturating_sub(own_bytes), ..self }
    }

    /// The same while other processes have promised so much.
    pub(super) const fn with_elsewhere(self, bytes: u64) -> Self {
        self.and(Self { elsewhere_bytes: bytes, ..Self::NOTHING })
    }

    /// The same while so much is in flight.
    pub(super) const fn with_in_flight(self, bytes: u64) -> Self {
        self.and(Self { in_flight_bytes: bytes, ..Self::NOTHING })
    }
}
