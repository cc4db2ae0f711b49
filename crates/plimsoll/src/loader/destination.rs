//! Where a tensor's bytes go.

use crate::error::{Error, Result};

/// Memory that the loader fills: a JavaScript buffer, a pool's buffer, and later a device's.
///
/// The loader asks for a window, fills it, and says so. Host memory lends itself as the window; a device lends
/// staging memory and copies when the window is filled. Windows come in ascending order and never overlap.
pub trait Destination: Send {
    /// Bytes that fit.
    fn capacity_bytes(&self) -> u64;

    /// Lends `len` bytes of memory that stand for the range from `offset_bytes` on.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for a range beyond the capacity; a device's own errors.
    fn window(&mut self, offset_bytes: u64, len: usize) -> Result<&mut [u8]>;

    /// The window last lent is full. Host memory has nothing left to do.
    ///
    /// # Errors
    ///
    /// A device's own errors.
    fn filled(&mut self) -> Result<()> {
        Ok(())
    }

    /// Nothing more will be written. A device finishes what is under way.
    ///
    /// # Errors
    ///
    /// A device's own errors.
    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Host memory as a destination: anything that lends its bytes.
#[derive(Debug)]
pub struct SliceDestination<T>(pub T);

impl<T: AsMut<[u8]> + AsRef<[u8]> + Send> Destination for SliceDestination<T> {
    fn capacity_bytes(&self) -> u64 {
        self.0.as_ref().len() as u64
    }

    fn window(&mut self, offset_bytes: u64, len: usize) -> Result<&mut [u8]> {
        let capacity = self.capacity_bytes();
        usize::try_from(offset_bytes)
            .ok()
            .and_then(|start| self.0.as_mut().get_mut(start..start.checked_add(len)?))
            .ok_or_else(|| {
                Error::invalid_argument(
                    "into",
                    format!("large enough for {len} bytes at {offset_bytes}"),
                    format!("{capacity} bytes"),
                )
            })
    }
}
