//! Many destinations as one: each tensor of a selection has its own.

use super::destination::{Destination, WindowApart, too_small};
use crate::error::{Error, Result};

/// A destination for each tensor, in the order of the selection.
pub struct Pieces {
    list: Vec<Piece>,
    /// Whether all of them are filled by several threads at once.
    are_apart: bool,
    /// The piece of the window last lent, where they are lent one at a time.
    current: usize,
}

struct Piece {
    start_bytes: u64,
    end_bytes: u64,
    /// `None` once it was filled: what a device lent for it went back.
    destination: Option<Box<dyn Destination>>,
}

impl Pieces {
    /// Each tensor's bytes, and where they go.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for a destination that is too small.
    pub fn new(destinations: Vec<(u64, Box<dyn Destination>)>) -> Result<Self> {
        let (mut start_bytes, mut are_apart) = (0, true);
        let mut pieces = Vec::with_capacity(destinations.len());
        for (bytes, mut destination) in destinations {
            if destination.capacity_bytes() < bytes {
                let received = format!("{} bytes", destination.capacity_bytes());
                return Err(Error::invalid_argument(
                    "into",
                    format!("at least {bytes} bytes long"),
                    received,
                ));
            }
            are_apart &= bytes == 0 || matches!(destination.window_apart(0, 0), Ok(Some(_)));
            let end_bytes = start_bytes + bytes;
            pieces.push(Piece { start_bytes, end_bytes, destination: Some(destination) });
            start_bytes = end_bytes;
        }
        Ok(Self { list: pieces, are_apart, current: 0 })
    }

    /// The piece that has the range, and where in it that begins.
    fn place(&self, offset_bytes: u64, len: usize) -> Result<(usize, u64)> {
        let index = self.list.partition_point(|piece| piece.end_bytes <= offset_bytes);
        let piece = self.list.get(index).filter(|piece| offset_bytes + len as u64 <= piece.end_bytes);
        let piece = piece.ok_or_else(|| too_small(self.capacity_bytes(), offset_bytes, len))?;
        Ok((index, offset_bytes - piece.start_bytes))
    }

    fn destination(&mut self, index: usize) -> Result<&mut (dyn Destination + 'static)> {
        let destination = self.list.get_mut(index).and_then(|piece| piece.destination.as_deref_mut());
        destination.ok_or_else(|| Error::internal("a window was asked for of a destination that is finished"))
    }

    /// Finishes the pieces before `end`, from the current one on.
    fn finish_until(&mut self, end: usize) -> Result<()> {
        while self.current < end {
            if let Some(mut destination) =
                self.list.get_mut(self.current).and_then(|it| it.destination.take())
            {
                destination.finish()?;
            }
            self.current += 1;
        }
        Ok(())
    }
}

impl Destination for Pieces {
    fn capacity_bytes(&self) -> u64 {
        self.list.last().map_or(0, |piece| piece.end_bytes)
    }

    fn window(&mut self, offset_bytes: u64, len: usize) -> Result<&mut [u8]> {
        let (index, offset_bytes) = self.place(offset_bytes, len)?;
        self.finish_until(index)?;
        self.destination(index)?.window(offset_bytes, len)
    }

    fn window_apart(&mut self, offset_bytes: u64, len: usize) -> Result<Option<WindowApart>> {
        if !self.are_apart || self.list.is_empty() {
            return Ok(None);
        }
        let (index, offset_bytes) = self.place(offset_bytes, len)?;
        self.destination(index)?.window_apart(offset_bytes, len)
    }

    fn filled(&mut self) -> Result<()> {
        self.destination(self.current)?.filled()
    }

    fn finish(&mut self) -> Result<()> {
        self.finish_until(self.list.len())
    }
}
