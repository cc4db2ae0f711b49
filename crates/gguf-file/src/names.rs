//! Finding keys and tensor names, and duplicates among them, in constant time.

use std::hash::{BuildHasher, RandomState};

use hashbrown::{HashTable, hash_table::Entry};

use crate::Error;

/// Positions in a list, found by name.
///
/// Only positions are stored: the names stay where they are, in the header, and whoever asks says how to look
/// one up. The hash is seeded anew in each process, so no file can be made whose names all collide.
#[derive(Debug, Clone, Default)]
pub(crate) struct NameIndex {
    hasher: RandomState,
    positions: HashTable<u32>,
}

impl NameIndex {
    /// Room for `count` names, which the caller has checked to fit in the file.
    pub(crate) fn with_capacity(count: usize) -> Result<Self, Error> {
        let mut index = Self::default();
        index
            .positions
            .try_reserve(count, |_| 0)
            .map_err(|_| Error::OutOfMemory { bytes: (count * size_of::<u32>()) as u64 })?;
        Ok(index)
    }

    /// Enters `name` for `position`; if the name is already there, returns the position it has.
    pub(crate) fn insert<'a>(
        &mut self,
        name: &[u8],
        position: u32,
        name_at: impl Fn(u32) -> &'a [u8],
    ) -> Option<u32> {
        let hash = |name: &[u8]| self.hasher.hash_one(name);
        let entry =
            self.positions.entry(hash(name), |&other| name_at(other) == name, |&other| hash(name_at(other)));
        match entry {
            Entry::Occupied(existing) => Some(*existing.get()),
            Entry::Vacant(vacant) => {
                vacant.insert(position);
                None
            }
        }
    }

    /// The position entered for `name`.
    pub(crate) fn find<'a>(&self, name: &[u8], name_at: impl Fn(u32) -> &'a [u8]) -> Option<u32> {
        self.positions.find(self.hasher.hash_one(name), |&position| name_at(position) == name).copied()
    }
}
