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
        let found = self.measure(&mut reader, books)?;
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
            self.cached.forget();
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
