//! What parsing costs: memory, counted by an allocator, and time where somebody asks for it.

// Only an allocator can see allocations, and `GlobalAlloc` is unsafe to implement; this one forwards to the
// system's.
#![allow(unsafe_code)]
#![allow(dead_code, reason = "each test binary uses its share")]
#![allow(clippy::expect_used, reason = "a test may panic; its helpers fail with it")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    env,
    time::Duration,
};

struct Counting;

// Each test measures on its own thread, where the parser does all its work. A block freed on another thread than it
// was taken on would count there; the tests hand none over.
thread_local! {
    static LIVE: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

fn grow(bytes: usize) {
    let live = LIVE.get().wrapping_add(bytes);
    LIVE.set(live);
    PEAK.set(PEAK.get().max(live));
}

fn shrink(bytes: usize) {
    LIVE.set(LIVE.get().wrapping_sub(bytes));
}

// SAFETY: every call is passed on to the system's allocator with what it was given.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        shrink(layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    // A moved block counts with both its places, although large ones are remapped rather than copied.
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        grow(size);
        shrink(layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

pub const MIB: usize = 1 << 20;

/// What is live on this thread, in bytes.
pub fn live_bytes() -> usize {
    LIVE.get()
}

/// The most that was live at once while `work` ran, over what was live before.
pub fn peak_of<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let before = LIVE.get();
    PEAK.set(before);
    let result = work();
    (PEAK.get() - before, result)
}

/// Runs `work`, which takes less memory than that. Where `GGUF_FILE_MS` says how many milliseconds, the median of five runs
/// takes no longer; the README of the attacks has the command.
#[track_caller]
pub fn bounded<T>(limit_bytes: usize, work: impl Fn() -> T) -> T {
    let (peak, result) = peak_of(&work);
    assert!(peak < limit_bytes, "{peak} bytes of memory, and {limit_bytes} are too many");
    if let Some(limit) = limit() {
        let median = median_of_five(&work);
        assert!(median < limit, "{median:?} is longer than {limit:?}");
    }
    result
}

fn limit() -> Option<Duration> {
    let limit = env::var("GGUF_FILE_MS").ok()?;
    Some(Duration::from_millis(limit.parse().expect("GGUF_FILE_MS is a number of milliseconds")))
}

fn median_of_five<T>(work: impl Fn() -> T) -> Duration {
    let mut times = [(); 5].map(|()| time_of(&work));
    times.sort_unstable();
    let [_, _, median, _, _] = times;
    median
}

/// How long `work` takes, without the time to drop what it makes: of the processor, for other programs may want it, too.
pub fn time_of<T>(work: impl Fn() -> T) -> Duration {
    let start = now();
    let result = work();
    let time = now().saturating_sub(start);
    drop(result);
    time
}

#[cfg(target_os = "linux")]
fn now() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::from_secs(time.tv_sec.cast_unsigned()) + Duration::from_nanos(time.tv_nsec.cast_unsigned())
}

#[cfg(not(target_os = "linux"))]
fn now() -> Duration {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed()
}
