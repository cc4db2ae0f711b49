//! One face for every allocator.

mod best_fit;
mod gpu;
mod offset;
mod plimsoll;
mod rlsf;

pub use self::{best_fit::BestFit, gpu::Gpu, offset::Offset, plimsoll::Plimsoll, rlsf::Rlsf};

/// An allocator of parts of one slab.
pub trait Peer {
    const NAME: &'static str;

    /// What a part is freed by.
    type Handle;

    /// For a slab of that many bytes and that many live parts.
    fn new(size_bytes: u64, live: u32) -> Self;

    fn allocate(&mut self, bytes: u64) -> Option<Self::Handle>;

    fn free(&mut self, handle: Self::Handle);
}
