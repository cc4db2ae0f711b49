//! Which board this machine is: by what its device tree is compatible with, never by its model's name; where the firmware
//! gives tables of ACPI and no tree, by its product's name in DMI.

use super::{
    boards::{BOARDS, Board, Vendor},
    devicetree::DeviceTree,
    dmi::Dmi,
    jetpack::TegraRelease,
    machine::Machine,
    meminfo::{MemInfo, MemoryScope},
    root::{Probe, Reason, SystemRoot},
};

/// What this machine is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetectedBoard {
    /// What its device tree calls it, or DMI where that names a board that is known; else the preset's name, else the first
    /// of its compatible names, else a few words.
    pub name: String,
    /// The preset that fits it: its chip or module, and the memory that is really there.
    pub preset: Option<&'static Board>,
    /// Who made its system on chip, where that is known.
    pub vendor: Option<Vendor>,
    /// Its system on chip: `"Tegra234"`, `"RK3588S"`, `"GB10"`.
    pub soc: Option<&'static str>,
    /// The number of its module: `"p3767-0005"`. Jetson only.
    pub module: Option<String>,
    /// Whether CPU and accelerator share the RAM: true of every chip that is known, and `None` where it is not known. It
    /// is never a guess: an ordinary PC may have either kind of graphics.
    pub unified_memory: Option<bool>,
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

/// The chips by their marks.
#[rustfmt::skip]
const CHIPS: &[Chip] = &[
    chip("tegra264", "Tegra264", Vendor::Nvidia,   &["agx-thor-", "t4000-"]),
    chip("tegra234", "Tegra234", Vendor::Nvidia,   &["orin-nano-", "orin-nx-", "agx-orin-"]),
    chip("tegra194", "Tegra194", Vendor::Nvidia,   &["xavier-nx-", "agx-xavier-"]),
    chip("tegra186", "Tegra186", Vendor::Nvidia,   &[]),
    chip("tegra210", "Tegra210", Vendor::Nvidia,   &[]),
    chip("rk3588s",  "RK3588S",  Vendor::Rockchip, &["rk3588-"]),
    chip("rk3588s2", "RK3588S2", Vendor::Rockchip, &["rk3588-"]),
    chip("rk3588j",  "RK3588J",  Vendor::Rockchip, &["rk3588-"]),
    chip("rk3588m",  "RK3588M",  Vendor::Rockchip, &["rk3588-"]),
    chip("rk3588",   "RK3588",   Vendor::Rockchip, &["rk3588-"]),
    chip("rk3583",   "RK3583",   Vendor::Rockchip, &["rk3588-"]),
    chip("rk3582",   "RK3582",   Vendor::Rockchip, &["rk3588-"]),
    chip("rk3576",   "RK3576",   Vendor::Rockchip, &[]),
    chip("rk3568",   "RK3568",   Vendor::Rockchip, &[]),
    chip("rk3566",   "RK3566",   Vendor::Rockchip, &[]),
    chip("rk3562",   "RK3562",   Vendor::Rockchip, &[]),
];

/// The chips of machines without a tree, by a part of the product's name in DMI. GB10 is sold under a name of each maker's.
#[rustfmt::skip]
const PRODUCTS: &[Chip] = &[
    chip("dgx spark",        "GB10", Vendor::Nvidia, GB10),
    chip("gb10",             "GB10", Vendor::Nvidia, GB10),
    chip("ascent gx10",      "GB10", Vendor::Nvidia, GB10),
    chip("thinkstation pgx", "GB10", Vendor::Nvidia, GB10),
    chip("zgx nano",         "GB10", Vendor::Nvidia, GB10),
    chip("veriton gn100",    "GB10", Vendor::Nvidia, GB10),
    chip("ai top atom",      "GB10", Vendor::Nvidia, GB10),
    chip("edgexpert",        "GB10", Vendor::Nvidia, GB10),
    // A Jetson whose firmware was told to give ACPI. Its module is not in DMI.
    chip("jetson agx thor",  "Tegra264", Vendor::Nvidia, &["agx-thor-"]),
    chip("jetson orin nano", "Tegra234", Vendor::Nvidia, &["orin-nano-"]),
    chip("jetson orin nx",   "Tegra234", Vendor::Nvidia, &["orin-nx-"]),
    chip("jetson agx orin",  "Tegra234", Vendor::Nvidia, &["agx-orin-"]),
];

const GB10: &[&str] = &["gb10-"];

/// The modules of Jetson, and what the ids of their presets begin with. Carriers of third parties reuse the developer
/// kit's tree, so the number says which family it is and the memory says which member.
#[rustfmt::skip]
const MODULES: &[(&str, &[&str])] = &[
    ("p3767-0000", &["orin-nx-"]),
    ("p3767-0001", &["orin-nx-"]),
    ("p3767-0003", &["orin-nano-"]),
    ("p3767-0004", &["orin-nano-"]),
    ("p3767-0005", &["orin-nano-"]),
    ("p3701-",     &["agx-orin-"]),
    ("p3668-",     &["xavier-nx-"]),
    ("p2888-",     &["agx-xavier-"]),
    ("p3834-",     &["agx-thor-", "t4000-"]),
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
        // Of several names the first is the most specific.
        let in_tree =
            tree.compatible.iter().find_map(|name| CHIPS.iter().find(|chip| names(name, chip.mark)));
        // A tree says what the board is; DMI speaks for machines that have none.
        let dmi = if tree.compatible.is_empty() { Dmi::read(root) } else { None };
        let in_dmi = || dmi.as_ref().and_then(|dmi| PRODUCTS.iter().find(|chip| dmi.mentions(chip.mark)));
        let chip = in_tree.or_else(in_dmi);
        let preset = chip.and_then(|chip| fitting_preset(&tree, chip, total_bytes?));
        let kernel_release = kernel_release(root);
        let is_tegra = chip.is_some_and(|chip| chip.soc.starts_with(TEGRA));
        let product = dmi.filter(|_| chip.is_some()).map(|dmi| dmi.product);
        Self {
            name: product.unwrap_or_else(|| name(&tree, preset)),
            preset,
            vendor: chip.map(|chip| chip.vendor),
            soc: chip.map(|chip| chip.soc),
            module: is_tegra.then(|| module(&tree)).flatten(),
            unified_memory: chip.is_some().then_some(true),
            compatible: tree.compatible,
            // A container on a Jetson may lack the tree and have the file.
            tegra_release: TegraRelease::read(root, kernel_release.as_deref()),
            kernel_release,
        }
    }

    /// Whether it is a Jetson, whose GPU has its memory from the driver nvmap.
    #[must_use]
    pub fn is_jetson(&self) -> bool {
        self.soc.is_some_and(|soc| soc.starts_with(TEGRA))
    }
}

/// What the names of Jetson's chips begin with.
const TEGRA: &str = "Tegra";

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
    match (tree.model.as_str(), preset, tree.compatible.first()) {
        ("", Some(preset), _) => preset.name.to_owned(),
        ("", None, Some(compatible)) => compatible.clone(),
        ("", None, None) => "a machine without a device tree".to_owned(),
        (model, ..) => model.to_owned(),
    }
}

/// The number of a module. What follows its two groups of digits, such as the `-super` of a mode with higher clocks, is
/// no part of it.
fn module(tree: &DeviceTree) -> Option<String> {
    const DIGITS: usize = "p3767-0005".len();
    let words = tree.compatible.iter().flat_map(|name| name.split([',', '+']));
    let is_module = |word: &&str| MODULES.iter().any(|(mark, _)| word.starts_with(mark));
    words.filter(is_module).map(|word| word.get(..DIGITS).unwrap_or(word).to_owned()).next()
}

/// The smallest preset of the family that is not smaller than the memory that is there.
///
/// Firmware takes a part before the kernel counts the rest, up to a fifth on small modules. With half or less of the
/// memory of the smallest preset it is another board, or the kernel was told to use less; the preset's reserve would be out
/// of proportion.
fn fitting_preset(tree: &DeviceTree, chip: &Chip, total_bytes: u64) -> Option<&'static Board> {
    let module = module(tree);
    let family =
        module.as_deref().and_then(|module| MODULES.iter().find(|(mark, _)| module.starts_with(mark)));
    let families = family.map_or(chip.presets, |(_, families)| families);
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
        assert_eq!(preset("nvidia,p4071-0000+p3834-0000\0nvidia,tegra264\0", 62_900), Some("t4000-64gb"));
        assert_eq!(preset("nvidia,p3509-0000+p3668-0000\0nvidia,tegra194\0", 6_850), Some("xavier-nx-8gb"));
        assert_eq!(preset("nvidia,p3509-0000+p3668-0003\0nvidia,tegra194\0", 14_900), Some("xavier-nx-16gb"));
        let agx_xavier = "nvidia,p2972-0000+p2888-0001\0nvidia,tegra194\0";
        assert_eq!(preset(agx_xavier, 15_700), Some("agx-xavier-16gb"));
        assert_eq!(preset(agx_xavier, 31_000), Some("agx-xavier-32gb"));
        assert_eq!(preset(agx_xavier, 7_600), None, "a module of 8 GB, which has no preset");
    }

    #[test]
    fn what_follows_a_modules_digits_is_no_part_of_it() {
        for compatible in [
            "nvidia,p3768-0000+p3767-0005-super\0nvidia,p3767-0005\0nvidia,tegra234\0",
            "nvidia,p3768-0000+p3767-0005-super\0nvidia,tegra234\0",
            "acme,carrier+p3767-0005-acme-2\0nvidia,tegra234\0",
        ] {
            let board = detected(compatible, "", 7620);
            assert_eq!(board.module.as_deref(), Some("p3767-0005"), "{compatible:?}");
            assert_eq!(board.preset.map(|preset| preset.id), Some("orin-nano-8gb"));
        }
    }

    #[test]
    fn of_several_chips_the_most_specific_is_meant() {
        let board = detected("radxa,e52c\0rockchip,rk3582\0rockchip,rk3588s\0", "Radxa E52C", 7900);
        assert_eq!((board.soc, board.preset.map(|it| it.id)), (Some("RK3582"), Some("rk3588-8gb")));
        assert_eq!(detected("acme,x\0rockchip,rk3588j\0rockchip,rk3588\0", "", 7900).soc, Some("RK3588J"));
    }

    #[test]
    fn without_a_tree_dmi_names_the_boards_whose_memory_is_shared() {
        let folder = tempfile::tempdir().unwrap();
        let id = folder.path().join("sys/class/dmi/id");
        fs::create_dir_all(&id).unwrap();
        fs::create_dir(folder.path().join("proc")).unwrap();
        fs::write(folder.path().join("proc/meminfo"), "MemTotal: 127600000 kB\nMemAvailable: 5 kB\n")
            .unwrap();
        let board = |product: &str| {
            fs::write(id.join("product_name"), format!("{product}\n")).unwrap();
            DetectedBoard::read(&SystemRoot::at(folder.path()))
        };
        for product in ["NVIDIA_DGX_Spark", "Dell Pro Max with GB10 FCM1253", "ASUS Ascent GX10"] {
            let found = board(product);
            assert_eq!((found.soc, found.unified_memory), (Some("GB10"), Some(true)), "{product}");
            assert_eq!((found.name.as_str(), found.preset.unwrap().id), (product, "gb10-128gb"));
            assert!(!found.is_jetson() && found.module.is_none(), "{product}");
        }
        for product in ["GB100", "Acme GB10X", "MyEdgeXperts", "XGB10"] {
            assert_eq!(board(product).soc, None, "{product}: a mark is whole words");
        }
        for product in ["gb10", "EdgeXpert-MS-C931", "Acme (GB10)"] {
            assert_eq!(board(product).soc, Some("GB10"), "{product}");
        }
        let pc = board("To Be Filled By O.E.M.");
        assert_eq!((pc.soc, pc.unified_memory, pc.preset), (None, None, None));
        assert_eq!(pc.name, "a machine without a device tree");
        assert!(board("NVIDIA Jetson Orin NX Engineering Reference").is_jetson());
    }

    #[test]
    fn the_model_name_decides_nothing() {
        let board = detected("radxa,rock-5b-plus\0rockchip,rk3588\0", "Radxa ROCK 5B+\0", 15_900);
        assert_eq!((board.preset.unwrap().id, board.soc), ("rk3588-16gb", Some("RK3588")));
        assert_eq!(board.name, "Radxa ROCK 5B+");
        assert_eq!(detected("acme,toaster\0", "RK3588 Jetson Orin Nano\0", 7620).vendor, None);
        assert_eq!(detected("acme,toaster\0acme,oven\0", "", 7620).name, "acme,toaster");
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
        assert_eq!((board.preset, board.vendor, board.unified_memory), (None, None, None));
        assert_eq!(board.name, "a machine without a device tree");
    }
}
