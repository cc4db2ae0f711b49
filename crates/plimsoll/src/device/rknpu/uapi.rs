//! What Rockchip's NPU driver takes and answers: the structs of its DRM form, their numbers and flags.
//!
//! Source of the facts: `rknpu_ioctl.h` of driver 0.9.8. The kernel takes as many bytes as both sides know, so the
//! structs of 0.9.8 are right for older drivers too, which leave the fields unread that they do not know.

use zerocopy::{FromBytes, IntoBytes};

/// A struct of the driver and the number of the call that takes it.
pub(super) trait Command: FromBytes + IntoBytes + Copy + Default {
    /// The request number: direction, size, type and number in one.
    const REQUEST: u32;
    /// The call's name in error messages.
    const NAME: &'static str;
}

/// `_IOWR('d', number, T)`.
const fn read_write<T>(number: u32) -> u32 {
    0xc000_0000 | (size_of::<T>() as u32) << 16 | (b'd' as u32) << 8 | number
}

/// Asks the driver a question, or tells it a small thing; see [`action`].
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes)]
pub(super) struct Action {
    pub(super) action: u32,
    pub(super) value: u32,
}

impl Command for Action {
    const REQUEST: u32 = read_write::<Self>(0x40);
    const NAME: &'static str = "ACTION";
}

/// Takes memory (`handle` 0), or describes a buffer that was imported (`handle` of it, all else 0).
///
/// It has no `Debug`: `obj_addr` is an address of the kernel.
#[repr(C)]
#[derive(Clone, Copy, Default, FromBytes, IntoBytes)]
pub(super) struct MemCreate {
    pub(super) handle: u32,
    pub(super) flags: u32,
    pub(super) size: u64,
    pub(super) obj_addr: u64,
    pub(super) dma_addr: u64,
    pub(super) sram_size: u64,
    pub(super) iommu_domain_id: i32,
    pub(super) core_mask: u32,
}

impl Command for MemCreate {
    const REQUEST: u32 = read_write::<Self>(0x42);
    const NAME: &'static str = "MEM_CREATE";
}

/// Asks at which offset of the node a buffer is mapped.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes)]
pub(super) struct MemMap {
    pub(super) handle: u32,
    pub(super) reserved: u32,
    pub(super) offset: u64,
}

impl Command for MemMap {
    const REQUEST: u32 = read_write::<Self>(0x43);
    const NAME: &'static str = "MEM_MAP";
}

/// Frees a buffer. The driver goes by the handle.
#[repr(C)]
#[derive(Clone, Copy, Default, FromBytes, IntoBytes)]
pub(super) struct MemDestroy {
    pub(super) handle: u32,
    pub(super) reserved: u32,
    pub(super) obj_addr: u64,
}

impl Command for MemDestroy {
    const REQUEST: u32 = read_write::<Self>(0x44);
    const NAME: &'static str = "MEM_DESTROY";
}

/// Cleans or invalidates the processor's caches over a part of a cacheable buffer.
///
/// The driver follows `obj_addr` without a look at it: a wrong one crashes the machine.
#[repr(C)]
#[derive(Clone, Copy, Default, FromBytes, IntoBytes)]
pub(super) struct MemSync {
    pub(super) flags: u32,
    pub(super) reserved: u32,
    pub(super) obj_addr: u64,
    pub(super) offset: u64,
    pub(super) size: u64,
}

impl Command for MemSync {
    const REQUEST: u32 = read_write::<Self>(0x45);
    const NAME: &'static str = "MEM_SYNC";
}

const _: () = {
    assert!(size_of::<Action>() == 8 && Action::REQUEST == 0xc008_6440);
    assert!(size_of::<MemCreate>() == 48 && MemCreate::REQUEST == 0xc030_6442);
    assert!(size_of::<MemMap>() == 16 && MemMap::REQUEST == 0xc010_6443);
    assert!(size_of::<MemDestroy>() == 16 && MemDestroy::REQUEST == 0xc010_6444);
    assert!(size_of::<MemSync>() == 32 && MemSync::REQUEST == 0xc020_6445);
};

/// What an [`Action`] may be. The driver knows more, among them resets and power switches, which are none of ours;
/// some kernels answer further numbers in ways of their own.
pub(super) mod action {
    /// The driver's version: `major * 10_000 + minor * 100 + patch`.
    pub(crate) const GET_DRV_VERSION: u32 = 1;
    /// Whether the NPU reaches memory through its IOMMU.
    pub(crate) const GET_IOMMU_EN: u32 = 18;
    /// On-chip memory in all, in bytes.
    pub(crate) const GET_TOTAL_SRAM_SIZE: u32 = 22;
    /// On-chip memory that is free, in bytes.
    pub(crate) const GET_FREE_SRAM_SIZE: u32 = 23;
    /// The live domain.
    pub(crate) const GET_IOMMU_DOMAIN_ID: u32 = 24;
    /// Makes a domain the live one; waits up to 6 s until no job holds the other.
    pub(crate) const SET_IOMMU_DOMAIN_ID: u32 = 25;
}

/// What a buffer is made of: bits of [`MemCreate::flags`].
pub(super) mod memory {
    /// Pages from anywhere, put in a row by the IOMMU.
    pub(crate) const NON_CONTIGUOUS: u32 = 1;
    /// The processor caches it; [`MemSync`](super::MemSync) keeps both sides in step.
    pub(crate) const CACHEABLE: u32 = 1 << 1;
    /// Reached through the IOMMU.
    pub(crate) const IOMMU: u32 = 1 << 4;
    /// Reads zero when it is new.
    pub(crate) const ZEROING: u32 = 1 << 5;
    /// Its address need not be a multiple of its size rounded up to a power of two. Since driver 0.9.8.
    pub(crate) const LIMIT_IOVA_ALIGNMENT: u32 = 1 << 10;
}

/// Directions of a [`MemSync`].
pub(super) mod sync {
    /// What the processor has written is written out.
    pub(crate) const TO_DEVICE: u32 = 1;
    /// What the processor has cached is forgotten.
    pub(crate) const FROM_DEVICE: u32 = 2;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_lies_where_the_driver_reads_it() {
        use std::mem::offset_of;
        assert_eq!((offset_of!(MemCreate, flags), offset_of!(MemCreate, size)), (4, 8));
        assert_eq!((offset_of!(MemCreate, obj_addr), offset_of!(MemCreate, dma_addr)), (16, 24));
        assert_eq!(offset_of!(MemCreate, sram_size), 32);
        assert_eq!((offset_of!(MemCreate, iommu_domain_id), offset_of!(MemCreate, core_mask)), (40, 44));
        assert_eq!((offset_of!(MemMap, offset), offset_of!(MemDestroy, obj_addr)), (8, 8));
        assert_eq!(
            (offset_of!(MemSync, obj_addr), offset_of!(MemSync, offset), offset_of!(MemSync, size)),
            (8, 16, 24)
        );
    }
}
