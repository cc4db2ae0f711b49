//! Whether the machine can give what a budget's line would grant.

use std::time::Instant;

use super::{
    account::Account,
    cached_headroom::{CachedHeadroom, EverGranted},
    clock::nanoseconds,
    headroom::{Headroom, HeadroomOptions},
    sharing::{Sharers, Unshared},
};
use crate::{
    sync::lock,
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

/// What a request wants for.
#[derive(Debug)]
pub(super) enum Lacking {
    /// Room beside others who share a ledger.
    Shared(Unshared),
    /// Room below the line, of which so many bytes are left.
    Line(u64),
    /// Memory of the machine.
    Machine(Shortfall),
    /// Its turn: of what is free so many bytes are kept for somebody else.
    Turn(u64),
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

    /// Grants `bytes` if the machine can give them: they are pending in `account` then. No two threads of this process
    /// are granted the same bytes.
    pub(super) fn grant(&self, bytes: u64, account: &Account, now: Instant) -> Result<(), Shortfall> {
        let resident = |is_first| account.resident_bytes(bytes, is_first, now);
        if self.cached.try_grant(bytes, granted(account), nanoseconds(now), resident) {
            return Ok(());
        }
        self.grant_anew(bytes, account, now)
    }

    #[cold]
    fn grant_anew(&self, bytes: u64, account: &Account, now: Instant) -> Result<(), Shortfall> {
        // Held until the bytes are granted, so that whoever measures next counts them.
        let mut reader = lock(&self.reader);
        let resident = |is_first| account.resident_bytes(bytes, is_first, now);
        // Another thread may have taken one while this one waited.
        if self.cached.try_grant(bytes, granted(account), nanoseconds(now), resident) {
            return Ok(());
        }
        let mut found = self.measure(&mut reader, account)?;
        for _ in 1..MOST_READINGS {
            match self.cached.grant(bytes, granted(account), resident) {
                // It was there: others have been granted something since, and may have released it again.
                Err(_) if bytes <= found.0.bytes => {
                    // Without a reading they wait for this one.
                    self.cached.forget(granted(account).bytes());
                    found = self.measure(&mut reader, account)?;
                }
                settled => return settled.map_err(|left| found.shortfall(left)),
            }
        }
        self.cached.grant(bytes, granted(account), resident).map_err(|left| found.shortfall(left))
    }

    /// Whether `bytes` would be granted now.
    pub(super) fn has(&self, bytes: u64, account: &Account) -> bool {
        let is_served = self.cached.serves(bytes, granted(account), nanoseconds(Instant::now()));
        is_served || self.shortfall(account).is_ok_and(|found| bytes <= found.available_bytes)
    }

    /// What the machine can give, measured anew: the last reading does not know what was released since. 0 where it cannot
    /// be read.
    pub(super) fn available_bytes(&self, account: &Account) -> u64 {
        self.shortfall(account).map_or(0, |found| found.available_bytes)
    }

    /// What a reading taken for it finds.
    pub(super) fn shortfall(&self, account: &Account) -> Result<Shortfall, Shortfall> {
        let mut reader = lock(&self.reader);
        let found = self.measure(&mut reader, account)?;
        Ok(found.shortfall(found.0.bytes))
    }

    /// Takes a reading, by which others are granted from then on.
    fn measure(&self, reader: &mut MachineReader, account: &Account) -> Result<Found, Shortfall> {
        // In this order: what is granted, or granted and taken, while the machine is read counts twice until the next
        // reading. The other way round it would not count at all.
        let granted_bytes = granted(account).bytes();
        let promised = account.promised();
        let machine = reader.read().map_err(|unavailable| {
            self.cached.forget(granted(account).bytes());
            Shortfall::unreadable(&unavailable)
        })?;
        let headroom = Headroom::of(&machine, promised, &self.options);
        self.cached.renew(granted_bytes, headroom.bytes, nanoseconds(Instant::now()));
        Ok(Found(headroom))
    }
}

/// What was granted of the machine's memory, here and by others who share a ledger.
fn granted(account: &Account) -> EverGranted<'_> {
    let elsewhere_bytes = account.sharing().map_or(0, Sharers::granted_bytes);
    EverGranted { pending: account.pending(), elsewhere_bytes }
}

impl Found {
    /// What to say when no more than `available_bytes` of it are left.
    fn shortfall(&self, available_bytes: u64) -> Shortfall {
        let Self(headroom) = self;
        let constraint = format!(
            "{}, and {} of it are granted and not yet taken",
            headroom.binding,
            format_bytes(headroom.promised.bytes())
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

    static ACCOUNT: OnceLock<Account> = OnceLock::new();

    /// How often others will still grant and release something.
    static CHURN: AtomicU64 = AtomicU64::new(0);

    /// As another thread does between a reading and the grant that is weighed by it.
    #[allow(clippy::unnecessary_wraps)] // As whoever measures.
    fn churn() -> Option<u64> {
        let goes_on = |left: u64| left.checked_sub(1);
        if CHURN.fetch_update(Ordering::Relaxed, Ordering::Relaxed, goes_on).is_ok() {
            ACCOUNT.get().unwrap().pending().grant(400 * MIB);
        }
        Some(0)
    }

    #[test]
    fn what_is_there_is_granted_whatever_others_grant_and_release_meanwhile() {
        let tree = tempfile::tempdir().unwrap();
        fs::create_dir(tree.path().join("proc")).unwrap();
        fs::write(tree.path().join("proc/meminfo"), "MemTotal: 8388608 kB\nMemAvailable: 1048576 kB\n")
            .unwrap();
        let account = ACCOUNT.get_or_init(|| Account::measured_by(churn));
        let weighing = Weighing::new(SystemRoot::at(tree.path()), HeadroomOptions::default());
        CHURN.store(3, Ordering::Relaxed);
        assert!(weighing.grant(500 * MIB, account, Instant::now()).is_ok(), "it is there");
        assert_eq!(CHURN.load(Ordering::Relaxed), 0);
        account.ungrant(500 * MIB);
        // Without end it is refused some time, and what is not there at once.
        CHURN.store(1000, Ordering::Relaxed);
        assert!(weighing.grant(500 * MIB, account, Instant::now()).is_err());
        let before = CHURN.load(Ordering::Relaxed);
        assert!(before > 900, "{before}");
        assert!(weighing.grant(GIB, account, Instant::now()).is_err());
        assert_eq!(CHURN.load(Ordering::Relaxed), before);
    }
}
