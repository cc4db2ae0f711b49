//! What this process has granted, in one place for every copy of this crate in it.
//!
//! npm installs a package twice when two others want different versions of it, and each copy's addon has statics of its
//! own. An addon therefore exports its [`ProcessAccounts`] under a name that holds their version, finds those of the copy
//! that was loaded first, and [joins](join) them. They are plain atomics in a layout that does not change within a version,
//! so copies built by different compilers understand each other. A program that uses this crate alone has its own.

use std::{
    fmt,
    sync::{
        OnceLock,
        atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering},
    },
    thread,
};

use super::{counter::Counter, pending::Pending};

/// The version of the layout of [`ProcessAccounts`]; it changes with it, and with what its fields mean.
pub const ACCOUNTS_VERSION: u32 = 1;

/// More accounts than there will ever be boards: the last one is shared by all beyond.
const ACCOUNT_COUNT: usize = 64;

/// The longest name of an account; of a longer one this many bytes count.
const NAME_BYTES: usize = 56;

/// What the budgets of one process over the machine it runs on share: what is promised of the machine's memory, and for
/// every board how much is allocated.
#[repr(C)]
pub struct ProcessAccounts {
    version: u32,
    size_bytes: u32,
    /// How many copies have joined.
    copy_count: AtomicU64,
    pub(super) pending: Pending,
    accounts: [Named; ACCOUNT_COUNT],
}

/// The count of one board, under its id.
#[repr(C)]
struct Named {
    state: AtomicU32,
    length: AtomicU32,
    name: [AtomicU8; NAME_BYTES],
    counter: Counter,
}

const FREE: u32 = 0;
const CLAIMED: u32 = 1;
const NAMED: u32 = 2;

/// Tells which other copies are in the process, each by its file.
pub type OtherCopies = fn() -> Vec<String>;

static OWN: ProcessAccounts = ProcessAccounts::new();

static JOINED: OnceLock<(&'static ProcessAccounts, OtherCopies)> = OnceLock::new();

/// Counts into those accounts from now on, which are another copy's or shared with others; `other_copies` says whose.
/// Whether it did: not once a budget of this machine was made, nor a second time, nor when their layout is another one.
/// Each copy joins once, the one whose accounts they are too.
#[must_use]
pub fn join(accounts: &'static ProcessAccounts, other_copies: OtherCopies) -> bool {
    let joined = accounts.is_understood() && JOINED.set((accounts, other_copies)).is_ok();
    accounts.copy_count.fetch_add(u64::from(joined), Ordering::Relaxed);
    joined
}

/// Whether another copy counts into the same accounts.
pub(super) fn is_shared() -> bool {
    process_accounts().copy_count.load(Ordering::Relaxed) > 1
}

/// The accounts that this process counts into.
pub(super) fn process_accounts() -> &'static ProcessAccounts {
    JOINED.get_or_init(|| (&OWN, Vec::new)).0
}

/// The files of the other copies.
pub(super) fn other_copies() -> Vec<String> {
    JOINED.get().map(|(_, other_copies)| other_copies()).unwrap_or_default()
}

impl Default for ProcessAccounts {
    fn default() -> Self {
        Self::new()
    }
}

impl ProcessAccounts {
    /// Accounts of which nothing is counted yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            version: ACCOUNTS_VERSION,
            size_bytes: size_of::<Self>() as u32,
            copy_count: AtomicU64::new(0),
            pending: Pending::new(),
            accounts: [const { Named::new() }; ACCOUNT_COUNT],
        }
    }

    /// Whether their layout is the one of this copy.
    #[must_use]
    pub fn is_understood(&self) -> bool {
        self.version == ACCOUNTS_VERSION && self.size_bytes as usize == size_of::<Self>()
    }

    /// The count under that name.
    pub(super) fn counter(&self, name: &str) -> &Counter {
        let name = name.as_bytes().get(..NAME_BYTES).unwrap_or(name.as_bytes());
        let [others @ .., last] = &self.accounts;
        others.iter().find(|account| account.is_of(name)).map_or(&last.counter, |account| &account.counter)
    }
}

impl fmt::Debug for ProcessAccounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessAccounts")
            .field("version", &self.version)
            .field("pending", &self.pending)
            .finish_non_exhaustive()
    }
}

impl Named {
    const fn new() -> Self {
        Self {
            state: AtomicU32::new(FREE),
            length: AtomicU32::new(0),
            name: [const { AtomicU8::new(0) }; NAME_BYTES],
            counter: Counter::new(),
        }
    }

    /// Whether it has that name, which it takes if it has none. Asked one after the other from the first on, so that no
    /// name is taken twice.
    fn is_of(&self, name: &[u8]) -> bool {
        if self.state.compare_exchange(FREE, CLAIMED, Ordering::Acquire, Ordering::Acquire).is_ok() {
            for (place, byte) in self.name.iter().zip(name) {
                place.store(*byte, Ordering::Relaxed);
            }
            self.length.store(name.len() as u32, Ordering::Relaxed);
            self.state.store(NAMED, Ordering::Release);
            return true;
        }
        while self.state.load(Ordering::Acquire) != NAMED {
            thread::yield_now(); // Another thread is writing its name.
        }
        let length = self.length.load(Ordering::Relaxed) as usize;
        length == name.len()
            && self.name.iter().zip(name).all(|(place, byte)| place.load(Ordering::Relaxed) == *byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ptr;

    #[test]
    fn a_name_has_one_count_whoever_asks_first() {
        let accounts = ProcessAccounts::new();
        let names: Vec<String> = (0..20).map(|number| format!("board {number}")).collect();
        let found: Vec<Vec<usize>> = thread::scope(|scope| {
            let look = || names.iter().map(|name| ptr::from_ref(accounts.counter(name)) as usize).collect();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(look)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(found.windows(2).all(|pair| pair[0] == pair[1]));
        let mut counts = found[0].clone();
        counts.sort_unstable();
        counts.dedup();
        assert_eq!(counts.len(), 20);
        assert!(!names.iter().any(|name| ptr::eq(accounts.counter(""), accounts.counter(name))));
    }

    #[test]
    fn beyond_the_last_all_share_and_none_is_lost() {
        let accounts = ProcessAccounts::new();
        for number in 0..100 {
            accounts.counter(&format!("board {number}")).try_take(1, 1000).unwrap();
        }
        let last = accounts.counter("one more");
        assert_eq!(last.allocated_bytes(), 100 - (ACCOUNT_COUNT as u64 - 1));
        assert!(ptr::eq(accounts.counter(&"x".repeat(200)), last));
    }

    #[test]
    fn another_layout_is_not_joined() {
        let other = ProcessAccounts { version: 2, ..ProcessAccounts::new() };
        let larger = ProcessAccounts { size_bytes: 1, ..ProcessAccounts::new() };
        assert!(!other.is_understood() && !larger.is_understood() && ProcessAccounts::new().is_understood());
    }
}
