//! What of a file lies in the page cache, for JavaScript.

use std::path::Path;

use napi::bindgen_prelude::AsyncTask;
use napi_derive::napi;
use plimsoll::system::{
    DroppedPages as CoreDropped, PageCache as CorePageCache, PageCacheSource, drop_page_cache as core_drop,
    page_cache as core_page_cache,
};

use crate::{
    mirror::{Cross, is_union_of, mirror},
    work::Work,
};

// An optional kind: its union is written at the fields, and checked here.
const _: () = assert!(is_union_of("'cachestat' | 'mincore'", PageCacheSource::NAMES));

mirror! {
    /// What of a file is cached, or why that is not told.
    pub struct PageCache of CorePageCache {
        /// The file.
        pub path: String,
        /// Its size, in bytes.
        pub size_bytes: f64,
        /// What of it is cached, in bytes: whole pages, but no more than the file has. Absent where it is not told.
        pub cached_bytes: Option<f64>,
        /// Of that, not yet written to the disk, in bytes; absent where it is not told.
        pub dirty_bytes: Option<f64>,
        /// Of that, being written, in bytes; absent where it is not told.
        pub writeback_bytes: Option<f64>,
        /// Whether the file lies in memory (tmpfs): its pages are no cache but the file itself, and are never dropped.
        pub in_memory: bool,
        /// The system call that told it.
        #[napi(ts_type = "'cachestat' | 'mincore'")]
        pub source: Option<String> = source.cross(),
        /// Why it is not told, where it is not.
        pub reason: Option<String>,
    }
    reading { source }
}

mirror! {
    /// What dropping a file's pages has brought.
    pub struct DroppedPages of CoreDropped {
        /// The file.
        pub path: String,
        /// Its size, in bytes.
        pub size_bytes: f64,
        /// What of it was cached before, in bytes; absent where it is not told.
        pub cached_before_bytes: Option<f64>,
        /// What came back, in bytes; absent where it is not told.
        pub dropped_bytes: Option<f64>,
        /// What is cached still, in bytes: pages that a process has mapped, or that were read again meanwhile. Absent where it is
        /// not told.
        pub cached_bytes: Option<f64>,
        /// Whether the file lies in memory (tmpfs), where nothing can be dropped.
        pub in_memory: bool,
        /// The system call that told it.
        #[napi(ts_type = "'cachestat' | 'mincore'")]
        pub source: Option<String> = source.cross(),
        /// Why it is not told how much came back, where it is not. The pages were dropped all the same.
        pub reason: Option<String>,
    }
    reading { source }
}

/// How much of a file is cached.
#[napi(catch_unwind, ts_return_type = "Promise<PageCache>")]
pub fn page_cache(path: String) -> AsyncTask<Work<CorePageCache, PageCache>> {
    Work::promise(move || core_page_cache(Path::new(&path)), |_, told| Ok(told.into()))
}

/// Drops what of a file is cached and not mapped.
#[napi(catch_unwind, ts_return_type = "Promise<DroppedPages>")]
pub fn drop_page_cache(path: String) -> AsyncTask<Work<CoreDropped, DroppedPages>> {
    Work::promise(move || core_drop(Path::new(&path)), |_, dropped| Ok(dropped.into()))
}
