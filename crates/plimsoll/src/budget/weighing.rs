//! Whether the machine can give what a budget's line would grant.

use std::{
    sync::{LazyLock, PoisonError},
    time::Instant,
};

use super::{
    books::Books,
    cached_headroom::CachedHeadroom,
    headroom::{Headroom, HeadroomOptions},
};
use crate::{
    system::{MachineReader, SystemRoot, Unavailable},
    units::format_bytes,
};

/// How many readings a request is weighed by before it is refused what each of them has found.
const MOST_READINGS: usize = 8;

/// Measures the machine for every grant: by a reading that is young and has plenty left, else by one of its own.
#[derive(Debug)]
pub(super) struct Weighing {
    options: HeadroomOptions,
    cached: CachedHeadroom,
    /// Who holds it takes a reading; its files stay open.
    reader: std::sync::Mutex<MachineReader>,
}

/// Why the machine cannot give that much.
#[derive(Debug)]
pub(super) struct Shortfall {
    /// What it can give, in bytes.
    pub(super) available_bytes: u64,
    /// What keeps it from giving more, in words.
    pub(super) constraint: String,
    /// Whether nobody knows, because it could not be read.
    pub(super) is_unreadable: bool,
}

/// What one reading found.
struct Found(Headroom);

impl Weighing {
    pub(super) fn new(root: SystemRoot, options: HeadroomOptions) -> Self {
        Self {
            options,
            cached: CachedHeadroom::new(),
            reader: std::sync::Mutex::new(MachineReader::new(root)),
        }
    }

    /// Grants `bytes` if the machine can give them: they are pending in `books` then. No two threads of this process
    /// are granted the same bytes.
    pub(super) fn grant(&self, bytes: u64, books: &Books, now: Instant) -> Result<(), Shortfall> {
        let resident = |is_first| books.resident_bytes(bytes, is_first, now);
        if self.cached.try_grant(bytes, books.pending(), nanoseconds(now), resident) {
            return Ok(());
        }
        self.grant_anew(bytes, books, now)
    }

    #[cold]
    fn grant_anew(&self, bytes: u64, books: &Books, now: Instant) -> Result<(), Shortfall> {
        // Held until the bytes are granted, so that whoever measures next counts them.
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let resident = |is_first| books.resident_bytes(bytes, is_first, now);
        // Another thread may have taken one while this one waited.
        if self.cached.try_grant(bytes, books.pending(), nanoseconds(now), resident) {
            return Ok(());
        }
        let mut found = self.measure(&mut reader, books)?;
        for _ in 1..MOST_READINGS {
            match self.cached.grant(bytes, books.pending(), resident) {
                // It was there: others have been granted something since, and may have released it again.
                Err(_) if bytes <= found.0.bytes => {
                    // Without a reading they wait for this one.
                    self.cached.forget(books.pending().granted_bytes());
                    found = self.measure(&mut reader, books)?;
                }
                settled => return settled.map_err(|left| found.shortfall(left)),
            }
        }
        self.cached.grant(bytes, books.pending(), resident).map_err(|left| found.shortfall(left))
    }

    /// Whether `bytes` would be granted now.
    pub(super) fn has(&self, bytes: u64, books: &Books) -> bool {
        let is_served = self.cached.serves(bytes, books.pending(), nanoseconds(Instant::now()));
        is_served || self.shortfall(books).is_ok_and(|found| bytes <= found.available_bytes)
    }

    /// What the machine can give, measured anew: the last reading does not know what was released since. 0 where it cannot
    /// be read.
    pub(super) fn available_bytes(&self, books: &Books) -> u64 {
        self.shortfall(books).map_or(0, |found| found.available_bytes)
    }

    /// What a reading taken for it finds.
    pub(super) fn shortfall(&self, books: &Books) -> Result<Shortfall, Shortfall> {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let found = self.measure(&mut reader, books)?;
        Ok(found.shortfall(found.0.bytes))
    }

    /// Takes a reading, by which others are granted from then on.
    fn measure(&self, reader: &mut MachineReader, books: &Books) -> Result<Found, Shortfall> {
        let pending = books.pending();
        // In this order: what is granted, or granted and taken, while the machine is read counts twice until the next
        // reading. The other way round it would not count at all.
        let granted_bytes = pending.granted_bytes();
        let pending_bytes = books.pending_bytes();
        let machine = reader.read().map_err(|unavailable| {
            self.cached.forget(pending.granted_bytes());
            Shortfall::unreadable(&unavailable)
        })?;
        let headroom = Headroom::of(&machine, pending_bytes, &self.options);
        self.cached.renew(granted_bytes, headroom.bytes, nanoseconds(Instant::now()));
        Ok(Found(headroom))
    }
}

impl Found {
    /// What to say when no more than `available_bytes` of it are left.
    fn shortfall(&self, available_bytes: u64) -> Shortfall {
        let Self(headroom) = self;
        let constraint = format!(
            "{}, and {} of it are granted and not yet taken",
            headroom.binding,
            format_bytes(headroom.pending_bytes)
        );
        Shortfall { available_bytes, constraint, is_unreadable: false }
    }
}

impl Shortfall {
    fn unreadable(unavailable: &Unavailable) -> Self {
        let constraint = format!("nobody knows what the machine can give: {unavailable}");
        Self { available_bytes: 0, constraint, is_unreadable: true }
    }

    /// What can be done about it.
    pub(super) fn suggestion(&self) -> &'static str {
        if self.is_unreadable {
            "Make that file readable, or make the budget with `headroom: false`, which grants by the line alone"
        } else {
            "Ask for less, release something first, or end another program that uses this memory"
        }
    }
}

/// Nanoseconds since some moment in the life of this process.
pub(super) fn nanoseconds(now: Instant) -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    now.saturating_duration_since(*START).as_nanos() as u64
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;
    use crate::units::{GIB, MIB};
    use std::{
        fs,
        sync::{
            OnceLock,
            atomic::{AtomicU64, Ordering},
        },
    };

    static BOOKS: OnceLock<Books> = OnceLock::new();

    /// How often others will still grant and release something.
    static CHURN: AtomicU64 = AtomicU64::new(0);

    /// As another thread does between a reading and the grant that is weighed by it.
    #[allow(clippy::unnecessary_wraps)] // As whoever measures.
    fn churn() -> Option<u64> {
        let goes_on = |left: u64| left.checked_sub(1);
        if CHURN.fetch_update(Ordering::Relaxed, Ordering::Relaxed, goes_on).is_ok() {
            BOOKS.get().unwrap().pending().grant(400 * MIB);
        }
        Some(0)
    }

    #[test]
    fn what_is_there_is_granted_whatever_others_grant_and_release_meanwhile() {
        let tree = tempfile::tempdir().unwrap();
        fs::create_dir(tree.path().join("proc")).unwrap();
        fs::write(tree.path().join("proc/meminfo"), "MemTotal: 8388608 kB\nMemAvailable: 1048576 kB\n")
            .unwrap();
        let books = BOOKS.get_or_init(|| Books::measured_by(churn));
        let weighing = Weighing::new(SystemRoot::at(tree.path()), HeadroomOptions::default());
        CHURN.store(3, Ordering::Relaxed);
        assert!(weighing.grant(500 * MIB, books, Instant::now()).is_ok(), "it is there");
        assert_eq!(CHURN.load(Ordering::Relaxed), 0);
        books.ungrant(500 * MIB);
        // Without end it is refused some time, and what is not there at once.
        CHURN.store(1000, Ordering::Relaxed);
        assert!(weighing.grant(500 * MIB, books, Instant::now()).is_err());
        let before = CHURN.load(Ordering::Relaxed);
        assert!(before > 900, "{before}");
        assert!(weighing.grant(GIB, books, Instant::now()).is_err());
        assert_eq!(CHURN.load(Ordering::Relaxed), before);
    }
}
