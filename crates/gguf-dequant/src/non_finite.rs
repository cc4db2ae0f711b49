//! The search for values that are not finite.

use zerocopy::FromBytes;

use crate::kernel::{Block, Simd, Task};
use crate::simd::InstructionSet;
use crate::{Error, Format, format::ForBlock};

/// The index of the first block that has a value which is NaN or infinite as `f32`; `None` where all are finite.
///
/// That is what a NaN or an infinite scale makes of a block, and what ggml calls invalid data. The values are those of
/// [`to_f32`](crate::to_f32): of MXFP4, large codes under the exponents 253 to 255 are beyond a single and count, and so are F64
/// numbers that round to infinity. No block of NVFP4 has one. `blocks` is any number of whole blocks, zero included, at any
/// alignment. The search goes about as fast as a conversion to `f32` in the cache, and stops where it finds one.
///
/// ```
/// use gguf_dequant::{Format, first_non_finite};
///
/// let mut blocks = [0; 3 * 34]; // three Q8_0 blocks
/// assert_eq!(first_non_finite(Format::Q8_0, &blocks)?, None);
///
/// blocks[34..36].copy_from_slice(&0x7E00_u16.to_le_bytes()); // the second one's scale: NaN
/// assert_eq!(first_non_finite(Format::Q8_0, &blocks)?, Some(1));
/// # Ok::<(), gguf_dequant::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::PartialBlock`] where `blocks` is not a whole number of [`Format::block_bytes`].
pub fn first_non_finite(format: Format, blocks: &[u8]) -> Result<Option<usize>, Error> {
    InstructionSet::best().first_non_finite(format, blocks)
}

#[doc(hidden)]
impl InstructionSet {
    /// [`first_non_finite`] on this set.
    pub fn first_non_finite(self, format: Format, blocks: &[u8]) -> Result<Option<usize>, Error> {
        format.with_block(WholeSearch { format, set: self, input: blocks })
    }
}

/// Searches `input` once it is known to be whole blocks.
struct WholeSearch<'a> {
    format: Format,
    set: InstructionSet,
    input: &'a [u8],
}

impl ForBlock for WholeSearch<'_> {
    type Out = Result<Option<usize>, Error>;

    fn run<B: Block>(self) -> Self::Out {
        let Self { format, set, input } = self;
        let Ok(blocks) = <[B]>::ref_from_bytes(input) else {
            return Err(Error::PartialBlock { format, input_bytes: input.len() });
        };
        Ok(set.run(Search { blocks }))
    }
}

/// How many values are made before they are tested: 8 KiB, which stay in the first cache.
const RUN: usize = 2048;

struct Search<'a, B> {
    blocks: &'a [B],
}

impl<B: Block> Task for Search<'_, B> {
    type Out = Option<usize>;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Option<usize> {
        const { assert!(RUN.is_multiple_of(B::ELEMENTS)) };
        let mut scratch = [0.0; RUN];
        let mut place = 0;
        for run in self.blocks.chunks(RUN / B::ELEMENTS) {
            // The last run may be shorter, none is longer.
            let (values, _) = scratch.split_at_mut(run.len() * B::ELEMENTS);
            simd.convert(run, values);
            if has_non_finite(values) {
                return values.chunks_exact(B::ELEMENTS).position(has_non_finite).map(|block| place + block);
            }
            place += run.len();
        }
        None
    }
}

/// Without a branch in the loop, so that it is done in vectors.
#[inline(always)]
fn has_non_finite(values: &[f32]) -> bool {
    const MAGNITUDE: u32 = u32::MAX >> 1;
    const INFINITY: u32 = f32::INFINITY.to_bits();
    const TOP: u32 = 1 << 31;
    // What is added carries into the top bit where the exponent is the greatest.
    let carried =
        values.iter().fold(0, |carried, value| carried | ((value.to_bits() & MAGNITUDE) + (TOP - INFINITY)));
    carried & TOP != 0
}
