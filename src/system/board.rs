//! Which board this machine is, and the boards that are known.

use napi::Env;
use napi_derive::napi;
use plimsoll::system::{BOARDS, Board, DetectedBoard as CoreBoard, Machine};

use super::root::root_at;
use crate::{
    error::to_js,
    mirror::{Cross, mirror},
};

mirror! {
    /// A board preset.
    pub struct BoardPreset of Board {
        /// The id that options and the command line take: `"orin-nano-8gb"`.
        pub id: String,
        /// The name people know it by.
        pub name: String,
        /// Who made its system on chip.
        pub vendor: String,
        /// Its system on chip.
        pub soc: String,
        /// Whether CPU and accelerator share the RAM.
        pub unified_memory: bool,
        /// RAM it is sold with, in bytes.
        pub total_bytes: f64,
        /// What is kept for the system, in bytes.
        pub reserved_bytes: f64,
        /// What may be used: total less reserve, in bytes.
        pub usable_bytes: f64 = usable_bytes.cross(),
    }
    asking board { usable_bytes = board.usable_bytes() }
}

mirror! {
    /// What this machine is.
    pub struct DetectedBoard of CoreBoard {
        /// What its device tree calls it, or the firmware where that names a board that is known; else a few words.
        pub name: String,
        /// The id of the preset that fits it.
        pub preset: Option<String> = preset.map(|preset| preset.id.to_owned()),
        /// Who made its system on chip.
        pub vendor: Option<String>,
        /// Its system on chip: `"Tegra234"`, `"RK3588S"`, `"GB10"`.
        pub soc: Option<String>,
        /// The number of its module: `"p3767-0005"`. Jetson only.
        pub module: Option<String>,
        /// Whether CPU and accelerator share the RAM: true of every chip that is known, and absent where it is not known.
        pub unified_memory: Option<bool>,
        /// What its device tree is compatible with; empty on machines without one.
        pub compatible: Vec<String>,
        /// The release of Linux for Tegra. Jetson only.
        #[napi(js_name = "l4t")]
        pub l4t: Option<String> = tegra_release.as_ref().map(|release| release.l4t.clone()),
        /// The JetPack it belongs to. Jetson only.
        pub jetpack: Option<String> = tegra_release.and_then(|release| release.jetpack).cross(),
        /// The release of its kernel.
        pub kernel_release: Option<String>,
        /// RAM the kernel manages, in bytes; 0 where it does not say.
        pub total_bytes: f64 = 0.0,
    }
    reading { preset, tegra_release }
}

#[napi(catch_unwind)]
pub fn board_presets() -> Vec<BoardPreset> {
    BOARDS.to_vec().cross()
}

#[napi(catch_unwind)]
pub fn detect_board(root: Option<String>) -> DetectedBoard {
    let root = root_at(root);
    let total_bytes = Machine::memory_at(&root).map_or(0, |memory| memory.total_bytes).cross();
    DetectedBoard { total_bytes, ..CoreBoard::read(&root).into() }
}

/// The preset of the board for a line, which must not be drawn higher because the board's files could not be opened.
#[napi(catch_unwind)]
pub fn detect_preset(env: Env, root: Option<String>) -> napi::Result<Option<String>> {
    let board = CoreBoard::probe(&root_at(root)).map_err(|unavailable| to_js(env, &unavailable.into()))?;
    Ok(board.preset.map(|preset| preset.id.to_owned()))
}
