//! What the firmware says the board is: `/proc/device-tree`.

use super::root::SystemRoot;

/// The names in the root of the device tree. Source: the Devicetree Specification, sections 2.3.1 and 2.3.2.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceTree {
    /// What people call the board (`model`).
    pub model: String,
    /// What it is compatible with, most specific first (`compatible`): the board, then its chip.
    pub compatible: Vec<String>,
}

impl DeviceTree {
    /// Reads the tree of the machine; `None` on machines that have none, and in containers that hide it.
    #[must_use]
    pub fn read(root: &SystemRoot) -> Option<Self> {
        // Containers may lack the first, which is a link to the second.
        ["/proc/device-tree", "/sys/firmware/devicetree/base"].iter().find_map(|folder| {
            let compatible = root.read(format!("{folder}/compatible")).ok()?;
            let model = root.read(format!("{folder}/model")).unwrap_or_default();
            Self::parse(&compatible, &model)
        })
    }

    /// Parses the two properties; `None` when `compatible` names nothing.
    #[must_use]
    pub fn parse(compatible: &[u8], model: &[u8]) -> Option<Self> {
        let compatible: Vec<_> = strings(compatible).collect();
        (!compatible.is_empty())
            .then(|| Self { model: strings(model).next().unwrap_or_default(), compatible })
    }

    /// Whether one of the compatible names contains `part`.
    #[must_use]
    pub fn mentions(&self, part: &str) -> bool {
        self.compatible.iter().any(|name| name.contains(part))
    }
}

/// The strings of a property, each ended by a zero byte. Names are printable ASCII; anything else is nonsense and is
/// left out, so that no control character reaches a terminal.
fn strings(property: &[u8]) -> impl Iterator<Item = String> {
    const LONGEST: usize = 256;
    let printable = |byte: &u8| (b' '..=b'~').contains(byte);
    property
        .split(|byte| *byte == 0)
        .filter(move |bytes| !bytes.is_empty() && bytes.len() <= LONGEST && bytes.iter().all(printable))
        .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::symlink};

    #[test]
    fn names_end_at_their_zero_byte() {
        let tree = DeviceTree::parse(b"radxa,rock-5b\0rockchip,rk3588\0", b"Radxa ROCK 5B\0").unwrap();
        assert_eq!(tree.compatible, ["radxa,rock-5b", "rockchip,rk3588"]);
        assert_eq!(tree.model, "Radxa ROCK 5B");
        assert!(tree.mentions("rk3588") && !tree.mentions("rk3576"));
    }

    #[test]
    fn a_link_in_a_copy_leads_to_the_copys_own_tree() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().join("sys/firmware/devicetree/base");
        fs::create_dir_all(&base).unwrap();
        fs::create_dir(folder.path().join("proc")).unwrap();
        symlink("/sys/firmware/devicetree/base", folder.path().join("proc/device-tree")).unwrap();
        fs::write(base.join("compatible"), "a,copy\0").unwrap();
        let root = SystemRoot::at(folder.path());
        let text = root.read("/proc/device-tree/compatible").unwrap();
        assert_eq!(text, b"a,copy\0");
        // A link that climbs out ends at the top of the copy.
        symlink("../../../../../etc/passwd", folder.path().join("proc/meminfo")).unwrap();
        assert!(root.read("/proc/meminfo").unwrap_err().is_absent());
    }

    #[test]
    fn nonsense_names_nothing() {
        for bytes in [&b""[..], b"\0\0", b"\x1b[2J\0", b"\xff\xff\0"] {
            assert_eq!(DeviceTree::parse(bytes, b"model\0"), None, "{bytes:?}");
        }
        assert_eq!(DeviceTree::parse(&[b'a'; 300], b""), None);
        assert_eq!(DeviceTree::parse(b"a,b", b"\x07").unwrap().model, "");
    }
}
