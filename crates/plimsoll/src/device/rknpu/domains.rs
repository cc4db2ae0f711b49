//! Which domain of the NPU a buffer goes to.

use std::{
    cmp::Reverse,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::window::{Alignment, Window};
use crate::{
    device::Meter,
    error::{Error, Result},
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
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which domain each buffer goes to when all sixteen are empty: the largest first, each into the lowest that has a place
/// for it. Sizes are bytes; what one job needs at once must be one size, since a job sees one domain. Buffers that are
/// taken in that order lie as planned.
///
/// # Errors
///
/// [`Error::InvalidArgument`] for a size of 0; [`Error::InsufficientMemory`], with the largest hole that is left, for
/// the first buffer that has no place.
///
/// ```
/// use plimsoll::{device::rknpu::{Alignment, plan}, units::MIB};
/// let domains = plan(&[1500 * MIB, 1500 * MIB, 1000 * MIB], Alignment::Size).unwrap();
/// assert_eq!(domains.iter().map(|domain| domain.get()).collect::<Vec<_>>(), [0, 1, 0]);
/// ```
pub fn plan(sizes: &[u64], alignment: Alignment) -> Result<Vec<DomainId>> {
    plan_into(&mut vec![Window::default(); DOMAIN_COUNT], sizes, alignment)
}

/// The same for domains that are in use, which are filled as the plan has it.
pub(super) fn plan_into(
    windows: &mut [Window],
    sizes: &[u64],
    alignment: Alignment,
) -> Result<Vec<DomainId>> {
    let mut largest_first: Vec<_> = sizes.iter().copied().zip(0_usize..).collect();
    largest_first.sort_by_key(|(bytes, _)| Reverse(*bytes));
    let mut planned = Vec::with_capacity(sizes.len());
    for (bytes, index) in largest_first {
        if bytes == 0 {
            return Err(Error::invalid_argument(
                "sizes",
                "1 byte or more each",
                format!("0 at index {index}"),
            ));
        }
        let placed = windows.iter_mut().zip(DomainId::all()).find_map(|(window, domain)| {
            let (start, _) = window.fit(bytes, alignment)?;
            window.fill(start, bytes);
            Some(domain)
        });
        planned.push((index, placed.ok_or_else(|| no_place(windows, index, bytes, alignment))?));
    }
    planned.sort_unstable_by_key(|(index, _)| *index);
    Ok(planned.into_iter().map(|(_, domain)| domain).collect())
}

fn no_place(windows: &[Window], index: usize, bytes: u64, alignment: Alignment) -> Error {
    let hole = windows.iter().map(|window| window.largest_hole_bytes(alignment)).max().unwrap_or(0);
    Error::InsufficientMemory {
        label: format!("buffer {index} of the NPU's domains"),
        requested_bytes: bytes,
        available_bytes: windows.iter().map(Window::free_bytes).sum(),
        largest_free_bytes: hole,
        binding_constraint: format!(
            "the largest hole of the {} domains takes {}",
            windows.len(),
            format_bytes(hole)
        ),
        suggestion: "Split the buffer, in powers of two at best".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{GIB, MIB};

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
    }

    #[test]
    fn absurd_arguments_are_refused() {
        assert_eq!(plan(&[MIB, 0], Alignment::Size).unwrap_err().code(), "ERR_INVALID_ARGUMENT");
        assert_eq!(plan(&[u64::MAX], Alignment::Page).unwrap_err().code(), "ERR_INSUFFICIENT_MEMORY");
        assert_eq!(DomainId::new(16).unwrap_err().code(), "ERR_INVALID_ARGUMENT");
        assert_eq!(DomainId::new(15).unwrap().to_string(), "15");
    }
}
