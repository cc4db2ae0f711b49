//! Any bytes as the device tree's names, the release of Linux for Tegra, and the texts of accelerators' drivers.

#![no_main]

use libfuzzer_sys::fuzz_target;
use plimsoll::system::{DeviceTree, TegraRelease, fuzzing::npu_texts, nvmap_clients};

fuzz_target!(|bytes: &[u8]| {
    if let Some(tree) = DeviceTree::parse(bytes, bytes) {
        let printable = |name: &str| name.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        assert!(
            tree.compatible.iter().all(|name| !name.is_empty() && printable(name)) && printable(&tree.model)
        );
    }
    if let Some(release) = TegraRelease::parse(&String::from_utf8_lossy(bytes)) {
        assert!(release.l4t.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'), "{}", release.l4t);
    }
    let _ = nvmap_clients(bytes);
    npu_texts(bytes);
});
