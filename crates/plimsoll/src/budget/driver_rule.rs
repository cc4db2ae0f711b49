//! What a driver gives at once, whatever there is.

use crate::system::{DetectedBoard, Machine};

/// A driver's own rule for a single allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DriverRule {
    /// nvmap of Linux for Tegra: 0.999 of what is available without CMA, 15/16 on kernels before 5.15.
    Nvmap {
        /// Whether the kernel is one of the older ones.
        before_5_15: bool,
    },
    /// nvmap since Linux for Tegra 36.4.7, or of a release that is not told: it may refuse a piece that it has room for.
    Unknown,
}

impl DriverRule {
    /// The rule of a board's driver: nvmap's on Jetson.
    #[must_use]
    pub fn of_board(board: &DetectedBoard) -> Option<Self> {
        /// Its CUDA takes no memory from nvmap.
        const BESIDE_NVMAP: &str = "Tegra264";
        let release = board.kernel_release.as_deref().unwrap_or_default();
        let mut numbers = release.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
        let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        // Of a kernel without a number the stricter rule is taken.
        let before_5_15 = version < (5, 15);
        let refuses_more = match &board.tegra_release {
            Some(release) => release.refuses_large_pieces(),
            None => !before_5_15,
        };
        board.is_jetson().then(|| {
            if refuses_more && board.soc != Some(BESIDE_NVMAP) {
                Self::Unknown
            } else {
                Self::Nvmap { before_5_15 }
            }
        })
    }

    /// The largest single allocation that the rule lets pass, in bytes; `None` where nobody can say. Source:
    /// `system_heap_free_mem` of nvmap.
    pub(super) fn largest_bytes(self, machine: &Machine) -> Option<u64> {
        let allocatable = machine.memory.allocatable_bytes();
        match self {
            Self::Nvmap { before_5_15: false } => Some(allocatable / 1000 * 999),
            Self::Nvmap { before_5_15: true } => Some(allocatable / 16 * 15),
            Self::Unknown => None,
        }
    }
}
