//! Opening a driver's library.

use std::{ffi::OsString, path::PathBuf};

use libloading::Library;

use crate::system::{SystemRoot, driver_libraries, library_fault};

/// Where a library is looked for when none is named: as the machine's report looks for it; wherever else the loader may
/// find it only where there is none, for what the loader finds is not looked at before.
pub(super) fn usual_libraries(name: &str) -> Vec<OsString> {
    let mut found = driver_libraries(&SystemRoot::default(), name);
    if found.is_empty() {
        found.push(name.into());
    }
    found.into_iter().map(PathBuf::into_os_string).collect()
}

/// The first that loads, or why none does.
pub(super) fn load_first(candidates: &[OsString]) -> Result<(OsString, Library), String> {
    let mut reasons = Vec::new();
    for name in candidates {
        let path = as_found(name);
        if let Some(fault) = library_fault(&path) {
            reasons.push(fault);
            continue;
        }
        // SAFETY: opening a library runs its initialisers; those of NVIDIA's drivers do no harm, and whoever names another
        // library answers for it.
        match unsafe { Library::new(&path) } {
            Ok(library) => return Ok((name.clone(), library)),
            Err(reason) => reasons.push(innermost(&reason)),
        }
    }
    reasons.dedup();
    Err(reasons.join("; "))
}

/// Where the loader would find a bare name, so that what it loads is what was looked at; the name as it is where nobody knows.
fn as_found(name: &OsString) -> PathBuf {
    let is_bare = !name.as_encoded_bytes().contains(&b'/');
    let found = name.to_str().filter(|_| is_bare).map(|name| driver_libraries(&SystemRoot::default(), name));
    found.and_then(|found| found.into_iter().next()).unwrap_or_else(|| PathBuf::from(name))
}

/// What the loader said; the layers above it only say that it did.
fn innermost(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), innermost)
}
