//! Which domain of the NPU a buffer goes to.

use crate::sorting::sort_by_key;
use std::{
    cmp::Reverse,
    fmt,
    sync::{Mutex, MutexGuard},
};

use super::window::{Alignment, PAGE_BYTES, WINDOW_BYTES, Window};
use crate::{
    device::Meter,
    error::{Error, Left, Result},
    sync::lock,
    units::format_bytes,
};

/// How many domains the driver has.
pub const DOMAIN_COUNT: usize = 16;

/// One of the NPU's sixteen address spaces of 4 GiB. One is live at a time: a job sees the buffers of its own domain
/// only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomainId(u8);

impl DomainId {
    /// The domain of that number.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] beyond 15.
    pub fn new(id: u8) -> Result<Self> {
        let known = usize::from(id) < DOMAIN_COUNT;
        known.then_some(Self(id)).ok_or_else(|| Error::invalid_argument("domain", "0 to 15", id.to_string()))
    }

    /// Its number, 0 to 15.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// All of them, in order.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..DOMAIN_COUNT as u8).map(Self)
    }
}

impl fmt::Display for DomainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What this process has in a domain.
#[derive(Debug)]
pub(super) struct Domain {
    pub(super) id: DomainId,
    pub(super) meter: Meter,
    window: Mutex<Window>,
}

impl Default for Domain {
    fn default() -> Self {
        Self::new(DomainId::default())
    }
}

impl Domain {
    pub(super) fn new(id: DomainId) -> Self {
        // Resident memory shows a buffer as soon as it is mapped.
        Self { id, meter: Meter::unseen(), window: Mutex::default() }
    }

    pub(super) fn window(&self) -> MutexGuard<'_, Window> {
        lock(&self.window)
    }
}

/// Which domain each buffer goes to when all sixteen are empty: the largest first, each into the lowest that has a place
/// for it. Sizes are bytes; what one job needs at once must be one size, since a job sees one domain. Buffers that are
/// taken in that order lie as planned.
///
/// # Errors
///
/// [`Error::InvalidArgument`] for a size of 0; [`Error::InsufficientMemory`] for the first buffer that has no place, with
/// the largest size that it could have instead, the others being as they are.
///
/// ```
/// use plimsoll::{device::rknpu::{Alignment, plan}, units::MIB};
/// let domains = plan(&[1500 * MIB, 1500 * MIB, 1000 * MIB], Alignment::Size).unwrap();
/// assert_eq!(domains.iter().map(|domain| domain.get()).collect::<Vec<_>>(), [0, 1, 0]);
/// ```
pub fn plan(sizes: &[u64], alignment: Alignment) -> Result<Vec<DomainId>> {
    plan_into(&vec![Window::default(); DOMAIN_COUNT], sizes, alignment)
}

/// The same for domains that are in use.
pub(super) fn plan_into(windows: &[Window], sizes: &[u64], alignment: Alignment) -> Result<Vec<DomainId>> {
    if let Some(index) = sizes.iter().position(|bytes| *bytes == 0) {
        return Err(Error::invalid_argument("sizes", "1 byte or more each", format!("0 at index {index}")));
    }
    let mut planned = windows.to_vec();
    placed(&mut planned, sizes, alignment).map_err(|index| no_place(windows, sizes, index, alignment))
}

/// Fills the windows; or the index of the first buffer, the largest first, that has no place.
fn placed(windows: &mut [Window], sizes: &[u64], alignment: Alignment) -> Result<Vec<DomainId>, usize> {
    let mut largest_first: Vec<_> = sizes.iter().copied().zip(0_usize..).collect();
    sort_by_key(&mut largest_first, |(bytes, _)| Reverse(*bytes));
    let mut planned = Vec::with_capacity(sizes.len());
    for (bytes, index) in largest_first {
        let domain = windows.iter_mut().zip(DomainId::all()).find_map(|(window, domain)| {
            let (start, _) = window.fit(bytes, alignment)?;
            window.fill(start, bytes);
            Some(domain)
        });
        planned.push((index, domain.ok_or(index)?));
    }
    sort_by_key(&mut planned, |(index, _)| *index);
    Ok(planned.into_iter().map(|(_, domain)| domain).collect())
}

/// The largest size with which that buffer would be planned, all others being what they are; 0 where no size is. It is
/// tried, not guessed: a smaller buffer comes later in the order, and finds other holes.
fn largest_in_its_place(windows: &[Window], sizes: &[u64], index: usize, alignment: Alignment) -> u64 {
    let with = |bytes: u64| -> Vec<u64> {
        let others = sizes.iter().copied().zip(0_usize..);
        others.map(|(size, at)| if at == index { bytes } else { size }).filter(|size| *size > 0).collect()
    };
    let mut after_the_others = windows.to_vec();
    if placed(&mut after_the_others, &with(0), alignment).is_err() {
        return 0;
    }
    let holes = after_the_others.iter().map(|window| window.largest_hole_bytes(alignment));
    let largest = holes.max().unwrap_or(0);
    let is_planned = |bytes: &u64| placed(&mut windows.to_vec(), &with(*bytes), alignment).is_ok();
    // Where the largest hole is no place in that order, a smaller power of two is.
    let smaller = (PAGE_BYTES.ilog2()..WINDOW_BYTES.ilog2()).rev().map(|power| 1_u64 << power);
    let candidates = std::iter::once(largest).chain(smaller.filter(|bytes| *bytes < largest));
    candidates.filter(|bytes| *bytes > 0).find(is_planned).unwrap_or(0)
}

fn no_place(windows: &[Window], sizes: &[u64], index: usize, alignment: Alignment) -> Error {
    let requested_bytes = sizes.get(index).copied().unwrap_or(0);
    let largest = largest_in_its_place(windows, sizes, index, alignment);
    let used: u64 = windows.iter().map(Window::used_bytes).sum();
    let planned = sizes.iter().fold(0_u64, |sum, bytes| sum.saturating_add(*bytes));
    let free: u64 = windows.iter().map(Window::free_bytes).sum();
    let of_domains = if windows.len() == 1 {
        "the one domain".to_owned()
    } else {
        format!("the {} domains", windows.len())
    };
    let (constraint, suggestion) = if largest == 0 {
        (format!("the other buffers fill {of_domains}"), "Plan fewer buffers, or smaller ones")
    } else {
        let hole =
            format!("the largest hole that the others leave in {of_domains} takes {}", format_bytes(largest));
        (hole, "Split the buffer, in powers of two at best")
    };
    let total = format!(
        "; all buffers together are {}, of {} that are free{}",
        format_bytes(planned),
        format_bytes(free),
        if used > 0 { " there" } else { "" }
    );
    let label = format!("buffer {index} of the NPU's domains");
    let left = Left { available_bytes: free, largest_free_bytes: largest };
    Error::insufficient_memory(label, requested_bytes, left, constraint + &total, suggestion)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{GIB, MIB};
    use proptest::prelude::*;

    fn numbers(sizes: &[u64], alignment: Alignment) -> Vec<u8> {
        plan(sizes, alignment).unwrap().into_iter().map(DomainId::get).collect()
    }

    #[test]
    fn buffers_fill_a_domain_before_the_next_is_begun() {
        assert_eq!(numbers(&[], Alignment::Size), []);
        let slabs = numbers(&[256 * MIB; 31], Alignment::Size);
        assert_eq!(slabs, [[0; 15].as_slice(), &[1; 15], &[2]].concat());
        // A small one goes where the large ones leave room, wherever it stands in the list.
        assert_eq!(numbers(&[64 * MIB, 2 * GIB, 2 * GIB, GIB], Alignment::Size), [0, 0, 1, 0]);
        assert_eq!(numbers(&[3 * GIB, 3 * GIB, 900 * MIB], Alignment::Page), [0, 1, 0]);
    }

    #[test]
    fn a_plan_that_does_not_fit_names_the_hole() {
        let refusal = plan(&[3_085_697_024], Alignment::Size).unwrap_err();
        let Error::InsufficientMemory { requested_bytes, largest_free_bytes, .. } = &refusal else {
            panic!("{refusal}")
        };
        assert_eq!((*requested_bytes, *largest_free_bytes), (3_085_697_024, 2 * GIB));
        assert!(refusal.to_string().contains("2.00 GiB"), "{refusal}");
        // One of 17 halves has no domain left: each takes one but has a half that cannot be aligned.
        let refusal = plan(&[2 * GIB; 17], Alignment::Size).unwrap_err();
        assert!(matches!(refusal, Error::InsufficientMemory { largest_free_bytes: GIB, .. }), "{refusal}");
        // Where the others alone are too many, no size is named.
        let refusal = plan(&[2 * GIB; 18], Alignment::Size).unwrap_err();
        assert!(matches!(refusal, Error::InsufficientMemory { largest_free_bytes: 0, .. }), "{refusal}");
        assert!(refusal.to_string().contains("Plan fewer"), "{refusal}");
    }

    #[test]
    fn a_refusal_at_the_edge_does_not_read_like_what_is_accepted() {
        let refusal = plan(&[2 * GIB + 1], Alignment::Size).unwrap_err().to_string();
        assert!(refusal.contains("2.00 GiB (2147483648 bytes)"), "{refusal}");
        assert!(refusal.contains("got 2.00 GiB (2147483649 bytes)"), "{refusal}");
    }

    proptest! {
        /// What a refusal names as the largest is accepted in its place, is smaller than what was refused, and the message
        /// expects no more than it.
        #[test]
        fn what_a_refusal_names_is_accepted_in_its_place(
            sizes in prop::collection::vec((1_u64..=(4096 << 8), 0_u64..3), 1..60), by_page in any::<bool>()
        ) {
            let alignment = if by_page { Alignment::Page } else { Alignment::Size };
            let mut sizes: Vec<u64> = sizes.into_iter().map(|(pages, odd)| pages * 4096 + odd - 1).collect();
            while let Err(refusal) = plan(&sizes, alignment) {
                let text = refusal.to_string();
                let Error::InsufficientMemory { label, requested_bytes, largest_free_bytes, .. } = refusal else {
                    panic!("{text}")
                };
                prop_assert!(largest_free_bytes < requested_bytes, "{}", text);
                let index = label.split(' ').nth(1).unwrap().parse::<usize>().unwrap();
                prop_assert_eq!(sizes[index], requested_bytes);
                if largest_free_bytes == 0 {
                    sizes.swap_remove(index);
                } else {
                    sizes[index] = largest_free_bytes;
                    prop_assert!(plan(&sizes, alignment).is_ok(), "{}", text);
                }
            }
        }
    }

    #[test]
    fn a_driver_with_one_domain_plans_for_one() {
        let one = [Window::default()];
        assert_eq!(plan_into(&one, &[GIB; 3], Alignment::Size).unwrap(), [DomainId(0); 3]);
        let refusal = plan_into(&one, &[GIB; 4], Alignment::Size).unwrap_err();
        assert!(refusal.to_string().contains("the one domain"), "{refusal}");
    }

    #[test]
    fn absurd_arguments_are_refused() {
        assert_eq!(plan(&[MIB, 0], Alignment::Size).unwrap_err().code(), "ERR_INVALID_ARGUMENT");
        assert_eq!(plan(&[u64::MAX], Alignment::Page).unwrap_err().code(), "ERR_INSUFFICIENT_MEMORY");
        assert_eq!(DomainId::new(16).unwrap_err().code(), "ERR_INVALID_ARGUMENT");
        assert_eq!(DomainId::new(15).unwrap().to_string(), "15");
    }
}
