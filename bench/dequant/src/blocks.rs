//! Blocks of random codes.

use gguf_dequant::Format;
use half::f16;
use rand::rngs::SmallRng;
use rand::{Rng, RngExt, SeedableRng};

/// The offsets of the halves that scale a block.
fn scale_offsets(format: Format) -> &'static [usize] {
    match format {
        Format::Q4_1 | Format::Q5_1 | Format::Q4K | Format::Q5K => &[0, 2],
        Format::Q2K => &[80, 82],
        Format::Q3K => &[108],
        Format::Q6K => &[208],
        Format::Tq1_0 => &[52],
        Format::Tq2_0 => &[64],
        Format::F32
        | Format::F16
        | Format::Bf16
        | Format::F64
        | Format::Q8K
        | Format::Mxfp4
        | Format::Nvfp4
        | Format::Iq1M => &[],
        _ => &[0],
    }
}

/// As many as make so many values; ordinary ones have scales such as a model's.
pub fn random_blocks(format: Format, elements: usize, ordinary: bool) -> Vec<u8> {
    let mut random = SmallRng::seed_from_u64(u64::from(format.type_id()));
    let mut bytes = vec![0; elements / format.block_elements() * format.block_bytes()];
    random.fill_bytes(&mut bytes);
    if !ordinary {
        return bytes;
    }
    for block in bytes.chunks_exact_mut(format.block_bytes()) {
        let scale = random.random_range(0.001..0.02_f32);
        for &offset in scale_offsets(format) {
            block[offset..offset + 2].copy_from_slice(&f16::from_f32(scale).to_le_bytes());
        }
        match format {
            Format::F32 | Format::Q8K => block[..4].copy_from_slice(&scale.to_le_bytes()),
            Format::F64 => block.copy_from_slice(&f64::from(scale).to_le_bytes()),
            Format::F16 => block.copy_from_slice(&f16::from_f32(scale).to_le_bytes()),
            Format::Bf16 => block.copy_from_slice(&scale.to_le_bytes()[2..]),
            Format::Mxfp4 => block[0] = random.random_range(110..130),
            Format::Nvfp4 => block[..4].fill(random.random_range(32..64)),
            Format::Iq1M => {
                let bits = f16::from_f32(scale).to_bits();
                for word in 0..4 {
                    let nibble = (bits >> (4 * word) & 15) as u8;
                    let top = &mut block[49 + 2 * word];
                    *top = *top & 0x0F | nibble << 4;
                }
            }
            _ => {}
        }
    }
    bytes
}
