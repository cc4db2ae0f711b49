//! Which parts of a file are cached.

use std::{fs::File, io, ops::Range};

use super::counts::{counted, expect_told, for_each_page, page_bytes, page_count, within};

/// Which parts of a range of an open file are cached, in order and none touching the next: whole pages, cut at the ends of the
/// range and of the file. Nothing of the file is read, so what is cached afterwards is what was cached before.
///
/// Where all of the range is cached, or nothing, one system call tells it. Made for windows of some MiB: a range of any size has
/// its answer, in as many parts as there are.
///
/// # Errors
///
/// As [`cached_pages`](super::cached_pages): of kind [`PermissionDenied`](io::ErrorKind::PermissionDenied) where the kernel does
/// not tell this process.
pub fn cached_runs(file: &File, range: Range<u64>) -> io::Result<Vec<Range<u64>>> {
    let Some(range) = within(file, range)? else { return Ok(Vec::new()) };
    let Some(counts) = counted(file, &range) else { return runs_by_pages(file, &range) };
    if counts.cached == 0 {
        return Ok(Vec::new());
    }
    if counts.cached >= page_count(&range) {
        return Ok(vec![range]);
    }
    match runs_by_pages(file, &range) {
        // All of it has come meanwhile, or this process is told so because it may not know: who is counted to asks by counting.
        Ok(runs) if runs == [range.clone()] => runs_by_halves(file, &range, counts.cached),
        Err(_) => runs_by_halves(file, &range, counts.cached),
        told => told,
    }
}

/// By one look at every page.
pub(super) fn runs_by_pages(file: &File, range: &Range<u64>) -> io::Result<Vec<Range<u64>>> {
    let mut runs = Vec::new();
    for_each_page(file, range, |page, is_cached| {
        if is_cached {
            append(&mut runs, page);
        }
    })?;
    expect_told(file, runs == [range.clone()])?;
    Ok(runs)
}

/// By counting in halves of halves, until a part is cached whole or not at all. `cached` is the count of all of it.
pub(super) fn runs_by_halves(file: &File, range: &Range<u64>, cached: u64) -> io::Result<Vec<Range<u64>>> {
    let mut runs = Vec::new();
    let mut left = vec![(range.clone(), cached)];
    while let Some((part, cached)) = left.pop() {
        let pages = page_count(&part);
        if cached == 0 {
            continue;
        }
        if cached >= pages {
            append(&mut runs, part);
            continue;
        }
        let middle = (part.start / page_bytes() + pages / 2) * page_bytes();
        let (low, high) = (part.start..middle, middle..part.end);
        let counts = counted(file, &low).ok_or_else(no_longer_counted)?;
        let in_low = counts.cached.min(cached);
        left.push((high, cached - in_low));
        left.push((low, in_low));
    }
    Ok(runs)
}

fn no_longer_counted() -> io::Error {
    io::Error::other("the kernel stopped telling what is cached; ask again")
}

/// Adds what follows the last run, as a part of it where they touch.
fn append(runs: &mut Vec<Range<u64>>, part: Range<u64>) {
    match runs.last_mut() {
        Some(last) if last.end == part.start => last.end = part.end,
        _ => runs.push(part),
    }
}
