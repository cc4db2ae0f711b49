//! Devices that memory can be taken from.

mod cuda;
mod handle;
mod rknpu;

pub use handle::NativeDevice;
