//! The boards this project knows by name, one line each.
//!
//! `reserved_bytes` is what the system keeps for itself. On Jetson it follows the budgets that have been in use
//! on these modules (a quarter up to 8 GB, an eighth above): it covers the firmware's carve-outs, which an 8 GB
//! module never shows (its `MemTotal` reads about 7620 MiB), the desktop or the container runtime, and the CUDA
//! context; GB10 keeps as much as the Jetson of its size. RK3588 boards have smaller carve-outs and no CUDA context: an eighth, and never less than 1 GiB, the
//! working set of a headless Debian with its NPU, GPU and video drivers loaded, plus page cache to run from.

use crate::units::MIB;

/// Who made the system on chip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vendor {
    /// NVIDIA: Jetson, and GB10.
    Nvidia,
    /// Rockchip: RK3588 and its kin.
    Rockchip,
}

names!(Vendor {
    Nvidia => "NVIDIA",
    Rockchip => "Rockchip",
});

/// A board, or a module, with the RAM it is sold with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Board {
    /// The stable id that options and the command line take: `"orin-nano-8gb"`.
    pub id: &'static str,
    /// The name people know it by.
    pub name: &'static str,
    /// Who made its system on chip.
    pub vendor: Vendor,
    /// Its system on chip.
    pub soc: &'static str,
    /// Whether CPU and accelerator share the RAM. True of every board here; a preset for one with memory of its
    /// own would say false.
    pub unified_memory: bool,
    /// RAM it is sold with, in bytes.
    pub total_bytes: u64,
    /// What is kept for the system, in bytes.
    pub reserved_bytes: u64,
}

impl Board {
    /// What may be used: total less reserve, in bytes.
    #[must_use]
    pub const fn usable_bytes(&self) -> u64 {
        self.total_bytes - self.reserved_bytes
    }
}

const fn jetson(
    id: &'static str,
    name: &'static str,
    soc: &'static str,
    total_mib: u64,
    usable_mib: u64,
) -> Board {
    Board {
        id,
        name,
        vendor: Vendor::Nvidia,
        soc,
        unified_memory: true,
        total_bytes: total_mib * MIB,
        reserved_bytes: (total_mib - usable_mib) * MIB,
    }
}

const fn rk3588(id: &'static str, name: &'static str, total_mib: u64, usable_mib: u64) -> Board {
    Board { vendor: Vendor::Rockchip, ..jetson(id, name, "RK3588", total_mib, usable_mib) }
}

/// Every preset, smallest first within its family. Columns: id, name, chip, total MiB, usable MiB.
#[rustfmt::skip]
pub const BOARDS: &[Board] = &[
    jetson("orin-nano-4gb",  "Jetson Orin Nano 4 GB",   "Tegra234",   4_096,   3_072),
    jetson("orin-nano-8gb",  "Jetson Orin Nano 8 GB",   "Tegra234",   8_192,   6_144),
    jetson("orin-nx-8gb",    "Jetson Orin NX 8 GB",     "Tegra234",   8_192,   6_144),
    jetson("orin-nx-16gb",   "Jetson Orin NX 16 GB",    "Tegra234",  16_384,  14_336),
    jetson("agx-orin-32gb",  "Jetson AGX Orin 32 GB",   "Tegra234",  32_768,  28_672),
    jetson("agx-orin-64gb",  "Jetson AGX Orin 64 GB",   "Tegra234",  65_536,  57_344),
    jetson("t4000-64gb",     "Jetson T4000 64 GB",      "Tegra264",  65_536,  57_344),
    jetson("agx-thor-128gb", "Jetson AGX Thor 128 GB",  "Tegra264", 131_072, 114_688),
    jetson("xavier-nx-8gb",  "Jetson Xavier NX 8 GB",   "Tegra194",   8_192,   6_144),
    jetson("xavier-nx-16gb", "Jetson Xavier NX 16 GB",  "Tegra194",  16_384,  14_336),
    jetson("agx-xavier-16gb", "Jetson AGX Xavier 16 GB", "Tegra194", 16_384, 14_336),
    jetson("agx-xavier-32gb", "Jetson AGX Xavier 32 GB", "Tegra194", 32_768,  28_672),
    jetson("agx-xavier-64gb", "Jetson AGX Xavier 64 GB", "Tegra194", 65_536,  57_344),
    // DGX Spark and the machines that other makers build of the same chip.
    jetson("gb10-128gb",     "DGX Spark 128 GB",        "GB10",     131_072, 114_688),
    rk3588("rk3588-4gb",     "RK3588 board with 4 GB",                4_096,   3_072),
    rk3588("rk3588-8gb",     "RK3588 board with 8 GB",                8_192,   7_168),
    rk3588("rk3588-16gb",    "RK3588 board with 16 GB",              16_384,  14_336),
    rk3588("rk3588-32gb",    "RK3588 board with 32 GB",              32_768,  28_672),
];

/// The preset with that id.
#[must_use]
pub fn board(id: &str) -> Option<&'static Board> {
    BOARDS.iter().find(|board| board.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique() {
        let mut ids: Vec<_> = BOARDS.iter().map(|board| board.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), BOARDS.len());
    }

    #[test]
    fn every_board_keeps_between_an_eighth_and_a_quarter_for_the_system() {
        for board in BOARDS {
            let share = board.reserved_bytes as f64 / board.total_bytes as f64;
            assert!((0.125..=0.25).contains(&share), "{}: {share}", board.id);
        }
    }
}
