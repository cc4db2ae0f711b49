//! How a pool and its buffers are made.

use std::borrow::Cow;

use super::super::suballocator::GRANULE_BYTES;
use crate::{
    budget::MemoryBudget,
    device::Limits,
    error::{Error, Result},
    units::{MAX_BYTES, MIB},
};

/// How a [`MemoryPool`](super::MemoryPool) behaves.
#[derive(Debug, Clone)]
pub struct PoolOptions {
    /// Bytes taken from the device at once; a larger buffer gets a slab of its own size. 0, the default, is what suits
    /// the device: at first what that wants at least ([`Limits::slab_bytes`]), then as much as the pool holds already, up to
    /// 64 MiB. So a small pool stays small, and a large one has dozens of slabs and not thousands.
    pub slab_bytes: u64,
    /// Bytes taken when the pool is made, and kept until it is closed or trimmed. None by default.
    pub initial_bytes: u64,
    /// Bytes held at most. No bound of its own by default.
    pub max_bytes: Option<u64>,
    /// Bytes of empty slabs that are kept for what comes next; more go back to the device as they become empty. One slab
    /// by default.
    pub max_cached_bytes: Option<u64>,
    /// Size of a page, where every buffer is to be one page of the same size, as in a cache of keys and values. Rounded up
    /// to 256 bytes.
    pub page_bytes: Option<u64>,
    /// Whether each buffer has a slab of its own.
    pub dedicated: bool,
    /// Whether a buffer's bytes are zeroed when it is freed.
    pub zero_on_free: bool,
    /// The budget that every slab counts against. A budget of the machine is about its RAM, and does not count memory that
    /// is [none of that](Limits::system_memory); one of numbers does. None by default.
    pub budget: Option<MemoryBudget>,
    /// What the slabs are called in the budget, and by drivers that take names.
    pub label: Cow<'static, str>,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self {
            slab_bytes: 0,
            initial_bytes: 0,
            max_bytes: None,
            max_cached_bytes: None,
            page_bytes: None,
            dedicated: false,
            zero_on_free: false,
            budget: None,
            label: Cow::Borrowed("memory pool"),
        }
    }
}

impl PoolOptions {
    /// Whether slabs grow with the pool, up to [`slab_bytes`](Self::slab_bytes): nobody asked for a size, and the device
    /// takes any.
    pub(super) const fn grows(&self, limits: &Limits) -> bool {
        self.slab_bytes == 0 && !self.dedicated && !limits.powers_of_two
    }

    /// The options with their defaults for a device filled in; `device_bytes` is all that it has, where it says so.
    pub(super) fn checked(mut self, limits: &Limits, device_bytes: Option<u64>) -> Result<Self> {
        /// Large enough that a model takes dozens of slabs and not thousands, small enough to be found on a full board.
        const USUAL_SLAB_BYTES: u64 = 64 * MIB;
        let counted = |budget: &MemoryBudget| limits.system_memory || !budget.line().is_of_machine();
        self.budget = self.budget.filter(counted);
        self.check_sizes(device_bytes)?;
        self.check_dedicated()?;
        // Pages lie side by side, and each begins where every device can use it.
        self.page_bytes = self.page_bytes.map(|bytes| bytes.next_multiple_of(GRANULE_BYTES));
        let wanted =
            if self.slab_bytes > 0 { self.slab_bytes } else { limits.slab_bytes.max(USUAL_SLAB_BYTES) };
        let whole_pages = wanted.max(self.page_bytes.unwrap_or(0));
        self.slab_bytes = whole_pages.next_multiple_of(limits.granule_bytes);
        let is_fit = self.slab_bytes.is_power_of_two() && self.slab_bytes >= limits.slab_bytes;
        if limits.powers_of_two && !is_fit {
            let expected = format!("a power of two from {} on, on this device", limits.slab_bytes);
            return refuse("slabBytes", expected, self.slab_bytes);
        }
        if let Some(largest_bytes) = limits.largest_bytes.filter(|largest| self.slab_bytes > *largest) {
            return refuse("slabBytes", format!("at most {largest_bytes} on this device"), self.slab_bytes);
        }
        self.fit_maximum(limits)?;
        // A slab of its own goes with its buffer.
        let cached_bytes = if self.dedicated { 0 } else { self.slab_bytes };
        self.max_cached_bytes = self.max_cached_bytes.or(Some(cached_bytes));
        Ok(self)
    }

    fn check_sizes(&self, device_bytes: Option<u64>) -> Result<()> {
        for (name, bytes) in [
            ("slabBytes", self.slab_bytes),
            ("initialBytes", self.initial_bytes),
            ("maxBytes", self.max_bytes.unwrap_or(0)),
        ] {
            if bytes > MAX_BYTES {
                return refuse(name, format!("at most {MAX_BYTES}"), bytes);
            }
        }
        if let Some(page_bytes) = self.page_bytes.filter(|bytes| *bytes == 0 || *bytes > MAX_BYTES) {
            return refuse("pageBytes", format!("1 to {MAX_BYTES}"), page_bytes);
        }
        if let Some(device_bytes) = device_bytes.filter(|all| self.slab_bytes > *all) {
            let expected = format!("at most {device_bytes}, all the memory of the device");
            return refuse("slabBytes", expected, self.slab_bytes);
        }
        Ok(())
    }

    /// Where each buffer has a slab of its own size, there is nothing to take before it comes, and nothing to divide.
    fn check_dedicated(&self) -> Result<()> {
        if !self.dedicated {
            return Ok(());
        }
        if self.initial_bytes > 0 {
            return refuse("initialBytes", "left out where dedicated is set".to_owned(), self.initial_bytes);
        }
        match self.page_bytes {
            Some(page_bytes) => refuse("pageBytes", "left out where dedicated is set".to_owned(), page_bytes),
            None => Ok(()),
        }
    }

    /// Refuses a maximum that no slab and no beginning fits under. One that lies below the usual slab becomes its size.
    fn fit_maximum(&mut self, limits: &Limits) -> Result<()> {
        let Some(max_bytes) = self.max_bytes else { return Ok(()) };
        if self.initial_bytes > max_bytes {
            return refuse("initialBytes", format!("at most maxBytes, {max_bytes}"), self.initial_bytes);
        }
        let least_bytes = if limits.powers_of_two && !self.dedicated {
            self.slab_bytes
        } else {
            self.page_bytes.unwrap_or(1).next_multiple_of(limits.granule_bytes)
        };
        if max_bytes < least_bytes {
            let expected = format!("at least {least_bytes}, the smallest slab of such a pool on this device");
            return refuse("maxBytes", expected, max_bytes);
        }
        if !limits.powers_of_two && max_bytes < self.slab_bytes {
            self.slab_bytes = max_bytes - max_bytes % limits.granule_bytes;
        }
        Ok(())
    }
}

fn refuse<T>(name: &'static str, expected: String, received: u64) -> Result<T> {
    Err(Error::invalid_argument(name, expected, received.to_string()))
}

/// How a buffer is placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BufferOptions {
    /// The buffer starts at a multiple of this, a power of two; 256 bytes by default, which suits every device here.
    pub align_bytes: u64,
    /// How long it is likely to live.
    pub placement: Placement,
    /// What it is for.
    pub label: Cow<'static, str>,
}

impl Default for BufferOptions {
    fn default() -> Self {
        Self { align_bytes: GRANULE_BYTES, placement: Placement::LongLived, label: Cow::Borrowed("") }
    }
}

/// How long a buffer is likely to live. The two kinds grow from opposite ends of a slab, so that short lives leave no
/// holes between long ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Placement {
    /// As weights: from the low end.
    #[default]
    LongLived,
    /// As activations: from the high end.
    Transient,
}
