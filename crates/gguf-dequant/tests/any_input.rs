//! Whatever the bytes, the format and the lengths: no panic, an error exactly where the lengths do not fit, an
//! untouched output then, and otherwise the same values from every instruction set.

use gguf_dequant::{Error, Format, InstructionSet, instruction_set, to_bf16, to_f16, to_f32};
use half::{bf16, f16};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Where a test may write, and what it looked like before.
const UNTOUCHED_SINGLE: f32 = 12345.0;
const UNTOUCHED_HALF: u16 = 0x1234;

fn expected_error(format: Format, input_bytes: usize, output_elements: usize) -> Result<(), Error> {
    let expected_elements = input_bytes / format.block_bytes() * format.block_elements();
    if !input_bytes.is_multiple_of(format.block_bytes()) {
        Err(Error::PartialBlock { format, input_bytes })
    } else if output_elements != expected_elements {
        Err(Error::OutputLength { format, expected_elements, output_elements })
    } else {
        Ok(())
    }
}

/// A format, whole blocks of it, and one byte in front that spoils their alignment.
fn whole_blocks() -> impl Strategy<Value = (Format, Vec<u8>)> {
    (select(Format::ALL), 0..40_usize)
        .prop_flat_map(|(format, blocks)| (Just(format), vec(any::<u8>(), blocks * format.block_bytes() + 1)))
}

proptest! {
    #[test]
    fn an_error_comes_exactly_where_the_lengths_do_not_fit(
        format in select(Format::ALL),
        input in vec(any::<u8>(), 0..1000),
        fitting in any::<bool>(),
        other_elements in 0..2000_usize,
    ) {
        let elements = input.len() / format.block_bytes() * format.block_elements();
        let output_elements = if fitting { elements } else { other_elements };
        let expected = expected_error(format, input.len(), output_elements);

        let mut singles = vec![UNTOUCHED_SINGLE; output_elements];
        let mut halves = vec![UNTOUCHED_HALF; output_elements];
        prop_assert_eq!(&to_f32(format, &input, &mut singles), &expected);
        prop_assert_eq!(&to_f16(format, &input, &mut halves), &expected);
        let mut bfloats = vec![UNTOUCHED_HALF; output_elements];
        prop_assert_eq!(&to_bf16(format, &input, &mut bfloats), &expected);
        if expected.is_err() {
            prop_assert!(singles.iter().all(|single| single.to_bits() == UNTOUCHED_SINGLE.to_bits()));
            prop_assert!(halves.iter().all(|&half| half == UNTOUCHED_HALF));
            prop_assert!(bfloats.iter().all(|&half| half == UNTOUCHED_HALF));
        }
    }

    #[test]
    fn every_instruction_set_gives_the_same_values((format, bytes) in whole_blocks()) {
        let blocks = &bytes[1..];
        let elements = blocks.len() / format.block_bytes() * format.block_elements();
        let portable = InstructionSet::available().last().unwrap();
        prop_assert_eq!(portable.name(), "portable");
        let mut singles = vec![UNTOUCHED_SINGLE; elements];
        let mut halves = vec![UNTOUCHED_HALF; elements];
        portable.to_f32(format, blocks, &mut singles).unwrap();
        portable.to_f16(format, blocks, &mut halves).unwrap();
        let mut bfloats = vec![UNTOUCHED_HALF; elements];
        portable.to_bf16(format, blocks, &mut bfloats).unwrap();

        for set in InstructionSet::available() {
            let mut set_singles = vec![UNTOUCHED_SINGLE; elements];
            let mut set_halves = vec![UNTOUCHED_HALF; elements];
            set.to_f32(format, blocks, &mut set_singles).unwrap();
            set.to_f16(format, blocks, &mut set_halves).unwrap();
            let mut set_bfloats = vec![UNTOUCHED_HALF; elements];
            set.to_bf16(format, blocks, &mut set_bfloats).unwrap();
            for (&value, &expected) in set_bfloats.iter().zip(&bfloats) {
                let both_nan = bf16::from_bits(expected).is_nan() && bf16::from_bits(value).is_nan();
                let name = set.name();
                prop_assert!(value == expected || both_nan, "{format} on {name}: {value:#x}, portable {expected:#x}");
            }
            for (&value, &expected) in set_singles.iter().zip(&singles) {
                let equal = value.to_bits() == expected.to_bits() || value.is_nan() && expected.is_nan();
                prop_assert!(equal, "{format} on {}: {value:e}, portable {expected:e}", set.name());
            }
            for (&value, &expected) in set_halves.iter().zip(&halves) {
                let both_nan = f16::from_bits(value).is_nan() && f16::from_bits(expected).is_nan();
                let name = set.name();
                prop_assert!(value == expected || both_nan, "{format} on {name}: {value:#x}, portable {expected:#x}");
            }
        }
    }

    #[test]
    fn f16_and_bf16_are_f32_rounded((format, bytes) in whole_blocks()) {
        let blocks = &bytes[1..];
        let elements = blocks.len() / format.block_bytes() * format.block_elements();
        let mut singles = vec![UNTOUCHED_SINGLE; elements];
        let mut halves = vec![UNTOUCHED_HALF; elements];
        let mut bfloats = vec![UNTOUCHED_HALF; elements];
        to_f32(format, blocks, &mut singles).unwrap();
        to_f16(format, blocks, &mut halves).unwrap();
        to_bf16(format, blocks, &mut bfloats).unwrap();
        for ((single, half), bfloat) in singles.into_iter().zip(halves).zip(bfloats) {
            let expected = f16::from_f32_const(single);
            let both_nan = expected.is_nan() && f16::from_bits(half).is_nan();
            prop_assert!(half == expected.to_bits() || both_nan, "{format}: {single:e} became {half:#06x}");
            let expected = bf16::from_f32(single);
            let both_nan = expected.is_nan() && bf16::from_bits(bfloat).is_nan();
            prop_assert!(bfloat == expected.to_bits() || both_nan, "{format}: {single:e} became {bfloat:#06x}");
        }
    }
}

#[test]
fn no_blocks_make_no_values() {
    for &format in Format::ALL {
        assert_eq!(to_f32(format, &[], &mut []), Ok(()));
        assert_eq!(to_f16(format, &[], &mut []), Ok(()));
        assert_eq!(to_bf16(format, &[], &mut []), Ok(()));
    }
}

#[test]
fn the_best_set_is_the_one_in_use_and_the_portable_one_is_always_there() {
    let names: Vec<_> = InstructionSet::available().map(InstructionSet::name).collect();
    assert_eq!(names.first(), Some(&instruction_set()));
    assert_eq!(names.last(), Some(&"portable"));
}

#[test]
fn errors_say_what_was_expected_and_what_came() {
    let partial = to_f32(Format::Q4K, &[0; 100], &mut []).unwrap_err().to_string();
    assert!(
        partial.contains("Q4_K") && partial.contains("144 bytes") && partial.contains("100 bytes"),
        "{partial}"
    );

    let length = to_f16(Format::Q8_0, &[0; 68], &mut [0; 63]).unwrap_err().to_string();
    assert!(
        length.contains("Q8_0") && length.contains("64 values") && length.contains("63 long"),
        "{length}"
    );
}
