//! The instruction sets: what each does better than plain Rust, and the choice between them at run time.

#[cfg(target_arch = "aarch64")]
mod aarch64;
mod portable;
#[cfg(target_arch = "x86_64")]
mod x86_64;

use crate::kernel::{Block, Simd, Task, Value};
pub(crate) use portable::Portable;

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

    /// Whether it can write past the caches.
    pub(crate) fn streams(self) -> bool {
        match self.0 {
            Kind::Portable(_) => false,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(_) => true,
            #[cfg(target_arch = "aarch64")]
            Kind::Neon(_) => false, // `stnp` has no intrinsic
        }
    }

    /// Writes the values of `blocks` to `out`, which is exactly as long as they are.
    pub(crate) fn convert<B: Block, V: Value>(self, blocks: &[B], out: &mut [V]) {
        match self.0 {
            Kind::Portable(simd) => simd.convert(blocks, out),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(simd) => simd.convert(blocks, out),
            #[cfg(target_arch = "aarch64")]
            Kind::Neon(simd) => simd.convert(blocks, out),
        }
    }

    pub(crate) fn run<T: Task>(self, task: T) -> T::Out {
        match self.0 {
            Kind::Portable(simd) => simd.run(task),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(simd) => simd.run(task),
            #[cfg(target_arch = "aarch64")]
            Kind::Neon(simd) => simd.run(task),
        }
    }
}

fn name_of<S: Simd>(_: S) -> &'static str {
    S::NAME
}
