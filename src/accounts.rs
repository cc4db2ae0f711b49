//! One account for every copy of this package in the process.
//!
//! npm installs a package twice when two others want different versions of it. Node.js loads each addon with names of its
//! own, so they cannot see each other by the linker. Each therefore exports its accounts under a name that holds their
//! version, and all use those of the copy that the linker loaded first: every copy finds the same one by itself, whichever
//! asks first and on whatever thread.

// Other copies are found by the dynamic linker, and what is found is memory of theirs.
#![allow(unsafe_code)]

use std::{
    collections::BTreeSet,
    ffi::{CStr, CString, c_int, c_void},
    ptr,
    sync::{Mutex, Once},
};

use napi::bindgen_prelude::Object;
use napi_derive::napi;
use plimsoll::{
    budget::{ACCOUNTS_VERSION, ProcessAccounts, join},
    ledger::reserve_descriptor,
};

use crate::sync::lock;

/// The accounts of this copy. What they are is `ProcessAccounts`; the name holds their version.
#[unsafe(export_name = "plimsoll_process_accounts_v1")]
pub static ACCOUNTS: ProcessAccounts = ProcessAccounts::new();

const NAME: &CStr = c"plimsoll_process_accounts_v1";
const _: () = assert!(ACCOUNTS_VERSION == 1, "the exported name holds the version");

/// A copy of this package, this one included.
struct FoundCopy {
    path: CString,
    /// None of a version whose accounts this one does not know.
    accounts: Option<&'static ProcessAccounts>,
}

/// Joins the accounts of the process as the addon is loaded, before anything can be counted.
#[napi(module_exports)]
#[allow(clippy::unnecessary_wraps)] // The macro wants it.
pub fn join_process(_exports: Object<'_>) -> napi::Result<()> {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Before anything takes memory by a descriptor.
        reserve_descriptor();
        let first = copies().find_map(|copy| copy.accounts).unwrap_or(&ACCOUNTS);
        // One that calls itself of this version and has another layout: better alone than wrong.
        let _ = join(first, other_copies) || join(&ACCOUNTS, other_copies);
    });
    Ok(())
}

/// The files of the other copies that count into the same accounts.
fn other_copies() -> Vec<String> {
    let is_other = |accounts: &ProcessAccounts| !ptr::eq(accounts, &raw const ACCOUNTS);
    copies().filter(|copy| copy.accounts.is_some_and(is_other)).map(|copy| copy.file()).collect()
}

/// The files of copies that count by themselves, each once in a process.
#[napi(catch_unwind)]
#[must_use]
pub fn unreported_copies() -> Vec<String> {
    static REPORTED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut reported = lock(&REPORTED);
    let apart = copies().filter(|copy| !copy.accounts.is_some_and(ProcessAccounts::is_understood));
    apart.map(|copy| copy.file()).filter(|file| reported.insert(file.clone())).collect()
}

impl FoundCopy {
    fn file(&self) -> String {
        self.path.to_string_lossy().into_owned()
    }
}

/// Every copy in the process in the order in which they were loaded. What is found stays loaded: the linker is reported never to
/// unload it, since its accounts may be in use.
fn copies() -> impl Iterator<Item = FoundCopy> {
    let mut paths: Vec<CString> = Vec::new();
    // SAFETY: the callback takes what the second argument is, for as long as the call lasts.
    unsafe { libc::dl_iterate_phdr(Some(note_addon), (&raw mut paths).cast()) };
    paths.into_iter().filter_map(|path| {
        const FLAGS: c_int = libc::RTLD_LAZY | libc::RTLD_NOLOAD | libc::RTLD_NODELETE;
        // SAFETY: the path is a string. With `RTLD_NOLOAD` nothing is loaded and no code of it runs.
        let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_LAZY | libc::RTLD_NOLOAD) };
        if handle.is_null() {
            return None; // Unloaded meanwhile, with the worker that had loaded it.
        }
        // SAFETY: the handle is open, and the name a string.
        let symbol = unsafe { libc::dlsym(handle, NAME.as_ptr()) };
        if !symbol.is_null() {
            // SAFETY: as above. The handle is not needed: the flag stays with what it was set on.
            unsafe { libc::dlopen(path.as_ptr(), FLAGS) };
        }
        // SAFETY: the handle is open, and not used any more.
        unsafe { libc::dlclose(handle) };
        // SAFETY: under that name lies a `ProcessAccounts` of this version or one that says that it is another, in a file that
        // is never unloaded; it is made of atomics, which all copies may use at the same time.
        let accounts = unsafe { symbol.cast::<ProcessAccounts>().as_ref() };
        (accounts.is_some() || is_addon_of_ours(&path)).then_some(FoundCopy { path, accounts })
    })
}

/// Whether the file is called as this package's addons are: `plimsoll.linux-arm64-gnu.node`.
fn is_addon_of_ours(path: &CStr) -> bool {
    let name = path.to_bytes().rsplit(|byte| *byte == b'/').next();
    name.is_some_and(|name| name.starts_with(b"plimsoll."))
}

/// Notes the path of every addon among what is loaded.
unsafe extern "C" fn note_addon(info: *mut libc::dl_phdr_info, _size: usize, paths: *mut c_void) -> c_int {
    // SAFETY: the linker passes what is loaded, and the name of it as a string or null.
    let name = unsafe { (*info).dlpi_name };
    if !name.is_null() {
        // SAFETY: as above; it is copied while the linker holds it.
        let path = unsafe { CStr::from_ptr(name) };
        if path.to_bytes().ends_with(b".node") {
            // SAFETY: it is what `copies` has passed, which nobody else has meanwhile.
            unsafe { &mut *paths.cast::<Vec<CString>>() }.push(path.to_owned());
        }
    }
    0
}
