//! The processors whose order of weights is known.
//!
//! Sources: `ggml_repack_get_optimal_repack_type` in `ggml-cpu/repack.cpp`, the types by what the processor has, and rows in whole
//! groups; `supports_op` in `ggml-cpu/amx/amx.cpp` and `ggml_backend_amx_get_alloc_size` in `ggml-cpu/amx/mmq.cpp`, for tiles.

use std::sync::OnceLock;

use gguf_file::{Tensor, TensorType};

/// The processor whose order of weights is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Processor {
    /// x86-64 with AVX2; `Q2_K` is repacked with AVX-512 only, and is counted.
    X64,
    /// x86-64 with tiles for whole numbers (AMX), as servers of 2023 and later have them: a copy for tiles, what has none as
    /// of `X64`.
    X64Amx,
    /// arm64 with the instructions `dotprod` or `i8mm`, as every board has that runs models at a speed.
    Arm64,
}

names!(Processor {
    X64 => "x64",
    X64Amx => "x64-amx",
    Arm64 => "arm64",
});

impl Processor {
    /// The one this program runs on, as far as llama.cpp asks.
    #[must_use]
    pub fn own() -> Self {
        static OWN: OnceLock<Processor> = OnceLock::new();
        *OWN.get_or_init(|| match (cfg!(target_arch = "aarch64"), has_tiles()) {
            (true, _) => Self::Arm64,
            (false, true) => Self::X64Amx,
            (false, false) => Self::X64,
        })
    }

    /// Rows of a group that is packed together; `None` for a type that is kept as it is.
    const fn group_rows(self, tensor_type: TensorType) -> Option<u64> {
        match (self, tensor_type) {
            (
                Self::X64 | Self::X64Amx,
                TensorType::Q4_0 | TensorType::Q4K | TensorType::Q2K | TensorType::Iq4Nl | TensorType::Mxfp4,
            )
            | (Self::Arm64, TensorType::Q4K | TensorType::Q5K | TensorType::Q6K) => Some(8),
            (Self::Arm64, TensorType::Q4_0 | TensorType::Q8_0 | TensorType::Iq4Nl | TensorType::Mxfp4) => {
                Some(4)
            }
            _ => None,
        }
    }

    /// How a type is laid out for tiles; `None` where it is not.
    const fn tiles(self, tensor_type: TensorType) -> Option<Tiles> {
        let (columns, block_bytes) = match tensor_type {
            _ if !matches!(self, Self::X64Amx) => return None,
            TensorType::F16 => (16, 0),
            TensorType::Q4_0 | TensorType::Q4_1 => (32, 0),
            TensorType::Q8_0 => (32, 4),
            TensorType::Q4K | TensorType::Q5K => (256, 4),
            TensorType::Q6K => (256, 0),
            TensorType::Iq4Xs => (256, 2),
            _ => return None,
        };
        Some(Tiles { columns, block_bytes })
    }

    /// Bytes that so many of a type take when they are packed anew, if their rows come in whole groups; `None` for a type that is kept
    /// as it is.
    pub(super) fn packed_bytes_of(self, tensor_type: TensorType, size_bytes: u64) -> Option<u64> {
        match self.tiles(tensor_type) {
            Some(tiles) => Some(tiles.bytes_of(tensor_type, size_bytes)),
            None => self.group_rows(tensor_type).map(|_| size_bytes),
        }
    }

    /// Bytes that a matrix of that type and shape takes when it is packed anew; `None` for one that is kept as it is.
    pub(super) fn packed_bytes(self, tensor: &Tensor<'_>) -> Option<u64> {
        let dims = tensor.dims();
        let rows = dims.get(1).copied().unwrap_or(1);
        if dims.len() < 2 || rows <= 1 {
            return None;
        }
        let tiles = self.tiles(tensor.tensor_type()).filter(|tiles| tiles.take(&dims));
        match tiles {
            Some(tiles) => Some(tiles.bytes_of(tensor.tensor_type(), tensor.size_bytes())),
            None => self
                .group_rows(tensor.tensor_type())
                .filter(|group| rows % group == 0)
                .map(|_| tensor.size_bytes()),
        }
    }
}

/// Rows that two tiles have.
const TILE_ROWS: u64 = 32;

#[derive(Debug, Clone, Copy)]
struct Tiles {
    /// Elements of a row come in so many.
    columns: u64,
    /// What each block has on top, in bytes.
    block_bytes: u64,
}

impl Tiles {
    /// Whether a matrix is taken: experts, which are many in one tensor, are not.
    fn take(self, dims: &[u64]) -> bool {
        let [columns, rows, rest @ ..] = dims else { return false };
        rest.iter().all(|&count| count == 1) && columns % self.columns == 0 && rows % TILE_ROWS == 0
    }

    fn bytes_of(self, tensor_type: TensorType, size_bytes: u64) -> u64 {
        let blocks = size_bytes / tensor_type.block_bytes().max(1);
        size_bytes.saturating_add(blocks.saturating_mul(self.block_bytes))
    }
}

/// Whether the processor has what llama.cpp uses tiles with: `AMX-INT8`, and `AVX512_VNNI` beside it. Source: Intel 64 and IA-32
/// Architectures Software Developer's Manual, `CPUID`, leaf 7.
#[cfg(target_arch = "x86_64")]
fn has_tiles() -> bool {
    use std::arch::x86_64::{__cpuid, __cpuid_count};
    const AMX_INT8: u32 = 1 << 25;
    const AVX512_VNNI: u32 = 1 << 11;
    if __cpuid(0).eax < 7 {
        return false;
    }
    let features = __cpuid_count(7, 0);
    features.edx & AMX_INT8 != 0 && features.ecx & AVX512_VNNI != 0
}

#[cfg(not(target_arch = "x86_64"))]
const fn has_tiles() -> bool {
    false
}
