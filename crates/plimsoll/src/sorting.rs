//! Sorting of short lists, by one sort for all of them.
//!
//! The standard library's is compiled for each type and each order, some 5 KB a time; together they were a twentieth of the addon.
//! Here the places are sorted, which are numbers whatever the list is of, and then the items are put there.

use std::cmp::Ordering;

/// Puts the items in that order; those that are equal stay in theirs.
///
/// It asks through a pointer, so it is for lists that are sorted once in a while, not for those that are sorted for every
/// byte.
pub(crate) fn sort_by<T>(items: &mut [T], mut order: impl FnMut(&T, &T) -> Ordering) {
    let mut places: Vec<usize> = (0..items.len()).collect();
    sort_places(&mut places, &mut |one, other| match (items.get(one), items.get(other)) {
        (Some(one), Some(other)) => order(one, other),
        _ => Ordering::Equal,
    });
    put(&mut places, &mut |one, other| items.swap(one, other));
}

/// The same by a key, which is asked for at each comparison.
pub(crate) fn sort_by_key<T, K: Ord>(items: &mut [T], mut key: impl FnMut(&T) -> K) {
    sort_by(items, |one, other| key(one).cmp(&key(other)));
}

fn sort_places(places: &mut [usize], order: &mut dyn FnMut(usize, usize) -> Ordering) {
    places.sort_by(|one, other| order(*one, *other));
}

/// Brings to each place what `places` says is to be there, along each cycle of them.
fn put(places: &mut [usize], swap: &mut dyn FnMut(usize, usize)) {
    for start in 0..places.len() {
        let mut at = start;
        while let Some(from) = places.get(at).copied() {
            if let Some(place) = places.get_mut(at) {
                *place = at;
            }
            if from == start || from == at {
                break;
            }
            swap(at, from);
            at = from;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_the_standard_librarys(numbers in prop::collection::vec((0_u8..20, any::<u32>()), 0..200)) {
            let (mut ours, mut theirs) = (numbers.clone(), numbers);
            sort_by_key(&mut ours, |(key, _)| *key);
            theirs.sort_by_key(|(key, _)| *key);
            prop_assert_eq!(ours, theirs);
        }
    }

    #[test]
    fn strings_are_moved_and_none_is_lost() {
        let mut words: Vec<String> = ["d", "a", "c", "", "b"].map(str::to_owned).into();
        sort_by(&mut words, |one, other| other.cmp(one));
        assert_eq!(words, ["d", "c", "b", "a", ""]);
    }
}
