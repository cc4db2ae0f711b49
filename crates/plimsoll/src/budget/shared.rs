//! One set of books per board for the whole process, worker threads included. A process is in one memory cgroup, so
//! that is one per board and cgroup.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, PoisonError, Weak},
};

use super::books::Books;
use crate::system::resident_bytes;

/// A board by its id; `None` is the machine as it is.
type Key = Option<&'static str>;

static SHARED: LazyLock<Mutex<HashMap<Key, Weak<Books>>>> = LazyLock::new(Mutex::default);

/// The books of that board. They live as long as one budget or one guard over them does.
pub(super) fn books(key: Key) -> Arc<Books> {
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(books) = shared.get(&key).and_then(Weak::upgrade) {
        return books;
    }
    let books = Arc::new(Books::measured_by(resident_bytes));
    shared.insert(key, Arc::downgrade(&books));
    books
}
