//! Any bytes as blocks of any type: no panic, and the same values of every instruction set, whichever form they come out in; and
//! the search for values that are not finite finds the block that a look at all of them finds. The first byte says the type, the second at which address the blocks begin.

#![no_main]

use gguf_dequant::{Format, InstructionSet};
use libfuzzer_sys::fuzz_target;

/// Whether two values are the same, or both not a number, by the bits that make one.
fn is_same(one: u16, other: u16, infinity: u16) -> bool {
    let is_nan = |bits: u16| bits & 0x7FFF > infinity;
    one == other || is_nan(one) && is_nan(other)
}

fuzz_target!(|bytes: &[u8]| {
    let [choice, offset, rest @ ..] = bytes else { return };
    let format = Format::ALL[usize::from(*choice) % Format::ALL.len()];
    let rest = rest.get(usize::from(offset % 16)..).unwrap_or_default();
    let blocks = &rest[..rest.len() / format.block_bytes() * format.block_bytes()];
    let elements = blocks.len() / format.block_bytes() * format.block_elements();

    let portable = InstructionSet::available().last().expect("it is always there");
    let values = |set: InstructionSet| {
        let (mut singles, mut halves, mut bfloats) =
            (vec![0.0; elements], vec![0; elements], vec![0; elements]);
        set.to_f32(format, blocks, &mut singles).expect("whole blocks");
        set.to_f16(format, blocks, &mut halves).expect("whole blocks");
        set.to_bf16(format, blocks, &mut bfloats).expect("whole blocks");
        (singles, halves, bfloats)
    };
    let (singles, halves, bfloats) = values(portable);
    let spoilt = singles
        .chunks_exact(format.block_elements())
        .position(|block| !block.iter().all(|single| single.is_finite()));
    for set in InstructionSet::available() {
        assert_eq!(set.first_non_finite(format, blocks), Ok(spoilt), "{format} on {}", set.name());
        let (own_singles, own_halves, own_bfloats) = values(set);
        for (own, single) in own_singles.iter().zip(&singles) {
            assert!(
                own.to_bits() == single.to_bits() || own.is_nan() && single.is_nan(),
                "{format} on {}",
                set.name()
            );
        }
        assert!(
            own_halves.iter().zip(&halves).all(|(own, half)| is_same(*own, *half, 0x7C00)),
            "{format} as f16"
        );
        assert!(
            own_bfloats.iter().zip(&bfloats).all(|(own, half)| is_same(*own, *half, 0x7F80)),
            "{format} as bf16"
        );
    }
    if blocks.len() != rest.len() {
        assert!(portable.to_f32(format, rest, &mut vec![0.0; elements]).is_err());
        assert!(portable.first_non_finite(format, rest).is_err());
    }
});
