//! What a pool has done, in constant time for each event.

/// A quantity that rises and falls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolCounter {
    /// Now.
    pub current: u64,
    /// The most there ever was.
    pub peak: u64,
    /// All that was ever added.
    pub allocated: u64,
    /// All that was ever taken away.
    pub freed: u64,
}

impl PoolCounter {
    fn add(&mut self, amount: u64) {
        self.current += amount;
        self.allocated += amount;
        self.peak = self.peak.max(self.current);
    }

    fn remove(&mut self, amount: u64) {
        self.current = self.current.saturating_sub(amount);
        self.freed += amount;
    }

    fn set(&mut self, amount: u64) {
        if amount >= self.current {
            self.add(amount - self.current);
        } else {
            self.remove(self.current - amount);
        }
    }
}

/// What was allocated and freed while a scope lasted, bytes as asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scope {
    /// What was allocated and not freed again, less what was freed that was there before; below zero when more was freed.
    pub current_bytes: i64,
    /// The most that `current_bytes` ever was.
    pub peak_bytes: i64,
    /// All that was allocated.
    pub total_bytes: u64,
    /// Buffers allocated and not freed again.
    pub current_count: i64,
    /// The most that `current_count` ever was.
    pub peak_count: i64,
    /// Buffers allocated.
    pub total_count: u64,
}

impl Scope {
    fn allocated(&mut self, bytes: u64) {
        self.current_bytes += bytes.cast_signed();
        self.current_count += 1;
        self.total_bytes += bytes;
        self.total_count += 1;
        self.peak_bytes = self.peak_bytes.max(self.current_bytes);
        self.peak_count = self.peak_count.max(self.current_count);
    }

    fn freed(&mut self, bytes: u64) {
        self.current_bytes -= bytes.cast_signed();
        self.current_count -= 1;
    }

    /// What the outer scope has seen once an inner one has ended.
    fn take_in(&mut self, inner: &Self) {
        self.peak_bytes = self.peak_bytes.max(self.current_bytes + inner.peak_bytes);
        self.peak_count = self.peak_count.max(self.current_count + inner.peak_count);
        self.current_bytes += inner.current_bytes;
        self.current_count += inner.current_count;
        self.total_bytes += inner.total_bytes;
        self.total_count += inner.total_count;
    }
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    /// Bytes that buffers asked for.
    pub(super) requested: PoolCounter,
    /// Bytes of the blocks they got.
    pub(super) used: PoolCounter,
    /// Bytes of slabs.
    pub(super) held: PoolCounter,
    /// Free bytes of slabs that also hold buffers.
    pub(super) split: PoolCounter,
    pub(super) buffers: PoolCounter,
    pub(super) slabs: PoolCounter,
    pub(super) failed_count: u64,
    pub(super) retry_count: u64,
    pub(super) moved_count: u64,
    pub(super) moved_bytes: u64,
    scopes: Vec<Scope>,
}

impl Counters {
    pub(super) fn allocated(&mut self, requested_bytes: u64, block_bytes: u64, split_bytes: u64) {
        self.requested.add(requested_bytes);
        self.used.add(block_bytes);
        self.buffers.add(1);
        self.split.set(split_bytes);
        if let Some(scope) = self.scopes.last_mut() {
            scope.allocated(requested_bytes);
        }
    }

    pub(super) fn freed(&mut self, requested_bytes: u64, block_bytes: u64, split_bytes: u64) {
        self.requested.remove(requested_bytes);
        self.used.remove(block_bytes);
        self.buffers.remove(1);
        self.split.set(split_bytes);
        if let Some(scope) = self.scopes.last_mut() {
            scope.freed(requested_bytes);
        }
    }

    pub(super) fn slab_allocated(&mut self, bytes: u64) {
        self.held.add(bytes);
        self.slabs.add(1);
    }

    pub(super) fn slab_freed(&mut self, bytes: u64) {
        self.held.remove(bytes);
        self.slabs.remove(1);
    }

    pub(super) fn moved(&mut self, bytes: u64, split_bytes: u64) {
        self.moved_count += 1;
        self.moved_bytes += bytes;
        self.split.set(split_bytes);
    }

    /// Everything has gone at once.
    pub(super) fn clear_current(&mut self) {
        for counter in [
            &mut self.requested,
            &mut self.used,
            &mut self.held,
            &mut self.split,
            &mut self.buffers,
            &mut self.slabs,
        ] {
            counter.set(0);
        }
    }

    pub(super) fn push_scope(&mut self) {
        self.scopes.push(Scope::default());
    }

    pub(super) fn pop_scope(&mut self) -> Option<Scope> {
        let ended = self.scopes.pop()?;
        if let Some(outer) = self.scopes.last_mut() {
            outer.take_in(&ended);
        }
        Some(ended)
    }

    /// Under `PyTorch`'s names. A buffer is active as long as it is allocated: nothing here waits for streams.
    pub(super) fn named(&self) -> Vec<(String, u64)> {
        let groups = [
            ("allocated_bytes", &self.used),
            ("reserved_bytes", &self.held),
            ("active_bytes", &self.used),
            ("inactive_split_bytes", &self.split),
            ("requested_bytes", &self.requested),
            ("allocation", &self.buffers),
            ("segment", &self.slabs),
            ("active", &self.buffers),
        ];
        let of_group = |(name, counter): (&str, &PoolCounter)| {
            let PoolCounter { current, peak, allocated, freed } = *counter;
            [("current", current), ("peak", peak), ("allocated", allocated), ("freed", freed)]
                .map(|(what, value)| (format!("{name}.all.{what}"), value))
        };
        let singles = [("num_alloc_retries", self.retry_count), ("num_ooms", self.failed_count)];
        let singles = singles.map(|(name, value)| (name.to_owned(), value));
        groups.into_iter().flat_map(of_group).chain(singles).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_sees_its_own_peak_and_the_outer_one_sees_it_too() {
        let mut counters = Counters::default();
        counters.push_scope();
        counters.allocated(100, 256, 0);
        counters.push_scope();
        counters.allocated(50, 256, 0);
        counters.freed(50, 256, 0);
        counters.freed(100, 256, 0);
        let inner = counters.pop_scope().unwrap();
        assert_eq!((inner.current_bytes, inner.peak_bytes, inner.total_bytes), (-100, 50, 50));
        let outer = counters.pop_scope().unwrap();
        assert_eq!((outer.current_bytes, outer.peak_bytes, outer.total_bytes), (0, 150, 150));
        assert_eq!((outer.current_count, outer.peak_count, outer.total_count), (0, 2, 2));
        assert_eq!(counters.pop_scope(), None);
    }

    #[test]
    fn names_are_pytorchs() {
        let mut counters = Counters::default();
        counters.slab_allocated(1024);
        counters.allocated(100, 256, 768);
        let named = counters.named();
        let value = |name: &str| named.iter().find(|(key, _)| key == name).map(|(_, value)| *value);
        assert_eq!(value("reserved_bytes.all.current"), Some(1024));
        assert_eq!(value("inactive_split_bytes.all.peak"), Some(768));
        assert_eq!(value("requested_bytes.all.allocated"), Some(100));
        assert_eq!(value("num_ooms"), Some(0));
    }
}
