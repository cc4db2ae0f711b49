//! The number under every budget: bytes allocated, and the most there ever were.

use crate::sync::{AtomicU64, Ordering};

/// Counts bytes taken and released. Taking is one compare-and-swap, releasing one subtraction.
///
/// Relaxed order suffices: the counter guards no other memory, and read-modify-write operations on one atomic
/// form a single order in which no sum passes the line.
#[derive(Debug)]
#[repr(C)] // Another copy of this crate may count into it.
pub(crate) struct Counter {
    allocated_bytes: AtomicU64,
    peak_bytes: AtomicU64,
}

// Derived `Default` is not there under loom.
impl Default for Counter {
    fn default() -> Self {
        Self { allocated_bytes: AtomicU64::new(0), peak_bytes: AtomicU64::new(0) }
    }
}

impl Counter {
    #[cfg(not(loom))]
    pub(crate) const fn new() -> Self {
        Self { allocated_bytes: AtomicU64::new(0), peak_bytes: AtomicU64::new(0) }
    }

    /// Forgets the peak of those who came before, if nothing is allocated.
    pub(crate) fn begin(&self) {
        if self.allocated_bytes() == 0 {
            self.peak_bytes.store(0, Ordering::Relaxed);
        }
    }

    /// Counts `bytes` whatever the sum is then.
    pub(crate) fn take(&self, bytes: u64) {
        self.allocated_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Takes `bytes` if the sum stays at or below `line_bytes`; else says how many were available.
    pub(crate) fn try_take(&self, bytes: u64, line_bytes: u64) -> Result<(), u64> {
        let mut allocated = self.allocated_bytes.load(Ordering::Relaxed);
        loop {
            let available = line_bytes.saturating_sub(allocated);
            if bytes > available {
                return Err(available);
            }
            // No overflow: bytes <= line - allocated.
            let sum = allocated + bytes;
            match self.allocated_bytes.compare_exchange_weak(
                allocated,
                sum,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => {
                    self.raise_peak(sum);
                    return Ok(());
                }
                Err(current) => allocated = current,
            }
        }
    }

    /// Releases what [`try_take`](Self::try_take) took. Whoever [announces](Self::announce) itself before is seen after it.
    pub(crate) fn release(&self, bytes: u64) {
        self.allocated_bytes.fetch_sub(bytes, Ordering::Acquire);
    }

    /// Makes what this thread wrote before visible to everybody whose release this thread does not see from now on. Both are
    /// read-modify-write operations on one atomic: one of them comes first.
    pub(crate) fn announce(&self) {
        self.allocated_bytes.fetch_add(0, Ordering::Release);
    }

    pub(crate) fn allocated_bytes(&self) -> u64 {
        self.allocated_bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn peak_bytes(&self) -> u64 {
        self.peak_bytes.load(Ordering::Relaxed)
    }

    /// The peak rarely moves: the load spares the common case a second read-modify-write.
    fn raise_peak(&self, sum: u64) {
        if sum > self.peak_bytes.load(Ordering::Relaxed) {
            self.peak_bytes.fetch_max(sum, Ordering::Relaxed);
        }
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::Counter;
    use loom::{sync::Arc, thread};

    /// Three threads under two lines: no sum ever passes the line, the peak is a sum that could be, and all is
    /// released. Every interleaving with up to three preemptions, which is as far as three threads stay
    /// tractable; the two-thread models have no such bound.
    #[test]
    fn no_interleaving_passes_the_line() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(|| {
            let counter = Arc::new(Counter::default());
            let takers = [(60, 100), (50, 100)].map(|(bytes, line)| {
                let counter = Arc::clone(&counter);
                thread::spawn(move || take_and_release(&counter, bytes, line))
            });
            take_and_release(&counter, 30, 80);
            for taker in takers {
                taker.join().unwrap();
            }
            assert_eq!(counter.allocated_bytes(), 0);
            assert!([50, 60, 80, 90].contains(&counter.peak_bytes()), "{}", counter.peak_bytes());
        });
    }

    fn take_and_release(counter: &Counter, bytes: u64, line_bytes: u64) {
        if counter.try_take(bytes, line_bytes).is_ok() {
            let allocated = counter.allocated_bytes();
            assert!((bytes..=100).contains(&allocated), "{allocated}");
            counter.release(bytes);
        }
    }

    /// A refusal means that the bytes really were not there: with room for one of two, exactly one is refused
    /// while the other holds.
    #[test]
    fn one_of_two_is_granted_when_one_fits() {
        loom::model(|| {
            let counter = Arc::new(Counter::default());
            let other = Arc::clone(&counter);
            let taker = thread::spawn(move || other.try_take(60, 100).is_ok());
            let here = counter.try_take(60, 100).is_ok();
            let there = taker.join().unwrap();
            assert!(here != there);
            assert_eq!(counter.allocated_bytes(), 60);
        });
    }
}
