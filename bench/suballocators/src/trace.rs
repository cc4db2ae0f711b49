//! Requests as a server for language models makes them, the same for every peer.

/// A small generator of good quality (xorshift64*), so that every run sees the same traces.
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
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
}

/// What a model is made of: width, width of its feed-forward layers, width of keys and values.
struct Shape {
    hidden: u64,
    feed_forward: u64,
    kv: u64,
}

/// Bytes of 256 weights: `Q4_K`, `Q6_K` and `Q8_0`.
const QUANTS: [u64; 3] = [144, 210, 272];

/// The sizes of a mix of models.
pub struct Sizes {
    shapes: &'static [Shape],
}

/// Models of 7 and 8 billion parameters: Llama 2 and 3, Qwen 2.5.
pub const LARGE: Sizes = Sizes {
    shapes: &[
        Shape { hidden: 4096, feed_forward: 11008, kv: 4096 },
        Shape { hidden: 4096, feed_forward: 14336, kv: 1024 },
        Shape { hidden: 3584, feed_forward: 18944, kv: 512 },
    ],
};

/// Models of half a billion parameters and less, so that a million buffers stay below a tebibyte: Qwen 2.5, SmolLM 2.
pub const SMALL: Sizes = Sizes {
    shapes: &[
        Shape { hidden: 896, feed_forward: 4864, kv: 128 },
        Shape { hidden: 576, feed_forward: 1536, kv: 192 },
        Shape { hidden: 960, feed_forward: 2560, kv: 320 },
    ],
};

impl Sizes {
    /// The size of one buffer: a tensor of weights, a part of a KV cache, or activations.
    pub fn draw(&self, random: &mut Random) -> u64 {
        let shape = &self.shapes[random.below(self.shapes.len() as u64) as usize];
        let Shape { hidden, feed_forward, kv } = *shape;
        let quant = QUANTS[random.below(QUANTS.len() as u64) as usize];
        let tokens = 1 + random.below(512);
        match random.below(16) {
            0 | 1 => hidden * hidden * quant / 256,
            2 | 3 => hidden * kv * quant / 256,
            4..=6 => hidden * feed_forward * quant / 256,
            7 => hidden * 4,
            8 | 9 => kv * 2 * 256 * (1 + random.below(16)),
            10..=12 => tokens * hidden * 4,
            13 | 14 => tokens * feed_forward * 2,
            _ => tokens * 4,
        }
    }
}
