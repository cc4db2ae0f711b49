//! Requests as servers of language models make them, the same for every peer.

/// A small generator (xorshift64*), so that every run sees the same traces.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }
}

/// What a model is made of: the widths of its layers, of their feed-forward part, and of keys and values.
struct Shape {
    hidden: u64,
    feed_forward: u64,
    kv: u64,
}

/// Bytes of 256 weights: `Q4_K`, `Q6_K` and `Q8_0`.
const QUANTS: [u64; 3] = [144, 210, 272];

/// The buffers of a mix of models.
pub struct Sizes {
    shapes: [Shape; 3],
}

/// Llama 2 and 3 of 7 and 8 billion parameters, Qwen 2.5 of 7.
pub const LARGE: Sizes = Sizes {
    shapes: [
        Shape { hidden: 4096, feed_forward: 11_008, kv: 4096 },
        Shape { hidden: 4096, feed_forward: 14_336, kv: 1024 },
        Shape { hidden: 3584, feed_forward: 18_944, kv: 512 },
    ],
};

/// Qwen 2.5 of 0.5 billion parameters, SmolLM 2 of 0.14 and 0.36: a million of their buffers fit into a tebibyte.
pub const SMALL: Sizes = Sizes {
    shapes: [
        Shape { hidden: 896, feed_forward: 4864, kv: 128 },
        Shape { hidden: 576, feed_forward: 1536, kv: 192 },
        Shape { hidden: 960, feed_forward: 2560, kv: 320 },
    ],
};

impl Sizes {
    /// The size of one buffer: a tensor of weights, part of a KV cache, or activations.
    pub fn draw(&self, random: &mut Random) -> u64 {
        let Shape { hidden, feed_forward, kv } = self.shapes[random.below(self.shapes.len())];
        let quant = QUANTS[random.below(QUANTS.len())];
        let tokens = 1 + random.below(256) as u64;
        match random.below(16) {
            0 | 1 => hidden * hidden * quant / 256,
            2 | 3 => hidden * kv * quant / 256,
            4..=6 => hidden * feed_forward * quant / 256,
            7 => hidden * 4,
            8 | 9 => kv * 2 * 256 * (1 + random.below(16) as u64),
            10..=12 => tokens * hidden * 4,
            13 | 14 => tokens * feed_forward * 2,
            _ => tokens * 4,
        }
    }
}
