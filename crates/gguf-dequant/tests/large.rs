//! An output larger than the caches holds the same values as one that is converted in pieces.

// A test fails by panicking; its helpers are not seen as tests.
#![allow(clippy::indexing_slicing, clippy::unwrap_used)]

use gguf_dequant::{Error, Format, InstructionSet};

/// So large that it is written past the caches.
const LARGE_BYTES: usize = 16 << 20;

/// Blocks with small numbers in them, so that every value is a number; one more than fill `LARGE_BYTES`.
fn blocks(format: Format, value_bytes: usize) -> (Vec<u8>, usize) {
    let count = LARGE_BYTES / value_bytes / format.block_elements() + 1;
    let bytes = (0..count * format.block_bytes()).map(|place| (place % 61) as u8).collect();
    (bytes, count * format.block_elements())
}

/// Compares one conversion into a slice that does not begin where a line does with many small ones.
fn assert_whole_equals_pieces<T: Copy + Default + PartialEq>(
    format: Format,
    set: InstructionSet,
    convert: impl Fn(&[u8], &mut [T]) -> Result<(), Error>,
) {
    let (blocks, elements) = blocks(format, size_of::<T>());
    let mut whole = vec![T::default(); elements + 1];
    convert(&blocks, &mut whole[1..]).unwrap();

    let piece_blocks = 65_536 / format.block_elements();
    let mut values = vec![T::default(); piece_blocks * format.block_elements()];
    let pieces = whole[1..].chunks(values.len()).zip(blocks.chunks(piece_blocks * format.block_bytes()));
    for (place, (expected, blocks)) in pieces.enumerate() {
        let values = &mut values[..expected.len()];
        convert(blocks, values).unwrap();
        assert!(values == expected, "piece {place} of {format} on {}", set.name());
    }
    assert!(whole[0] == T::default(), "{format} on {} wrote in front of its output", set.name());
}

#[test]
fn a_large_f32_output_is_the_same_as_its_pieces() {
    for set in InstructionSet::available() {
        for format in [Format::F32, Format::F16, Format::Q5_0, Format::Q4K, Format::Q1_0] {
            assert_whole_equals_pieces(format, set, |blocks, out| set.to_f32(format, blocks, out));
        }
    }
}

#[test]
fn a_large_f16_or_bf16_output_is_the_same_as_its_pieces() {
    for set in InstructionSet::available() {
        for format in [Format::F16, Format::Bf16, Format::Q4K] {
            assert_whole_equals_pieces(format, set, |blocks, out| set.to_f16(format, blocks, out));
            assert_whole_equals_pieces(format, set, |blocks, out| set.to_bf16(format, blocks, out));
        }
    }
}
