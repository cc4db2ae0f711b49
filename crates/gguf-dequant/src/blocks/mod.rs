//! The block formats, one file each: the layout as a struct, the kernel as its `Block::write`.

pub(crate) mod bf16;
mod drive;
pub(crate) mod f16;
pub(crate) mod f32;
pub(crate) mod q4_0;
pub(crate) mod q4_k;
pub(crate) mod q6_k;
pub(crate) mod q8_0;
mod scale_min;
