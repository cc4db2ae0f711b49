//! One account per board for the whole process, worker threads included. A process is in one memory cgroup, so
//! that is one per board and cgroup. Other copies of this crate have accounts of their own over the same counter.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, Weak},
};

#[cfg(not(loom))]
use super::registry::process_accounts;
use super::{
    account::Account, counter::Counter, part::Part, pending::Pending, resident::Resident, sharing::Sharers,
};
use crate::sync::lock;
use crate::system::resident_bytes;

/// A board by its id, where `None` is the machine as it is; and who else grants its memory, by where they are known.
type Key = (Option<&'static str>, usize);

static SHARED: LazyLock<Mutex<HashMap<Key, Weak<Account>>>> = LazyLock::new(Mutex::default);

/// The account of that board. It lives as long as one budget or one guard over them does.
pub(super) fn account(board: Option<&'static str>, sharing: Option<Arc<dyn Sharers>>) -> Arc<Account> {
    // While the account lives, so do they: nobody else is at that address.
    let key = (board, sharing.as_ref().map_or(0, |sharing| Arc::as_ptr(sharing).addr()));
    let mut shared = lock(&SHARED);
    if let Some(account) = shared.get(&key).and_then(Weak::upgrade) {
        return account;
    }
    let resident = Resident::measured_by(resident_bytes);
    let is_shared = sharing.is_some();
    // What another copy of this crate grants by the same ledger is counted there.
    let counter = if is_shared { Part::Own(Counter::default()) } else { counter(board.unwrap_or_default()) };
    let account = Arc::new(Account::of(counter, pending(), resident).shared_by(sharing));
    shared.insert(key, Arc::downgrade(&account));
    account
}

/// An account that counts alone over the memory of this machine: what it has granted is promised of it all the same.
pub(super) fn isolated_account(sharing: Option<Arc<dyn Sharers>>) -> Arc<Account> {
    let resident = Resident::measured_by(resident_bytes);
    Arc::new(Account::of(Part::Own(Counter::default()), pending(), resident).shared_by(sharing))
}

#[cfg(not(loom))]
fn counter(name: &str) -> Part<Counter> {
    Part::Process(process_accounts().counter(name))
}

#[cfg(not(loom))]
fn pending() -> Part<Pending> {
    Part::Process(&process_accounts().pending)
}

#[cfg(loom)]
fn counter(_name: &str) -> Part<Counter> {
    Part::Own(Counter::default())
}

#[cfg(loom)]
fn pending() -> Part<Pending> {
    Part::Own(Pending::new())
}
