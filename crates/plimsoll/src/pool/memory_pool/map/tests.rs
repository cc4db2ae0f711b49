use super::*;
use crate::{
    device::{Backend, DeviceContext, HostBackend, Request},
    units::{KIB, MIB},
};
use proptest::prelude::*;

fn slab_of(backend: &HostBackend, bytes: u64) -> Arc<Slab> {
    Arc::new(Slab::new(backend.take(&Request::new(bytes, "slab")).unwrap(), Vec::new()))
}

// What a walk over all slabs finds.
impl Map {
    fn walked_sums(&self) -> Sums {
        let shares = self.slabs().map(|(_, held)| held.share());
        shares.fold(Sums::default(), |sums, share| sums.combine(share, |sum, more| sum + more))
    }

    fn walked_largest_free_bytes(&self) -> u64 {
        let usable = self.slabs().filter(|(_, held)| self.dedicated.is_none() || held.is_empty());
        let holes = usable.flat_map(|(_, held)| held.layout.parts());
        holes.filter(|(.., part)| part.is_none()).map(|(_, bytes, _)| bytes).max().unwrap_or(0)
    }

    /// The slab that holds buffers, or else the empty one, that is the first to take it.
    fn walked_place(&self, bytes: u64, options: &BufferOptions) -> Option<(usize, u64)> {
        let BufferOptions { align_bytes, placement, .. } = *options;
        let place_in = |of_empty| {
            let is_usable = move |index: usize, held: &Held| {
                let takes_another = of_empty || self.dedicated.is_none();
                held.is_empty() == of_empty && takes_another && self.suits(index, bytes)
            };
            let usable = self.slabs().filter(move |(index, held)| is_usable(*index, held));
            usable.into_iter().find_map(|(index, held)| {
                let placed = held.layout.clone().allocate(bytes, align_bytes, placement)?;
                Some((index, placed.offset_bytes))
            })
        };
        place_in(false).or_else(|| place_in(true))
    }
}

/// Which kind of pool, and what is done with it: a slab entered, buffers placed and freed, empty slabs taken out.
fn steps() -> impl Strategy<Value = (bool, Option<u64>, Vec<(u8, u16)>)> {
    let page_bytes = prop::option::weighted(0.2, Just(24 * KIB));
    (any::<bool>(), page_bytes, prop::collection::vec((0..21_u8, any::<u16>()), 1..400))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Against plain walks: the same sums, the same largest hole, and every buffer where the walk would put it.
    #[test]
    fn sums_and_places_are_those_of_a_walk_over_all_slabs((dedicated, page_bytes, steps) in steps()) {
        let backend = HostBackend::new(DeviceContext::default());
        let mut map = Map::new(dedicated.then_some(4 * KIB));
        let mut live = Vec::new();
        for (step, number) in steps {
            let small = u64::from(number);
            match step {
                0..=2 => {
                    let purposes = [Purpose::Beginning, Purpose::Reserve, Purpose::Growth];
                    let bytes = (1 + small % 20) * 4 * KIB;
                    map.insert_slab(slab_of(&backend, bytes), page_bytes, purposes[step as usize]);
                }
                3..=11 => {
                    let bytes = 1 + small % page_bytes.unwrap_or(if step < 8 { 2 * KIB } else { 64 * KIB });
                    let options = BufferOptions { align_bytes: 256 << (step % 3), ..BufferOptions::default() };
                    let expected = map.walked_place(bytes, &options);
                    let placed = map.place(bytes, &options).map(|(id, _)| id);
                    let place = |id| map.buffer(id).map(|live| (live.slab, live.placed.offset_bytes));
                    prop_assert_eq!(placed.and_then(place), expected);
                    live.extend(placed);
                }
                12..=17 if !live.is_empty() => {
                    map.free(live.swap_remove(number as usize % live.len())).unwrap();
                }
                18 => drop(map.take_empty(small % 64 * KIB, SpareKind::Surplus)),
                19 => drop(map.take_empty(small % 64 * KIB, SpareKind::AllButReserved)),
                20 => {
                    let is_there = map.walked_largest_free_bytes() >= small && !dedicated;
                    prop_assert_eq!(map.reserve(small), is_there);
                }
                _ => {}
            }
            prop_assert_eq!(map.sums, map.walked_sums());
            if step % 2 == 0 {
                prop_assert_eq!(map.largest_free_bytes(), map.walked_largest_free_bytes());
            }
        }
        drop(map.take_empty(0, SpareKind::All));
        prop_assert!(!map.slabs().any(|(_, held)| held.is_empty()));
    }
}

#[test]
fn full_slabs_are_not_looked_at() {
    let backend = HostBackend::new(DeviceContext::default());
    let mut map = Map::new(None);
    let options = BufferOptions::default();
    for _ in 0..100 {
        map.insert_slab(slab_of(&backend, MIB), None, Purpose::Growth);
        map.place(MIB - 4 * KIB, &options).unwrap();
    }
    assert_eq!((map.rooms.first(|room| room.used, 0, 5 * KIB), map.cached_bytes()), (None, 0));
    assert_eq!((map.place(5 * KIB, &options), map.largest_free_bytes()), (None, 4 * KIB));
}
