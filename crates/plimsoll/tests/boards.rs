//! Trees of boards, each read as if it were this machine. Every tree names its source in `SOURCE`.

// A test fails by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{collections::BTreeSet, fs, path::PathBuf};

use BackEndKind::{Cuda, DmaHeap, Host, Rknpu, Udmabuf};
use plimsoll::{
    budget::{DriverRule, Headroom, HeadroomKind, HeadroomOptions, Line, MachineOptions, Promised},
    device::gpu_processes,
    system::{
        BackEndKind, DetectedBoard, Machine, NpuDriver, Sampler, SystemRoot, back_ends, read_nvmap_clients,
    },
    units::{GIB, MIB},
};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/boards")
}

fn root(board: &str) -> SystemRoot {
    let path = folder().join(board);
    assert!(path.is_dir(), "{} is missing", path.display());
    SystemRoot::at(path)
}

/// Tree, preset, chip, `JetPack`.
type Row = (&'static str, Option<&'static str>, Option<&'static str>, Option<&'static str>);

#[rustfmt::skip]
const BOARDS: &[Row] = &[
    ("jetson-orin-nano-8gb",   Some("orin-nano-8gb"),  Some("Tegra234"), Some("6.2.1")),
    ("jetson-orin-nano-4gb",   Some("orin-nano-4gb"),  Some("Tegra234"), Some("6.0")),
    ("jetson-orin-nx-16gb",    Some("orin-nx-16gb"),   Some("Tegra234"), Some("6.2")),
    ("jetson-agx-orin-64gb",   Some("agx-orin-64gb"),  Some("Tegra234"), Some("6.2.1")),
    ("jetson-agx-orin-32gb",   Some("agx-orin-32gb"),  Some("Tegra234"), Some("5.1")),
    ("jetson-xavier-nx-8gb",   Some("xavier-nx-8gb"),  Some("Tegra194"), Some("5.1")),
    ("jetson-agx-thor",        Some("agx-thor-128gb"), Some("Tegra264"), Some("7")),
    ("jetson-orin-nano-super", Some("orin-nano-8gb"),  Some("Tegra234"), Some("6.2.1")),
    ("jetson-t4000",           Some("t4000-64gb"),     Some("Tegra264"), Some("7")),
    ("jetson-agx-xavier-16gb", Some("agx-xavier-16gb"), Some("Tegra194"), Some("5.1")),
    ("nixos-on-orin",          Some("orin-nano-8gb"),  Some("Tegra234"), None),
    ("dgx-spark",              Some("gb10-128gb"),     Some("GB10"),     None),
    ("radxa-e52c",             Some("rk3588-8gb"),     Some("RK3582"),   None),
    ("rock-5b-mainline",       Some("rk3588-16gb"),    Some("RK3588"),   None),
    ("rock-5b-plus-vendor",    Some("rk3588-16gb"),    Some("RK3588"),   None),
    ("orangepi-5-plus-vendor", Some("rk3588-8gb"),     Some("RK3588"),   None),
    ("orangepi-5-mainline",    Some("rk3588-4gb"),     Some("RK3588S"),  None),
    ("nanopc-t6-mainline",     Some("rk3588-32gb"),    Some("RK3588"),   None),
    ("rock-3a-mainline",       None,                   Some("RK3568"),   None),
    ("container-on-orin",      Some("orin-nano-8gb"),  Some("Tegra234"), None),
    ("pc",                     None,                   None,             None),
    ("wsl",                    None,                   None,             None),
];

#[test]
fn every_tree_is_recognised_and_names_its_source() {
    for (name, preset, soc, jetpack) in BOARDS {
        let board = DetectedBoard::read(&root(name));
        assert_eq!(board.preset.map(|preset| preset.id), *preset, "{name}");
        assert_eq!((board.soc, board.unified_memory), (*soc, soc.map(|_| true)), "{name}");
        assert_eq!(board.tegra_release.and_then(|release| release.jetpack), *jetpack, "{name}");
        assert!(!fs::read_to_string(folder().join(name).join("SOURCE")).unwrap().is_empty());
    }
    let trees: BTreeSet<_> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(trees, BOARDS.iter().map(|(name, ..)| (*name).to_owned()).collect());
}

#[test]
fn names_and_modules_are_those_of_the_tree() {
    let nano = DetectedBoard::read(&root("jetson-orin-nano-8gb"));
    assert_eq!(nano.name, "NVIDIA Jetson Orin Nano Developer Kit");
    assert_eq!(nano.module.as_deref(), Some("p3767-0005"));
    assert_eq!(nano.tegra_release.unwrap().l4t, "36.4.7");
    assert_eq!(DetectedBoard::read(&root("jetson-orin-nano-super")).module.as_deref(), Some("p3767-0005"));
    let spark = DetectedBoard::read(&root("dgx-spark"));
    assert_eq!((spark.name.as_str(), spark.module), ("NVIDIA_DGX_Spark", None));
    assert_eq!(DetectedBoard::read(&root("rock-5b-plus-vendor")).name, "Radxa ROCK 5B+");
}

#[test]
fn the_line_of_each_board_keeps_its_presets_reserve_off_the_memory_that_is_there() {
    for (name, ..) in BOARDS {
        let (root, board) = (root(name), DetectedBoard::read(&root(name)));
        let machine = Machine::read_at(&root).unwrap();
        let options = MachineOptions { board: board.preset, ..MachineOptions::default() };
        let line = Line::for_machine(&machine, &options).unwrap();
        assert!(line.bytes() < machine.total_bytes(), "{name}");
        if let Some(preset) = board.preset {
            assert!(line.bytes() <= machine.total_bytes() - preset.reserved_bytes, "{name} {preset:?}");
        }
    }
}

#[test]
fn contiguous_memory_that_is_free_is_no_headroom() {
    let machine = Machine::read_at(&root("jetson-orin-nano-8gb")).unwrap();
    let headroom = Headroom::of(&machine, Promised::NOTHING, &HeadroomOptions::default());
    assert_eq!(headroom.bytes, (5400 - 240 - 256) * MIB);
    assert_eq!(headroom.binding.kind, HeadroomKind::Machine);
}

#[test]
fn a_containers_limit_binds_before_the_boards_memory() {
    let machine = Machine::read_at(&root("container-on-orin")).unwrap();
    let headroom = Headroom::of(&machine, Promised::NOTHING, &HeadroomOptions::default());
    assert_eq!(headroom.binding.path.as_deref(), Some("/"));
    // 2 GiB, less 700 MiB in use of which 200 MiB are cold cache, less 3 %.
    assert_eq!(headroom.bytes, 2 * GIB - 500 * MIB - 2 * GIB / 100 * 3);
}

#[test]
fn jetsons_driver_bounds_a_single_allocation_and_the_others_do_not() {
    let rule = |name| DriverRule::of_board(&DetectedBoard::read(&root(name)));
    assert_eq!(rule("jetson-orin-nx-16gb"), Some(DriverRule::Nvmap { before_5_15: false }));
    assert_eq!(rule("jetson-xavier-nx-8gb"), Some(DriverRule::Nvmap { before_5_15: true }));
    assert_eq!(rule("jetson-agx-thor"), Some(DriverRule::Nvmap { before_5_15: false }));
    assert_eq!((rule("rock-5b-mainline"), rule("pc"), rule("dgx-spark")), (None, None, None));
}

#[test]
fn no_largest_allocation_is_promised_where_the_driver_refuses_what_it_has_room_for() {
    for (name, promised) in [
        ("jetson-orin-nano-super", false),
        ("jetson-orin-nano-8gb", false),
        // A container or a system that does not tell its release.
        ("container-on-orin", false),
        ("nixos-on-orin", false),
        ("jetson-orin-nx-16gb", true),
        ("jetson-xavier-nx-8gb", true),
        ("jetson-agx-thor", true),
        ("dgx-spark", true),
    ] {
        let driver_rule = DriverRule::of_board(&DetectedBoard::read(&root(name)));
        let options = HeadroomOptions { driver_rule, ..HeadroomOptions::default() };
        let headroom = Headroom::of(&Machine::read_at(&root(name)).unwrap(), Promised::NOTHING, &options);
        assert_eq!(headroom.largest_allocation_bytes.is_some(), promised, "{name}");
        assert!(headroom.bytes > 0);
    }
}

#[test]
fn signals_that_a_kernel_does_not_have_are_absent_with_a_reason() {
    let signals = Sampler::new(root("rock-5b-plus-vendor")).read();
    assert!(signals.memory.is_ok());
    assert!(signals.pressure.unwrap_err().is_absent() && signals.cgroups.unwrap_err().is_absent());
    assert_eq!(NpuDriver::read(&root("rock-5b-plus-vendor")).unwrap().version, "0.9.8");
    let thor = Machine::read_at(&root("jetson-agx-thor")).unwrap();
    assert_eq!(thor.memory.nvmap_used_bytes, None);
    let clients = read_nvmap_clients(&root("jetson-agx-thor")).unwrap_err();
    assert!(clients.to_string().contains("it counts 0 for each"), "{clients}");
    let held = gpu_processes(&root("jetson-agx-thor")).unwrap_err();
    assert!(held.to_string().contains("it counts 0 for each"), "{held}");
    let zram = Sampler::new(root("orangepi-5-plus-vendor")).read().zram.unwrap();
    assert_eq!((zram.stored_bytes, zram.used_bytes), (4096, 12288));
}

#[test]
fn each_board_shows_the_device_memory_it_could_give() {
    let usable = |name: &str| -> Vec<_> {
        back_ends(&root(name)).into_iter().filter(|back_end| back_end.state.is_ok()).map(|b| b.kind).collect()
    };
    assert_eq!(usable("jetson-orin-nano-8gb"), [Host, Cuda]);
    assert_eq!(usable("jetson-xavier-nx-8gb"), [Host, Cuda]);
    assert_eq!(usable("rock-5b-plus-vendor"), [Host, DmaHeap, Rknpu]);
    assert_eq!(usable("rock-5b-mainline"), [Host, DmaHeap, Udmabuf]);
    assert_eq!(usable("container-on-orin"), [Host]);
    assert_eq!(usable("pc"), [Host]);
    for name in ["dgx-spark", "nixos-on-orin", "wsl", "jetson-t4000", "jetson-agx-xavier-16gb"] {
        assert_eq!(usable(name), [Host, Cuda], "{name}");
    }
    let why = |name: &str, kind| {
        let all = back_ends(&root(name));
        all.into_iter().find(|back_end| back_end.kind == kind).unwrap().state.unwrap_err()
    };
    assert!(why("rock-5b-mainline", Rknpu).why.contains("mainline driver"));
    assert!(why("container-on-orin", Cuda).remedy.unwrap().contains("--runtime nvidia"));
}
