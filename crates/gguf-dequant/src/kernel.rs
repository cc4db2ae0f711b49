//! What a kernel is made of: a block, the instructions of a processor, and what the values become.
//!
//! Each knows the others, and their implementations know nothing but these.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// One block as it lies in a file: byte arrays only, so that any address will do.
pub(crate) trait Block: FromBytes + Immutable + KnownLayout + Unaligned {
    /// How many values one block makes.
    const ELEMENTS: usize;

    /// Writes the values of `blocks` to `out`, which is exactly as long as they are. Called by [`Simd::convert`] alone.
    ///
    /// An implementation is `#[inline(always)]` and works on vectors, by `drive::blocks` or `drive::elements`.
    fn write<S: Simd, V: Value>(simd: S, blocks: &[Self], out: &mut [V])
    where
        Self: Sized;
}

/// An element of the output: `f32`, or the bits of an `f16` or of a `bf16`.
pub(crate) trait Value: Copy + FromBytes + IntoBytes + Immutable + KnownLayout {
    /// Whether it is the single that kernels compute.
    const IS_SINGLE: bool = false;

    /// Makes a vector of values from the results of a computation.
    fn from_singles<S: Simd>(simd: S, singles: Singles) -> [Self; LANES];

    /// Makes a vector of values from halves that are already the result.
    fn from_halves<S: Simd>(simd: S, halves: Halves) -> [Self; LANES];

    /// Makes a vector of values from the bits of `bf16` that are already the result.
    #[inline(always)]
    fn from_bfloats<S: Simd>(simd: S, bfloats: Halves) -> [Self; LANES] {
        Self::from_singles(simd, map_lanes(&bfloats, |upper| f32::from_bits(u32::from(upper) << 16)))
    }
}

/// How many values a kernel makes at a time: one vector of bytes.
pub(crate) const LANES: usize = 16;

/// The signed codes of quantised values.
pub(crate) type Codes = [i8; LANES];
/// The bits of IEEE halves.
pub(crate) type Halves = [u16; LANES];
pub(crate) type Singles = [f32; LANES];

/// A loop around [`Simd::convert`] that is compiled for each instruction set.
pub(crate) trait Task {
    type Out;

    /// An implementation is `#[inline(always)]`.
    fn run<S: Simd>(self, simd: S) -> Self::Out;
}

/// Proof that this processor has an instruction set, and the operations for which the set has instructions that the
/// compiler does not find in plain Rust. A value exists only where the set was detected.
pub(crate) trait Simd: Copy {
    /// What [`instruction_set`](crate::instruction_set) calls it.
    const NAME: &str;

    /// Writes the values of `blocks` to `out`, which is exactly as long as they are, by the kernel of `B` compiled for this set.
    ///
    /// It is one function for each kernel, never inlined: where a kernel is there more than once, compilers leave parts of it
    /// outside, and those are not for the set.
    fn convert<B: Block, V: Value>(self, blocks: &[B], out: &mut [V]);

    /// Compiles a task for this set and runs it.
    fn run<T: Task>(self, task: T) -> T::Out;

    /// The entry of the table for each index, of which there are as many as lanes.
    fn look_up(self, table: &Codes, indices: [u8; LANES]) -> Codes;

    /// `scale * code - minimum`, each operation rounded.
    fn decode(self, codes: Codes, scale: f32, minimum: f32) -> Singles;

    /// Halves to singles, exactly; a signalling NaN becomes the quiet one with its payload.
    fn widen(self, halves: Halves) -> Singles;

    /// Singles to the nearest halves, ties to even; a NaN keeps the upper bits of its payload and becomes quiet.
    fn narrow(self, singles: Singles) -> Halves;

    /// One half to a single, as [`widen`](Self::widen) does.
    fn widen_one(self, half: u16) -> f32;

    /// Writes a line, past the caches where the set does that.
    #[inline(always)]
    fn stream(self, line: &Line, to: &mut Line) {
        *to = *line;
    }

    /// Orders what was streamed before every later write.
    #[inline(always)]
    fn fence(self) {}
}

/// What caches and memory exchange at a time.
#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C, align(64))]
pub(crate) struct Line(pub(crate) [u8; 64]);

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
