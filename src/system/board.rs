//! Which board this machine is, and the boards that are known.

use napi::Env;
use napi_derive::napi;
use plimsoll::system::{BOARDS, Board, DetectedBoard as CoreBoard, Machine};

use super::root::root_at;
use crate::error::to_js;

/// A board preset.
#[napi(object, object_from_js = false)]
pub struct BoardPreset {
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
    pub usable_bytes: f64,
}

/// What this machine is.
#[napi(object, object_from_js = false)]
pub struct DetectedBoard {
    /// What its device tree calls it, or the firmware where that names a board that is known; else a few words.
    pub name: String,
    /// The id of the preset that fits it.
    pub preset: Option<String>,
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
    pub l4t: Option<String>,
    /// The JetPack it belongs to. Jetson only.
    pub jetpack: Option<String>,
    /// The release of its kernel.
    pub kernel_release: Option<String>,
    /// RAM the kernel manages, in bytes; 0 where it does not say.
    pub total_bytes: f64,
}

impl From<&Board> for BoardPreset {
    fn from(board: &Board) -> Self {
        Self {
            id: board.id.to_owned(),
            name: board.name.to_owned(),
            vendor: board.vendor.name().to_owned(),
            soc: board.soc.to_owned(),
            unified_memory: board.unified_memory,
            total_bytes: board.total_bytes as f64,
            reserved_bytes: board.reserved_bytes as f64,
            usable_bytes: board.usable_bytes() as f64,
        }
    }
}

#[napi(catch_unwind)]
pub fn board_presets() -> Vec<BoardPreset> {
    BOARDS.iter().map(BoardPreset::from).collect()
}

#[napi(catch_unwind)]
pub fn detect_board(root: Option<String>) -> DetectedBoard {
    let root = root_at(root);
    let board = CoreBoard::read(&root);
    let (l4t, jetpack) = board
        .tegra_release
        .map_or((None, None), |release| (Some(release.l4t), release.jetpack.map(str::to_owned)));
    DetectedBoard {
        name: board.name,
        preset: board.preset.map(|preset| preset.id.to_owned()),
        vendor: board.vendor.map(|vendor| vendor.name().to_owned()),
        soc: board.soc.map(str::to_owned),
        module: board.module,
        unified_memory: board.unified_memory,
        compatible: board.compatible,
        l4t,
        jetpack,
        kernel_release: board.kernel_release,
        total_bytes: Machine::memory_at(&root).map_or(0.0, |memory| memory.total_bytes as f64),
    }
}

/// The preset of the board for a line, which must not be drawn higher because the board's files could not be opened.
#[napi(catch_unwind)]
pub fn detect_preset(env: Env, root: Option<String>) -> napi::Result<Option<String>> {
    let board = CoreBoard::probe(&root_at(root)).map_err(|unavailable| to_js(env, &unavailable.into()))?;
    Ok(board.preset.map(|preset| preset.id.to_owned()))
}
