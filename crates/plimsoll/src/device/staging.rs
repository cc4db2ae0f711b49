//! Memory on the way to a device.

use std::fmt;

use super::DeviceMemory;
use crate::error::Result;

/// Windows to fill: while one is filled, the one before is on its way to the device.
pub trait Staging: Send + fmt::Debug {
    /// Bytes that fit into a window.
    fn window_bytes(&self) -> u64;

    /// Lends `len` bytes to fill. What they hold is unspecified.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) for more than a window;
    /// [`Error::Device`](crate::Error::Device) when a copy before it failed.
    fn window(&mut self, len: usize) -> Result<&mut [u8]>;

    /// Starts to copy what was lent last to `to`, from `offset_bytes` on.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) for a range beyond `to`;
    /// [`Error::Device`](crate::Error::Device) with the driver's code.
    fn flush(&mut self, to: &dyn DeviceMemory, offset_bytes: u64) -> Result<()>;

    /// Waits until all is copied.
    ///
    /// # Errors
    ///
    /// [`Error::Device`](crate::Error::Device) when a copy failed.
    fn finish(&mut self) -> Result<()>;
}
