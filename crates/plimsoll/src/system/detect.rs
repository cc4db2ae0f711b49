//! Which board this machine is: by what its device tree is compatible with, never by its model's name.

use super::{
    boards::{BOARDS, Board, Vendor},
    devicetree::DeviceTree,
    jetpack::TegraRelease,
    machine::Machine,
    meminfo::{MemInfo, MemoryScope},
    root::{Probe, Reason, SystemRoot},
};

/// What this machine is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DetectedBoard {
    /// What its device tree calls it, else the preset's name, else a few words.
    pub name: String,
    /// The preset that fits it: its chip or module, and the memory that is really there.
    pub preset: Option<&'static Board>,
    /// Who made its system on chip, where that is known.
    pub vendor: Option<Vendor>,
    /// Its system on chip: `"Tegra234"`, `"RK3588S"`.
    pub soc: Option<&'static str>,
    /// The number of its module: `"p3767-0005"`. Jetson only.
    pub module: Option<String>,
    /// Whether CPU and accelerator share the RAM; false where no such chip is known.
    pub unified_memory: bool,
    /// What its device tree is compatible with; empty on machines without one.
    pub compatible: Vec<String>,
    /// Its system software. Jetson only.
    pub tegra_release: Option<TegraRelease>,
    /// The release of its kernel: `"5.15.148-tegra"`.
    pub kernel_release: Option<String>,
}

/// A system on chip, by the name in the device tree's `compatible`.
struct Chip {
    /// What one of the compatible names contains.
    mark: &'static str,
    soc: &'static str,
    vendor: Vendor,
    /// What the ids of its presets begin with.
    presets: &'static [&'static str],
}

const fn chip(
    mark: &'static str,
    soc: &'static str,
    vendor: Vendor,
    presets: &'static [&'static str],
) -> Chip {
    Chip { mark, soc, vendor, presets }
}

/// The chips by their marks; of two that both match, the longer mark stands first.
#[rustfmt::skip]
const CHIPS: &[Chip] = &[
    chip("tegra264", "Tegra264", Vendor::Nvidia,   &["agx-thor-"]),
    chip("tegra234", "Tegra234", Vendor::Nvidia,   &["orin-nano-", "orin-nx-", "agx-orin-"]),
    chip("tegra194", "Tegra194", Vendor::Nvidia,   &["xavier-nx-", "agx-xavier-"]),
    chip("tegra186", "Tegra186", Vendor::Nvidia,   &[]),
    chip("tegra210", "Tegra210", Vendor::Nvidia,   &[]),
    chip("rk3588s",  "RK3588S",  Vendor::Rockchip, &["rk3588-"]),
    chip("rk3588",   "RK3588",   Vendor::Rockchip, &["rk3588-"]),
    chip("rk3583",   "RK3583",   Vendor::Rockchip, &["rk3588-"]),
    chip("rk3576",   "RK3576",   Vendor::Rockchip, &[]),
    chip("rk3568",   "RK3568",   Vendor::Rockchip, &[]),
    chip("rk3566",   "RK3566",   Vendor::Rockchip, &[]),
    chip("rk3562",   "RK3562",   Vendor::Rockchip, &[]),
];

/// The modules of Jetson, and what the ids of their presets begin with. Carriers of third parties reuse the developer
/// kit's tree, so the number says which family it is and the memory says which member.
#[rustfmt::skip]
const MODULES: &[(&str, &str)] = &[
    ("p3767-0000", "orin-nx-"),
    ("p3767-0001", "orin-nx-"),
    ("p3767-0003", "orin-nano-"),
    ("p3767-0004", "orin-nano-"),
    ("p3767-0005", "orin-nano-"),
    ("p3701-",     "agx-orin-"),
    ("p3668-",     "xavier-nx-"),
    ("p2888-",     "agx-xavier-"),
    ("p3834-",     "agx-thor-"),
];

impl DetectedBoard {
    /// Looks at the machine, where a line depends on it: a board that is not known keeps less for the system.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](super::Unavailable) when the files that tell it could not be opened for want of descriptors.
    pub fn probe(root: &SystemRoot) -> Probe<Self> {
        let files = ["/proc/device-tree/compatible", "/sys/firmware/devicetree/base/compatible"];
        for path in files.into_iter().chain(["/proc/meminfo", "/proc/sys/kernel/osrelease"]) {
            if let Err(unavailable) = root.read(path)
                && matches!(unavailable.reason, Reason::NoDescriptor(_))
            {
                return Err(unavailable);
            }
        }
        Ok(Self::read(root))
    }

    /// Looks at the machine. One that nothing is known of is a board too, without a preset.
    #[must_use]
    pub fn read(root: &SystemRoot) -> Self {
        let tree = DeviceTree::read(root).unwrap_or_default();
        // What a container may have is no board's size.
        let of_machine = |memory: &MemInfo| memory.scope == MemoryScope::Machine;
        let memory = Machine::memory_at(root).ok().filter(of_machine);
        let total_bytes = memory.map(|memory| memory.total_bytes);
        let chip = CHIPS.iter().find(|chip| tree.compatible.iter().any(|name| names(name, chip.mark)));
        let preset = chip.and_then(|chip| fitting_preset(&tree, chip, total_bytes?));
        let kernel_release = kernel_release(root);
        let is_tegra = chip.is_some_and(|chip| chip.vendor == Vendor::Nvidia);
        Self {
            name: name(&tree, preset),
            preset,
            vendor: chip.map(|chip| chip.vendor),
            soc: chip.map(|chip| chip.soc),
            module: is_tegra.then(|| module(&tree)).flatten(),
            unified_memory: chip.is_some(),
            compatible: tree.compatible,
            // A container on a Jetson may lack the tree and have the file.
            tegra_release: TegraRelease::read(root, kernel_release.as_deref()),
            kernel_release,
        }
    }
}

/// Source: `proc_sys_kernel(5)`.
fn kernel_release(root: &SystemRoot) -> Option<String> {
    let text = root.read_text("/proc/sys/kernel/osrelease").ok()?;
    let release = text.trim();
    (!release.is_empty() && release.len() <= 65 && release.chars().all(|c| c.is_ascii_graphic()))
        .then(|| release.to_owned())
}

/// Whether a compatible name, such as `rockchip,rk3588-orangepi-5-plus`, names the chip as a word of its own:
/// `rk3588` is not in `rk3588s`.
fn names(compatible: &str, mark: &str) -> bool {
    compatible.split([',', '-', '_', '+']).any(|word| word == mark)
}

fn name(tree: &DeviceTree, preset: Option<&Board>) -> String {
    match (tree.model.as_str(), preset) {
        ("", Some(preset)) => preset.name.to_owned(),
        ("", None) => "a machine without a device tree".to_owned(),
        (model, _) => model.to_owned(),
    }
}

fn module(tree: &DeviceTree) -> Option<String> {
    let words = tree.compatible.iter().flat_map(|name| name.split([',', '+']));
    let is_module = |word: &&str| MODULES.iter().any(|(mark, _)| word.starts_with(mark));
    words.filter(is_module).map(str::to_owned).next()
}

/// The smallest preset of the family that is not smaller than the memory that is there.
///
/// Firmware takes a part before the kernel counts the rest, up to a fifth on small modules. With half or less of the
/// memory of the smallest preset the kernel was told to use less, and the preset's reserve would be out of proportion.
fn fitting_preset(tree: &DeviceTree, chip: &Chip, total_bytes: u64) -> Option<&'static Board> {
    let module = module(tree);
    let family =
        module.as_deref().and_then(|module| MODULES.iter().find(|(mark, _)| module.starts_with(mark)));
    let families = family.map_or(chip.presets, |(_, prefix)| std::slice::from_ref(prefix));
    let fits = |board: &&Board| {
        families.iter().any(|prefix| board.id.starts_with(prefix))
            && board.total_bytes >= total_bytes
            && total_bytes > board.total_bytes / 2
    };
    BOARDS.iter().filter(fits).min_by_key(|board| board.total_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A machine with that tree and that much memory, in MiB.
    fn detected(compatible: &str, model: &str, total_mib: u64) -> DetectedBoard {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("proc/device-tree");
        fs::create_dir_all(&tree).unwrap();
        fs::write(tree.join("compatible"), compatible).unwrap();
        fs::write(tree.join("model"), model).unwrap();
        let meminfo = format!("MemTotal: {0} kB\nMemAvailable: {0} kB\n", total_mib * 1024);
        fs::write(folder.path().join("proc/meminfo"), meminfo).unwrap();
        DetectedBoard::read(&SystemRoot::at(folder.path()))
    }

    fn preset(compatible: &str, total_mib: u64) -> Option<&'static str> {
        detected(compatible, "some name", total_mib).preset.map(|preset| preset.id)
    }

    #[test]
    fn the_module_tells_the_family_and_the_memory_its_member() {
        let nano = "nvidia,p3768-0000+p3767-0005\0nvidia,p3767-0005\0nvidia,tegra234\0";
        assert_eq!(preset(nano, 7620), Some("orin-nano-8gb"));
        assert_eq!(
            preset(nano, 3300),
            Some("orin-nano-4gb"),
            "a carrier that reuses the developer kit's tree"
        );
        assert_eq!(preset(nano, 15_600), None, "no Orin Nano has so much");
        assert_eq!(preset("nvidia,p3509-0000+p3767-0000\0nvidia,tegra234\0", 15_600), Some("orin-nx-16gb"));
        assert_eq!(preset("nvidia,p3737-0000+p3701-0000\0nvidia,tegra234\0", 30_700), Some("agx-orin-32gb"));
        assert_eq!(preset("nvidia,p3737-0000+p3701-0005\0nvidia,tegra234\0", 62_800), Some("agx-orin-64gb"));
        assert_eq!(
            preset("nvidia,p4071-0000+p3834-0008\0nvidia,tegra264\0", 125_800),
            Some("agx-thor-128gb")
        );
        assert_eq!(preset("nvidia,p3509-0000+p3668-0000\0nvidia,tegra194\0", 6_850), Some("xavier-nx-8gb"));
    }

    #[test]
    fn the_model_name_decides_nothing() {
        let board = detected("radxa,rock-5b-plus\0rockchip,rk3588\0", "Radxa ROCK 5B+\0", 15_900);
        assert_eq!((board.preset.unwrap().id, board.soc), ("rk3588-16gb", Some("RK3588")));
        assert_eq!(board.name, "Radxa ROCK 5B+");
        assert_eq!(detected("acme,toaster\0", "RK3588 Jetson Orin Nano\0", 7620).vendor, None);
    }

    #[test]
    fn chips_are_named_by_whole_words() {
        assert_eq!(detected("xunlong,orangepi-5\0rockchip,rk3588s\0", "", 7900).soc, Some("RK3588S"));
        assert_eq!(
            detected("rockchip,rk3588-orangepi-5-plus\0rockchip,rk3588\0", "", 7900).soc,
            Some("RK3588")
        );
        assert_eq!(detected("radxa,e25\0rockchip,rk3568\0", "", 7900).soc, Some("RK3568"));
        assert_eq!(detected("acme,rk35889\0", "", 7900).soc, None);
    }

    #[test]
    fn a_machine_without_a_tree_is_a_machine() {
        let folder = tempfile::tempdir().unwrap();
        let board = DetectedBoard::read(&SystemRoot::at(folder.path()));
        assert_eq!((board.preset, board.vendor, board.unified_memory), (None, None, false));
        assert_eq!(board.name, "a machine without a device tree");
    }
}
