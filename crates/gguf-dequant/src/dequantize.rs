//! The conversions, and the checks before the kernels.

use zerocopy::{FromBytes, transmute_mut};

use crate::kernel::{Block, Value};
use crate::simd::InstructionSet;
use crate::stream::{STREAMED_BYTES, Streamed};
use crate::value::Bfloat;
use crate::{Error, Format, format::ForBlock};

/// Writes the values of `blocks` to `out` as `f32`, in file order.
///
/// `blocks` is any number of whole blocks, zero included, at any alignment; `out` has one element per value. See the
/// [crate's page](crate) for what is exact and what a NaN becomes.
///
/// # Errors
///
/// [`Error::PartialBlock`] where `blocks` is not a whole number of [`Format::block_bytes`];
/// [`Error::OutputLength`] where `out` is not as long as the values are many. `out` is then untouched.
pub fn to_f32(format: Format, blocks: &[u8], out: &mut [f32]) -> Result<(), Error> {
    InstructionSet::best().to_f32(format, blocks, out)
}

/// Writes the values of `blocks` to `out` as the bits of IEEE halves, in file order.
///
/// Each is the value of [`to_f32`] rounded to the nearest half, ties to even; from 65520 up it becomes infinity.
///
/// ```
/// use gguf_dequant::{Format, to_f16};
///
/// let mut halves = [0; 2];
/// to_f16(Format::F32, &[1.0_f32.to_le_bytes(), 1e9_f32.to_le_bytes()].concat(), &mut halves)?;
/// assert_eq!(halves, [0x3C00, 0x7C00]); // 1 and infinity
/// # Ok::<(), gguf_dequant::Error>(())
/// ```
///
/// # Errors
///
/// As for [`to_f32`].
pub fn to_f16(format: Format, blocks: &[u8], out: &mut [u16]) -> Result<(), Error> {
    InstructionSet::best().to_f16(format, blocks, out)
}

/// Writes the values of `blocks` to `out` as the bits of `bf16`, in file order.
///
/// Each is the value of [`to_f32`] rounded to the nearest `bf16`, ties to even; BF16 data is copied as it is.
///
/// ```
/// use gguf_dequant::{Format, to_bf16};
///
/// let mut upper = [0; 2];
/// to_bf16(Format::F32, &[1.0_f32.to_le_bytes(), f32::MAX.to_le_bytes()].concat(), &mut upper)?;
/// assert_eq!(upper, [0x3F80, 0x7F80]); // 1 and infinity
/// # Ok::<(), gguf_dequant::Error>(())
/// ```
///
/// # Errors
///
/// As for [`to_f32`].
pub fn to_bf16(format: Format, blocks: &[u8], out: &mut [u16]) -> Result<(), Error> {
    InstructionSet::best().to_bf16(format, blocks, out)
}

/// Which kernels [`to_f32`], [`to_f16`] and [`to_bf16`] run on this machine: `"avx2+f16c"`, `"neon"` or `"portable"`.
#[must_use]
pub fn instruction_set() -> &'static str {
    InstructionSet::best().name()
}

#[doc(hidden)]
impl InstructionSet {
    /// [`to_f32`] on this set.
    pub fn to_f32(self, format: Format, blocks: &[u8], out: &mut [f32]) -> Result<(), Error> {
        format.with_block(WholeBlocks { format, set: self, input: blocks, out })
    }

    /// [`to_f16`] on this set.
    pub fn to_f16(self, format: Format, blocks: &[u8], out: &mut [u16]) -> Result<(), Error> {
        format.with_block(WholeBlocks { format, set: self, input: blocks, out })
    }

    /// [`to_bf16`] on this set.
    pub fn to_bf16(self, format: Format, blocks: &[u8], out: &mut [u16]) -> Result<(), Error> {
        let out: &mut [Bfloat] = transmute_mut!(out);
        format.with_block(WholeBlocks { format, set: self, input: blocks, out })
    }
}

/// Runs the kernel of a block over `input` once both lengths fit.
struct WholeBlocks<'a, V> {
    format: Format,
    set: InstructionSet,
    input: &'a [u8],
    out: &'a mut [V],
}

impl<V: Value> ForBlock for WholeBlocks<'_, V> {
    type Out = Result<(), Error>;

    fn run<B: Block>(self) -> Result<(), Error> {
        let Self { format, set, input, out } = self;
        let Ok(blocks) = <[B]>::ref_from_bytes(input) else {
            return Err(Error::PartialBlock { format, input_bytes: input.len() });
        };
        // No slice of values is usize::MAX long, so a saturated product is refused as it must be.
        let expected_elements = blocks.len().saturating_mul(B::ELEMENTS);
        if out.len() != expected_elements {
            return Err(Error::OutputLength { format, expected_elements, output_elements: out.len() });
        }
        if set.streams() && size_of_val(out) >= STREAMED_BYTES {
            set.run(Streamed { blocks, out });
        } else {
            set.convert(blocks, out);
        }
        Ok(())
    }
}
