//! The search finds the first block whose values as f32 are not all finite, of every format on every instruction set.

// A test fails by panicking; its helpers are not seen as tests.
#![allow(clippy::indexing_slicing, clippy::unwrap_used)]

use std::ops::Range;

use gguf_dequant::{Error, Format, InstructionSet, first_non_finite, to_f32};
use half::{bf16, f16};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// So many that they are made in more than two runs, the last of them short.
fn block_count(format: Format) -> usize {
    4096 / format.block_elements() + 3
}

/// A number that a block is scaled by, or that is a block.
#[derive(Clone, Copy)]
enum Scale {
    Ordinary,
    Infinite,
    NotANumber,
}

impl Scale {
    fn single(self) -> f32 {
        match self {
            Self::Ordinary => 0.01,
            Self::Infinite => f32::NEG_INFINITY,
            Self::NotANumber => f32::NAN,
        }
    }

    /// The bytes of the scale, as `format` has them, over those of the block.
    fn write(self, format: Format, block: &mut [u8]) {
        let half = f16::from_f32(self.single()).to_le_bytes();
        match format {
            Format::F64 => block.copy_from_slice(&f64::from(self.single()).to_le_bytes()),
            Format::F32 | Format::Q8K => block[..4].copy_from_slice(&self.single().to_le_bytes()),
            Format::Bf16 => block.copy_from_slice(&bf16::from_f32(self.single()).to_le_bytes()),
            Format::Mxfp4 => {
                block[0] = if matches!(self, Self::Ordinary) { 120 } else { 255 };
                block[1] = 0x77; // the greatest code
            }
            Format::Iq1M => {
                let [low, high] = half;
                for (top, nibble) in
                    [49, 51, 53, 55].into_iter().zip([low & 15, low >> 4, high & 15, high >> 4])
                {
                    block[top] = block[top] & 0x0F | nibble << 4;
                }
            }
            _ => scale_bytes(format).for_each(|offset| block[offset..offset + 2].copy_from_slice(&half)),
        }
    }
}

/// Where the halves lie that scale a block: one, or a scale and a minimum.
fn scale_bytes(format: Format) -> std::iter::StepBy<Range<usize>> {
    match format {
        Format::Q4_1 | Format::Q5_1 | Format::Q4K | Format::Q5K => 0..4,
        Format::Q2K => 80..84,
        Format::Q3K => 108..110,
        Format::Q6K => 208..210,
        Format::Tq1_0 => 52..54,
        Format::Tq2_0 => 64..66,
        Format::Nvfp4 => 0..0, // its scales have no infinity and no NaN
        _ => 0..2,
    }
    .step_by(2)
}

/// A fixed sequence of codes, under scales such as a model's.
fn ordinary_blocks(format: Format) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut bytes: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    })
    .take(block_count(format) * format.block_bytes())
    .collect();
    bytes.chunks_exact_mut(format.block_bytes()).for_each(|block| Scale::Ordinary.write(format, block));
    bytes
}

fn found(set: InstructionSet, format: Format, blocks: &[u8]) -> Option<usize> {
    set.first_non_finite(format, blocks).unwrap()
}

#[test]
fn ordinary_blocks_of_every_format_are_finite() {
    for set in InstructionSet::available() {
        for &format in Format::ALL {
            assert_eq!(found(set, format, &ordinary_blocks(format)), None, "{format} on {}", set.name());
            assert_eq!(found(set, format, &[]), None, "{format} on {}", set.name());
        }
    }
}

#[test]
fn a_nan_or_infinite_scale_is_found_in_whichever_block_it_is() {
    for &format in Format::ALL.iter().filter(|&&format| format != Format::Nvfp4) {
        let (bytes, last) = (format.block_bytes(), block_count(format) - 1);
        let ordinary = ordinary_blocks(format);
        for set in InstructionSet::available() {
            for scale in [Scale::Infinite, Scale::NotANumber] {
                for place in [0, 1, 7, 8, last / 2, last - 1, last] {
                    let mut blocks = ordinary.clone();
                    scale.write(format, &mut blocks[place * bytes..][..bytes]);
                    assert_eq!(found(set, format, &blocks), Some(place), "{format} on {}", set.name());
                    // One behind it changes nothing.
                    scale.write(format, &mut blocks[last * bytes..]);
                    assert_eq!(found(set, format, &blocks), Some(place), "{format} on {}", set.name());
                    assert_eq!(found(set, format, &blocks[..place * bytes]), None, "{format} before it");
                }
            }
        }
    }
}

#[test]
fn a_nan_minimum_spoils_a_block_whose_scale_is_finite() {
    for (format, minimum) in
        [(Format::Q4_1, 2), (Format::Q5_1, 2), (Format::Q2K, 82), (Format::Q4K, 2), (Format::Q5K, 2)]
    {
        for half in [f16::NAN, f16::INFINITY] {
            let mut blocks = ordinary_blocks(format);
            let place = 10 * format.block_bytes() + minimum;
            blocks[place..place + 2].copy_from_slice(&half.to_le_bytes());
            assert_eq!(first_non_finite(format, &blocks), Ok(Some(10)), "{format}");
        }
    }
}

#[test]
fn plain_numbers_are_found_by_their_exponents_and_the_greatest_ones_are_finite() {
    let singles = [f32::MAX, f32::MIN, -0.0, f32::from_bits(1), f32::NAN];
    let halves = [f16::MAX, f16::MIN, f16::NEG_ZERO, f16::from_bits(1), f16::NEG_INFINITY];
    let bfloats = [bf16::MAX, bf16::MIN, bf16::NEG_ZERO, bf16::from_bits(1), bf16::from_bits(0xFF81)];
    let doubles = [f64::from(f32::MAX), f64::from(f32::MIN), -0.0, f64::MIN_POSITIVE, f64::NAN];
    let numbers = [
        (Format::F32, singles.map(f32::to_le_bytes).concat()),
        (Format::F16, halves.map(f16::to_le_bytes).concat()),
        (Format::Bf16, bfloats.map(bf16::to_le_bytes).concat()),
        (Format::F64, doubles.map(f64::to_le_bytes).concat()),
    ];
    for set in InstructionSet::available() {
        for (format, bytes) in &numbers {
            assert_eq!(found(set, *format, bytes), Some(4), "{format} on {}", set.name());
        }
        // A double may be finite and still beyond every single.
        assert_eq!(found(set, Format::F64, &[1.0, f64::MAX].map(f64::to_le_bytes).concat()), Some(1));
    }
}

#[test]
fn mxfp4_is_infinite_where_a_code_under_its_exponent_is_beyond_a_single() {
    // The codes 7, 6, 5, 4, 3 are 6, 4, 3, 2, 1.5.
    let cases = [
        (252, 7, false),
        (253, 6, true),
        (253, 5, false),
        (254, 5, true),
        (254, 4, true),
        (254, 3, false),
        (255, 4, true),
        (255, 1, false),
        (255, 0, false),
    ];
    for set in InstructionSet::available() {
        for (exponent, code, infinite) in cases {
            let mut block = [0; 17];
            block[0] = exponent;
            block[16] = code << 4;
            let expected = infinite.then_some(0);
            assert_eq!(
                found(set, Format::Mxfp4, &block),
                expected,
                "code {code} under {exponent} on {}",
                set.name()
            );
        }
    }
}

#[test]
fn nvfp4_is_always_finite() {
    let blocks: Vec<u8> =
        (0..=u8::MAX).flat_map(|scale| [[scale; 4].as_slice(), &[0x7F; 32]].concat()).collect();
    for set in InstructionSet::available() {
        assert_eq!(found(set, Format::Nvfp4, &blocks), None, "{}", set.name());
    }
}

#[test]
fn blocks_that_are_not_whole_are_refused() {
    for &format in Format::ALL.iter().filter(|format| format.block_bytes() > 1) {
        let input = vec![0; 3 * format.block_bytes() - 1];
        assert_eq!(
            first_non_finite(format, &input),
            Err(Error::PartialBlock { format, input_bytes: input.len() })
        );
    }
}

proptest! {
    #[test]
    fn the_search_finds_what_a_look_at_every_value_finds(
        (format, bytes) in (select(Format::ALL), 0..40_usize).prop_flat_map(|(format, blocks)| {
            (Just(format), vec(any::<u8>(), blocks * format.block_bytes() + 1))
        })
    ) {
        let blocks = &bytes[1..];
        let mut values = vec![0.0; blocks.len() / format.block_bytes() * format.block_elements()];
        to_f32(format, blocks, &mut values).unwrap();
        let expected = values.chunks(format.block_elements()).position(|block| block.iter().any(|value| !value.is_finite()));
        for set in InstructionSet::available() {
            prop_assert_eq!(found(set, format, blocks), expected, "{} on {}", format, set.name());
        }
    }
}
