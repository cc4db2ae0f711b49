//! Every format on every instruction set gives what the `gguf` package of `PyPI` gave, bit for bit, and where that has none what
//! `numpy` makes of its layout.
//!
//! The files are made by `scripts/make-dequant-vectors.py`.

use std::fs;
use std::path::Path;

use gguf_dequant::{Format, InstructionSet};
use half::f16;

fn vector(format: Format, suffix: &str) -> Result<Vec<u8>, String> {
    let name = format!("{}.{suffix}", format.name().to_lowercase());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name);
    fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))
}

fn singles(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|single| f32::from_le_bytes(*single)).collect()
}

fn halves(bytes: &[u8]) -> Vec<u16> {
    bytes.as_chunks().0.iter().map(|half| u16::from_le_bytes(*half)).collect()
}

#[test]
fn f32_equals_the_gguf_package_bit_for_bit() {
    for set in InstructionSet::available() {
        for &format in Format::ALL {
            let expected = singles(&vector(format, "f32").unwrap());
            let mut values = vec![0.0; expected.len()];
            set.to_f32(format, &vector(format, "blocks").unwrap(), &mut values).unwrap();
            for (index, (value, expected)) in values.iter().zip(&expected).enumerate() {
                let equal = value.to_bits() == expected.to_bits() || value.is_nan() && expected.is_nan();
                assert!(equal, "{format} on {}, value {index}: {value:e}, expected {expected:e}", set.name());
            }
        }
    }
}

#[test]
fn f16_equals_the_gguf_package_rounded_by_numpy_bit_for_bit() {
    for set in InstructionSet::available() {
        for &format in Format::ALL {
            let expected = halves(&vector(format, "f16").unwrap());
            let mut values = vec![0; expected.len()];
            set.to_f16(format, &vector(format, "blocks").unwrap(), &mut values).unwrap();
            for (index, (&value, &expected)) in values.iter().zip(&expected).enumerate() {
                let both_nan = f16::from_bits(value).is_nan() && f16::from_bits(expected).is_nan();
                let name = set.name();
                assert!(
                    value == expected || both_nan,
                    "{format} on {name}, value {index}: {value:#06x}, expected {expected:#06x}"
                );
            }
        }
    }
}

#[test]
fn the_vectors_reach_every_edge_of_both_outputs() {
    let all_singles: Vec<_> =
        Format::ALL.iter().flat_map(|&format| singles(&vector(format, "f32").unwrap())).collect();
    assert!(all_singles.iter().any(|value| value.is_nan()));
    assert!(all_singles.iter().any(|value| value.is_infinite()));
    assert!(all_singles.iter().any(|value| value.is_subnormal()));
    assert!(all_singles.iter().any(|value| value.to_bits() == (-0.0_f32).to_bits()));

    let overflows = |&format: &Format| {
        let values = singles(&vector(format, "f32").unwrap());
        let rounded = halves(&vector(format, "f16").unwrap());
        values.iter().zip(rounded).any(|(value, half)| value.is_finite() && half & 0x7FFF == 0x7C00)
    };
    // Their values are a half and its negative, or small floats: none is beyond what a half holds.
    let small = [Format::Tq1_0, Format::Nvfp4, Format::Q1_0];
    let blocks = Format::ALL.iter().filter(|format| format.block_elements() > 1);
    let others: Vec<_> = blocks.filter(|format| !overflows(format)).copied().collect();
    assert_eq!(others, small);
}
