//! The instruction sets: what each does better than plain Rust, and the choice between them at run time.

#[cfg(target_arch = "aarch64")]
mod aarch64;
mod portable;
#[cfg(target_arch = "x86_64")]
mod x86_64;

use crate::blocks::Block;
use crate::value::Value;
use portable::Portable;

/// How many values a kernel makes at a time: one vector of bytes.
pub(crate) const LANES: usize = 16;

/// The signed codes of quantised values.
pub(crate) type Codes = [i8; LANES];
/// The bits of IEEE halves.
pub(crate) type Halves = [u16; LANES];
pub(crate) type Singles = [f32; LANES];

/// Proof that this processor has an instruction set, and the operations for which the set has instructions that the
/// compiler does not find in plain Rust. A value exists only where the set was detected.
pub(crate) trait Simd: Copy {
    /// What [`instruction_set`](crate::instruction_set) calls it.
    const NAME: &str;

    /// Compiles the kernel of `B` for this set and runs it; `out` is exactly as long as the values of `blocks`.
    fn run<B: Block, V: Value>(self, blocks: &[B], out: &mut [V]);

    /// `scale * code - minimum`, each operation rounded.
    fn decode(self, codes: Codes, scale: f32, minimum: f32) -> Singles;

    /// Halves to singles, exactly; a signalling NaN becomes the quiet one with its payload.
    fn widen(self, halves: Halves) -> Singles;

    /// Singles to the nearest halves, ties to even; a NaN keeps the upper bits of its payload and becomes quiet.
    fn narrow(self, singles: Singles) -> Halves;

    /// One half to a single, as [`widen`](Self::widen) does.
    fn widen_one(self, half: u16) -> f32;
}

/// `f` of each lane.
#[inline(always)]
pub(crate) fn map_lanes<T: Copy, U: Copy + Default>(lanes: &[T; LANES], f: impl Fn(T) -> U) -> [U; LANES] {
    zip_lanes(lanes, lanes, |lane, _| f(lane))
}

/// `f` of each two lanes.
// Indices below the length of an array cannot panic. Iterators, and `<[T; N]>::map`, say the same, but the compiler
// makes a vector of them only now and then, depending on how the crate is cut into codegen units.
#[allow(clippy::indexing_slicing, clippy::needless_range_loop)]
#[inline(always)]
pub(crate) fn zip_lanes<T: Copy, U: Copy + Default>(
    left: &[T; LANES],
    right: &[T; LANES],
    f: impl Fn(T, T) -> U,
) -> [U; LANES] {
    let mut out = [U::default(); LANES];
    for lane in 0..LANES {
        out[lane] = f(left[lane], right[lane]);
    }
    out
}

/// An instruction set that this processor has.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct InstructionSet(Kind);

#[derive(Clone, Copy, Debug)]
enum Kind {
    Portable(Portable),
    #[cfg(target_arch = "x86_64")]
    Avx2(x86_64::Avx2),
    #[cfg(target_arch = "aarch64")]
    Neon(aarch64::Neon),
}

impl InstructionSet {
    /// Every set that runs here, the best one first and the portable one last.
    pub fn available() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let best = x86_64::Avx2::detect().map(Kind::Avx2);
        #[cfg(target_arch = "aarch64")]
        let best = aarch64::Neon::detect().map(Kind::Neon);
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        let best = None;

        best.into_iter().chain([Kind::Portable(Portable)]).map(Self)
    }

    /// The set that is used when none is asked for.
    #[must_use]
    pub fn best() -> Self {
        Self::available().next().unwrap_or(Self(Kind::Portable(Portable)))
    }

    /// Its name, such as `"avx2+f16c"`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.0 {
            Kind::Portable(simd) => name_of(simd),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(simd) => name_of(simd),
            #[cfg(target_arch = "aarch64")]
            Kind::Neon(simd) => name_of(simd),
        }
    }

    pub(crate) fn run<B: Block, V: Value>(self, blocks: &[B], out: &mut [V]) {
        match self.0 {
            Kind::Portable(simd) => simd.run(blocks, out),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(simd) => simd.run(blocks, out),
            #[cfg(target_arch = "aarch64")]
            Kind::Neon(simd) => simd.run(blocks, out),
        }
    }
}

fn name_of<S: Simd>(_: S) -> &'static str {
    S::NAME
}
