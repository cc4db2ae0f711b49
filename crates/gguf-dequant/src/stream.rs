//! Conversion past the caches.
//!
//! A plain store into memory that no cache has first reads the line that it changes. Where the output is so large that its
//! beginning has left the caches before its end is made, nobody gains by that: whole lines are then written straight to memory.

use zerocopy::{FromBytes, FromZeros, IntoBytes};

use crate::kernel::{Block, Line, Simd, Task, Value};

/// From so many bytes of output on. It is more than the share of the last cache that a core has on most machines; what a
/// loader converts at a time, about 1 MiB, is read again at once and has to stay.
pub(crate) const STREAMED_BYTES: usize = 16 << 20;

/// How many values are made before their lines are written: few, so that the memory is never idle.
const RUN: usize = 256;

const LINE: usize = size_of::<Line>();

/// Where a run is made: as far behind the start of a line as it lies in the output, so that lines are lines of both.
type Scratch = [Line; RUN * size_of::<f32>() / LINE + 1];

/// Writes the values of the blocks past the caches.
pub(crate) struct Streamed<'a, B, V> {
    pub(crate) blocks: &'a [B],
    /// Exactly as long as the values of the blocks, and longer than a line.
    pub(crate) out: &'a mut [V],
}

impl<B: Block, V: Value> Task for Streamed<'_, B, V> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        const { assert!(RUN.is_multiple_of(B::ELEMENTS) && (RUN * size_of::<V>()).is_multiple_of(LINE)) };
        const { assert!(RUN * size_of::<V>() + LINE <= size_of::<Scratch>()) };
        let out = self.out.as_mut_bytes();
        let (head, rest) = out.split_at_mut(out.as_ptr().align_offset(LINE));
        let Ok((lines, tail)) = <[Line]>::mut_from_prefix(rest) else { return };
        let mut lines = lines.iter_mut();

        let lead = (LINE - head.len()) % LINE;
        let mut head = (lead > 0).then_some(head);
        let mut scratch = Scratch::new_zeroed();
        for run in self.blocks.chunks(RUN / B::ELEMENTS) {
            let end = lead + run.len() * B::ELEMENTS * size_of::<V>();
            let bytes = scratch.as_mut_bytes().get_mut(lead..end).unwrap_or_default();
            let Ok(values) = <[V]>::mut_from_bytes(bytes) else { return };
            simd.convert(run, values);

            let whole_lines = end / LINE;
            let mut made = scratch.iter().take(whole_lines);
            if let Some(head) = head.take() {
                let first = made.next().into_iter().flat_map(|line| &line.0);
                copy(first.skip(lead), head);
            }
            for (line, to) in made.zip(&mut lines) {
                simd.stream(line, to);
            }
            // What is left of a line waits for the next run.
            scratch.copy_within(whole_lines..=whole_lines, 0);
        }
        copy(scratch.as_bytes().iter(), tail);
        simd.fence();
    }
}

fn copy<'a>(from: impl Iterator<Item = &'a u8>, to: &mut [u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}

#[cfg(test)]
mod tests {
    use zerocopy::FromBytes;

    use super::Streamed;
    use crate::kernel::{Block, Task, Value};
    use crate::simd::Portable;
    use crate::{Format, format::ForBlock};

    /// Whether streamed values are those of one plain conversion, and nothing beside them is touched, from any place in a line on.
    struct Compare<V> {
        blocks: usize,
        untouched: V,
    }

    impl<V: Value + PartialEq> ForBlock for Compare<V> {
        type Out = bool;

        fn run<B: Block>(self) -> bool {
            let bytes: Vec<u8> = (0..self.blocks * size_of::<B>()).map(|place| (place % 61) as u8).collect();
            let blocks = <[B]>::ref_from_bytes(&bytes).unwrap();
            let mut expected = vec![self.untouched; self.blocks * B::ELEMENTS];
            B::write(Portable, blocks, &mut expected);
            (0..64 / size_of::<V>()).all(|offset| {
                let mut out = vec![self.untouched; expected.len() + 64];
                Streamed { blocks, out: &mut out[offset..][..expected.len()] }.run(Portable);
                let (before, rest) = out.split_at(offset);
                let (values, behind) = rest.split_at(expected.len());
                values == expected && before.iter().chain(behind).all(|value| *value == self.untouched)
            })
        }
    }

    #[test]
    fn streamed_values_are_the_same_wherever_the_output_begins_and_ends() {
        for &format in Format::ALL {
            let few = 1024 / format.block_elements();
            for blocks in [few - 1, few, few + 1, 2 * few + 3] {
                assert!(
                    format.with_block(Compare { blocks, untouched: 12345.0_f32 }),
                    "{blocks} of {format}"
                );
                assert!(format.with_block(Compare { blocks, untouched: 0x1234_u16 }), "{blocks} of {format}");
            }
        }
    }
}
