//! Free blocks sorted by size into lists that two bitmaps index.

use std::hint::select_unpredictable;

use super::nodes::{NONE, Nodes};

/// Each doubling of the size has two to this power bins; sizes below that number of granules have a bin each.
const MANTISSA_BITS: u32 = 6;
const COLUMNS: u32 = 1 << MANTISSA_BITS;

/// Where a size belongs: the exponent and the mantissa of a small float, rounded down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    row: u32,
    column: u32,
}

impl Place {
    #[inline]
    pub fn of(len: u32) -> Self {
        // The sizes of row 0 are their own bins, as if the hidden bit of the float were not set.
        let exponent = u32::BITS - 1 - (len | COLUMNS / 2).leading_zeros();
        let row = exponent + 1 - MANTISSA_BITS;
        Self { row, column: (len >> row.saturating_sub(1)) % COLUMNS }
    }
}

/// A list of free blocks of about one size.
#[derive(Debug, Clone, Copy)]
struct Bin {
    head: u32,
    /// No block of the bin is larger.
    longest: u32,
}

#[derive(Debug, Clone)]
struct Row {
    /// Which of the bins have blocks.
    filled: u64,
    bins: [Bin; COLUMNS as usize],
}

const EMPTY_ROW: Row = Row { filled: 0, bins: [Bin { head: NONE, longest: 0 }; COLUMNS as usize] };

#[derive(Debug, Clone)]
pub(super) struct Bins {
    /// Which of the rows have blocks.
    filled: u32,
    rows: Vec<Row>,
}

impl Bins {
    /// Bins for blocks of up to `longest` granules.
    pub fn new(longest: u32) -> Self {
        let rows = Place::of(longest).row as usize + 1;
        Self { filled: 0, rows: std::iter::repeat_with(|| EMPTY_ROW).take(rows).collect() }
    }

    #[inline]
    fn bin(&self, place: Place) -> Option<&Bin> {
        self.rows.get(place.row as usize)?.bins.get(place.column as usize)
    }

    #[inline]
    pub fn insert(&mut self, nodes: &mut Nodes, index: u32, len: u32) {
        let place = Place::of(len);
        let Some(row) = self.rows.get_mut(place.row as usize) else { return };
        let Some(bin) = row.bins.get_mut(place.column as usize) else { return };
        let next = bin.head;
        bin.longest = select_unpredictable(next == NONE, len, bin.longest.max(len));
        bin.head = index;
        row.filled |= 1 << place.column;
        self.filled |= 1 << place.row;
        nodes.with(next, |node| node.previous = index);
        nodes.with(index, |node| {
            node.previous = NONE;
            node.next = next;
        });
    }

    #[inline]
    pub fn remove(&mut self, nodes: &mut Nodes, index: u32, len: u32) {
        let node = *nodes.get(index);
        nodes.with(node.next, |next| next.previous = node.previous);
        nodes.with(node.previous, |previous| previous.next = node.next);
        let place = Place::of(len);
        let Some(row) = self.rows.get_mut(place.row as usize) else { return };
        let Some(bin) = row.bins.get_mut(place.column as usize) else { return };
        bin.head = select_unpredictable(node.previous == NONE, node.next, bin.head);
        row.filled &= !(u64::from(bin.head == NONE) << place.column);
        self.filled &= !(u32::from(row.filled == 0) << place.row);
    }

    /// Follows a block that grew or shrank where it stands.
    #[inline]
    pub fn resize(&mut self, nodes: &mut Nodes, index: u32, from: u32, to: u32) {
        let place = Place::of(to);
        if Place::of(from) == place {
            let Some(row) = self.rows.get_mut(place.row as usize) else { return };
            let Some(bin) = row.bins.get_mut(place.column as usize) else { return };
            bin.longest = bin.longest.max(to);
        } else {
            self.remove(nodes, index, from);
            self.insert(nodes, index, to);
        }
    }

    /// The first block of a bin, and what no block of it exceeds.
    #[inline]
    pub fn head(&self, place: Place) -> (u32, u32) {
        self.bin(place).map_or((NONE, 0), |bin| (bin.head, bin.longest))
    }

    pub fn set_longest(&mut self, place: Place, longest: u32) {
        if let Some(bin) =
            self.rows.get_mut(place.row as usize).and_then(|row| row.bins.get_mut(place.column as usize))
        {
            bin.longest = longest;
        }
    }

    /// The first filled bin at or behind a place.
    #[inline]
    pub fn first_from(&self, place: Place) -> Option<Place> {
        let row = self.rows.get(place.row as usize)?;
        let columns = row.filled & (u64::MAX << place.column);
        if columns != 0 {
            return Some(Place { row: place.row, column: columns.trailing_zeros() });
        }
        let rows = self.filled & u32::MAX.checked_shl(place.row + 1)?;
        let row = rows.trailing_zeros();
        Some(Place { row, column: self.rows.get(row as usize)?.filled.trailing_zeros() })
    }

    /// The first filled bin behind a place.
    #[inline]
    pub fn first_after(&self, place: Place) -> Option<Place> {
        self.first_from(if place.column + 1 == COLUMNS {
            Place { row: place.row + 1, column: 0 }
        } else {
            Place { row: place.row, column: place.column + 1 }
        })
    }

    /// The filled bin of the largest blocks.
    pub fn last(&self) -> Option<Place> {
        let row = self.filled.checked_ilog2()?;
        Some(Place { row, column: self.rows.get(row as usize)?.filled.checked_ilog2()? })
    }

    pub fn metadata_bytes(&self) -> usize {
        self.rows.capacity() * size_of::<Row>()
    }
}
