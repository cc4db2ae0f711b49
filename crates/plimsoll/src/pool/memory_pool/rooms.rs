//! Which slab has room, found without a look at those that have none.
//!
//! ```text
//!                      9               each node has the larger of the two below it;
//!              4               9       the first slab with room for 5 is found by going
//!          4       0       7       9   up from the left until a node has as much, and
//!         4 1     0 0     7 0     2 9  down again
//!   slab  0 1     2 3     4 5     6 7
//! ```

/// Bytes of room in a slab, or the most in any of several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Room {
    /// If it holds buffers.
    pub(super) used: u64,
    /// If it is empty.
    pub(super) empty: u64,
}

impl Room {
    fn larger(self, other: Self) -> Self {
        Self { used: self.used.max(other.used), empty: self.empty.max(other.empty) }
    }
}

/// One of the two.
pub(super) type Of = fn(Room) -> u64;

/// The room of each slab, by its number.
#[derive(Debug, Clone, Default)]
pub(super) struct Rooms {
    /// The root at 1, the nodes below node n at 2n and 2n + 1, the slabs in the last half.
    nodes: Vec<Room>,
}

impl Rooms {
    fn first_leaf(&self) -> usize {
        self.nodes.len() / 2
    }

    fn at(&self, node: usize) -> Room {
        self.nodes.get(node).copied().unwrap_or_default()
    }

    /// The most room that any slab has.
    pub(super) fn largest(&self) -> Room {
        self.at(1)
    }

    /// Sets the room of a slab.
    pub(super) fn set(&mut self, slab: usize, room: Room) {
        if slab >= self.first_leaf() {
            self.grow(slab + 1);
        }
        let (mut node, mut here) = (self.first_leaf() + slab, room);
        while let Some(place) = self.nodes.get_mut(node).filter(|place| node > 0 && **place != here) {
            *place = here;
            here = here.larger(self.at(node ^ 1));
            node /= 2;
        }
    }

    fn grow(&mut self, slabs: usize) {
        let rooms = self.nodes.split_off(self.first_leaf());
        let leaves = slabs.next_power_of_two();
        self.nodes.clear();
        self.nodes.resize(leaves, Room::default());
        self.nodes.extend(rooms);
        self.nodes.resize(2 * leaves, Room::default());
        for node in (1..leaves).rev() {
            let larger = self.at(2 * node).larger(self.at(2 * node + 1));
            if let Some(place) = self.nodes.get_mut(node) {
                *place = larger;
            }
        }
    }

    /// The first slab from `slab` on with at least so much room, which is more than none.
    pub(super) fn first(&self, of: Of, slab: usize, bytes: u64) -> Option<usize> {
        let leaves = self.first_leaf();
        let mut node = (slab < leaves).then_some(leaves + slab)?;
        while of(self.at(node)) < bytes {
            // The next to the right, and as far up as it begins there.
            node += 1;
            if node.is_power_of_two() {
                return None;
            }
            node >>= node.trailing_zeros();
        }
        while node < leaves {
            node *= 2;
            node += usize::from(of(self.at(node)) < bytes);
        }
        Some(node - leaves)
    }

    pub(super) fn metadata_bytes(&self) -> usize {
        self.nodes.capacity() * size_of::<Room>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against a walk over all of them.
        #[test]
        fn the_first_with_room_is_the_one_that_a_walk_finds(
            steps in prop::collection::vec((0..70_usize, 0..6_u64, any::<bool>()), 1..200),
            (from, bytes) in (0..80_usize, 1..7_u64),
        ) {
            let (mut rooms, mut plain) = (Rooms::default(), vec![Room::default(); 70]);
            prop_assert_eq!(rooms.first(|room| room.used, from, bytes), None);
            for (slab, room, is_empty) in steps {
                plain[slab] = if is_empty { Room { used: 0, empty: room } } else { Room { used: room, empty: 0 } };
                rooms.set(slab, plain[slab]);
                for of in [(|room| room.used) as Of, |room| room.empty] {
                    let of_each = || plain.iter().copied().map(of);
                    prop_assert_eq!(Some(of(rooms.largest())), of_each().max());
                    let walked = of_each().enumerate().skip(from).find(|(_, room)| *room >= bytes);
                    prop_assert_eq!(rooms.first(of, from, bytes), walked.map(|(slab, _)| slab));
                }
            }
        }
    }
}
