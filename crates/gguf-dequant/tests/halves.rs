//! F16 and BF16 widen as IEEE 754 says, and singles round to both as it says, on every instruction set.

use gguf_dequant::{Format, InstructionSet};
use half::{bf16, f16};

fn every_bit_pattern() -> Vec<u8> {
    (0..=u16::MAX).flat_map(u16::to_le_bytes).collect()
}

#[test]
fn every_half_widens_exactly_and_signalling_nans_become_quiet() {
    for set in InstructionSet::available() {
        let mut values = vec![0.0; 1 << 16];
        set.to_f32(Format::F16, &every_bit_pattern(), &mut values).unwrap();
        for (bits, value) in (0..=u16::MAX).zip(values) {
            let expected = f16::from_bits(bits).to_f32_const();
            assert_eq!(value.to_bits(), expected.to_bits(), "{bits:#06x} on {}", set.name());
        }
    }
}

#[test]
fn every_half_comes_back_as_it_was() {
    for set in InstructionSet::available() {
        let mut values = vec![0; 1 << 16];
        set.to_f16(Format::F16, &every_bit_pattern(), &mut values).unwrap();
        assert!((0..=u16::MAX).eq(values), "{}", set.name());
    }
}

#[test]
fn every_bf16_is_the_upper_half_of_its_single() {
    for set in InstructionSet::available() {
        let mut singles = vec![0.0; 1 << 16];
        let mut halves = vec![0; 1 << 16];
        set.to_f32(Format::Bf16, &every_bit_pattern(), &mut singles).unwrap();
        set.to_f16(Format::Bf16, &every_bit_pattern(), &mut halves).unwrap();
        for (bits, (single, half)) in (0..=u16::MAX).zip(singles.into_iter().zip(halves)) {
            assert_eq!(single.to_bits(), u32::from(bits) << 16, "{bits:#06x} on {}", set.name());
            let expected = f16::from_f32_const(bf16::from_bits(bits).to_f32_const());
            assert_eq!(half, expected.to_bits(), "{bits:#06x} on {}", set.name());
        }
    }
}

#[test]
fn every_bf16_comes_back_as_it_was() {
    for set in InstructionSet::available() {
        let mut values = vec![0; 1 << 16];
        set.to_bf16(Format::Bf16, &every_bit_pattern(), &mut values).unwrap();
        assert!((0..=u16::MAX).eq(values), "{}", set.name());
    }
}

#[test]
fn singles_round_to_the_nearest_bf16_with_ties_to_even() {
    let around = |bits: u32| (-1..=1).map(move |step| f32::from_bits(bits.wrapping_add_signed(step)));
    let singles: Vec<f32> = (0..=u16::MAX)
        .flat_map(|upper| around(u32::from(upper) << 16).chain(around(u32::from(upper) << 16 | 0x8000)))
        .collect();
    let bytes: Vec<u8> = singles.iter().copied().flat_map(f32::to_le_bytes).collect();
    for set in InstructionSet::available() {
        let mut rounded = vec![0; singles.len()];
        set.to_bf16(Format::F32, &bytes, &mut rounded).unwrap();
        for (single, rounded) in singles.iter().zip(rounded) {
            let expected = bf16::from_f32(*single).to_bits();
            assert_eq!(rounded, expected, "{single:e} ({:#010x}) on {}", single.to_bits(), set.name());
        }
    }
}

/// Each half, what lies halfway to the next one, and the singles on either side of both.
fn singles_around_every_half() -> Vec<f32> {
    let around = |bits: u32| (-1..=1).map(move |step| f32::from_bits(bits.wrapping_add_signed(step)));
    let single = |half: u16| f16::from_bits(half).to_f32_const();
    (0..=u16::MAX)
        .flat_map(|half| {
            let halfway = f32::midpoint(single(half), single(half.wrapping_add(1)));
            around(single(half).to_bits()).chain(around(halfway.to_bits()))
        })
        .collect()
}

#[test]
fn singles_round_to_the_nearest_half_with_ties_to_even() {
    let singles = singles_around_every_half();
    let bytes: Vec<u8> = singles.iter().copied().flat_map(f32::to_le_bytes).collect();
    for set in InstructionSet::available() {
        let mut halves = vec![0; singles.len()];
        set.to_f16(Format::F32, &bytes, &mut halves).unwrap();
        for (single, half) in singles.iter().zip(halves) {
            let expected = f16::from_f32_const(*single).to_bits();
            assert_eq!(half, expected, "{single:e} ({:#010x}) on {}", single.to_bits(), set.name());
        }
    }
}

#[test]
fn the_first_single_past_the_greatest_half_is_infinite() {
    let halves_of = |single: f32| {
        InstructionSet::available().map(move |set| {
            let mut half = [0];
            set.to_f16(Format::F32, &single.to_le_bytes(), &mut half).unwrap();
            half[0]
        })
    };
    assert!(halves_of(65520.0_f32.next_down()).all(|half| half == 0x7BFF));
    assert!(halves_of(65520.0).all(|half| half == 0x7C00));
    assert!(halves_of(f32::MIN).all(|half| half == 0xFC00));
}
