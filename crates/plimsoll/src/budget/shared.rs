//! One set of books per board and cgroup for the whole process, worker threads included.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, PoisonError, Weak},
};

use super::books::Books;

#[derive(PartialEq, Eq, Hash)]
struct Key {
    board: Option<&'static str>,
    cgroup: Option<String>,
}

static SHARED: LazyLock<Mutex<HashMap<Key, Weak<Books>>>> = LazyLock::new(Mutex::default);

/// The books of that board (by id; `None` for a plain machine) and cgroup. They live as long as one budget or
/// one guard over them does.
pub(super) fn books(board: Option<&'static str>, cgroup: Option<&str>) -> Arc<Books> {
    let key = Key { board, cgroup: cgroup.map(str::to_owned) };
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(books) = shared.get(&key).and_then(Weak::upgrade) {
        return books;
    }
    let books = Arc::default();
    shared.insert(key, Arc::downgrade(&books));
    books
}
