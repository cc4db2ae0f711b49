//! What swap on compressed RAM really costs: `/sys/block/zram*/mm_stat` of the devices in `/proc/swaps`.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    root::{LineBuffer, Probe, Reason, RootSource, SystemRoot, Unavailable},
    text::{number, text},
};
use crate::units::MAX_BYTES;

/// Compressed RAM behind swap, in bytes. Source: the kernel's `blockdev/zram.rst`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Zram {
    /// What was swapped out (`orig_data_size`).
    pub stored_bytes: u64,
    /// RAM it takes all the same, metadata included (`mem_used_total`).
    pub used_bytes: u64,
}

impl Zram {
    /// Parses the text of one device's `mm_stat`.
    ///
    /// # Errors
    ///
    /// [`Reason::Malformed`] when the first three fields are not there.
    pub fn parse(bytes: &[u8]) -> Result<Self, Reason> {
        let mut fields = text(bytes)?.split_ascii_whitespace().map(number);
        match (fields.next().flatten(), fields.next().flatten(), fields.next().flatten()) {
            (Some(stored_bytes), Some(_), Some(used_bytes)) => Ok(Self { stored_bytes, used_bytes }),
            _ => Err(Reason::Malformed("three sizes in bytes")),
        }
    }
}

const SWAPS: &str = "/proc/swaps";

/// Reads the devices that are swapped to again and again, with their files kept open.
#[derive(Debug)]
pub(super) struct ZramReader {
    root: SystemRoot,
    swaps: RootSource,
    /// By their numbers.
    devices: BTreeMap<u32, RootSource>,
}

impl ZramReader {
    pub(super) fn new(root: &SystemRoot) -> Self {
        Self { root: root.clone(), swaps: RootSource::new(root, SWAPS), devices: BTreeMap::new() }
    }

    /// The sum over all devices that are used as swap: others hold a file system, or nothing.
    pub(super) fn read(&mut self, buffer: &mut LineBuffer) -> Probe<Zram> {
        let swapped_to = match self.swaps.read(buffer, swapped_to) {
            // A copy need not say, and then all of them may be meant.
            Err(unavailable) if unavailable.is_absent() && !self.root.is_this_machine() => {
                let all = self.all();
                if all.is_empty() { Err(unavailable) } else { Ok(all) }
            }
            read => read,
        };
        let swapped_to = swapped_to?;
        if swapped_to.is_empty() {
            let nothing = Reason::Malformed("a swap on compressed RAM (zram)");
            return Err(Unavailable::new(self.root.path(SWAPS), nothing));
        }
        self.devices.retain(|number, _| swapped_to.contains(number));
        swapped_to.into_iter().try_fold(Zram::default(), |sum, number| {
            let new = || RootSource::new(&self.root, format!("/sys/block/zram{number}/mm_stat"));
            let zram = self.devices.entry(number).or_insert_with(new).read(buffer, Zram::parse)?;
            Ok(Zram {
                stored_bytes: (sum.stored_bytes + zram.stored_bytes).min(MAX_BYTES),
                used_bytes: (sum.used_bytes + zram.used_bytes).min(MAX_BYTES),
            })
        })
    }

    /// Every device there is.
    fn all(&self) -> Vec<u32> {
        self.root.names_in("/sys/block").iter().filter_map(|name| zram_number(name)).collect()
    }
}

/// The numbers of the devices in the text of `/proc/swaps`. Source: `proc_swaps(5)`: a line of titles, then one for each
/// swap that begins with its path.
fn swapped_to(bytes: &[u8]) -> Result<Vec<u32>, Reason> {
    let mut lines = text(bytes)?.lines();
    if !lines.next().is_some_and(|titles| titles.starts_with("Filename")) {
        return Err(Reason::Malformed("a line of titles that begins with \"Filename\""));
    }
    let device = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let (path, kind) = (fields.next()?, fields.next()?);
        zram_number(path.rsplit('/').next()?).filter(|_| kind == "partition")
    };
    Ok(lines.filter_map(device).collect::<BTreeSet<_>>().into_iter().collect())
}

fn zram_number(name: &str) -> Option<u32> {
    name.strip_prefix("zram")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_third_field_is_the_cost() {
        let text = " 367001600 285212672 289406976        0 289406976    12        0     3\n";
        let zram = Zram::parse(text.as_bytes()).unwrap();
        assert_eq!((zram.stored_bytes, zram.used_bytes), (367_001_600, 289_406_976));
        for text in ["", "1 2", "1 2 x", "-1 2 3"] {
            assert!(Zram::parse(text.as_bytes()).is_err(), "{text:?}");
        }
    }

    const TITLES: &str = "Filename\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";

    #[test]
    fn devices_that_are_swapped_to_are_summed_and_others_are_none() {
        let folder = tempfile::tempdir().unwrap();
        let root = SystemRoot::at(folder.path());
        let mut reader = ZramReader::new(&root);
        let mut read = || reader.read(&mut LineBuffer::default());
        assert!(read().is_err());
        for (device, text) in [("zram0", "10 5 6 0"), ("zram1", "20 5 7 0"), ("zramble", "1 1 1")] {
            let device = folder.path().join("sys/block").join(device);
            fs::create_dir_all(&device).unwrap();
            fs::write(device.join("mm_stat"), text).unwrap();
        }
        assert_eq!(read(), Ok(Zram { stored_bytes: 30, used_bytes: 13 }), "a copy that does not say");
        fs::create_dir(folder.path().join("proc")).unwrap();
        let mut read_with = |swaps: &str| {
            fs::write(folder.path().join("proc/swaps"), swaps).unwrap();
            read()
        };
        assert!(read_with(TITLES).unwrap_err().to_string().contains("/proc/swaps"));
        assert!(
            read_with(&format!("{TITLES}/dev/sda2 partition 9 0 -2\n/swaps/zram1 file 9 0 -3\n")).is_err()
        );
        let second = format!("{TITLES}/dev/zram1                              partition\t9\t0\t100\n");
        assert_eq!(read_with(&second), Ok(Zram { stored_bytes: 20, used_bytes: 7 }));
        let both = format!("{second}/dev/zram0 partition 9 0 99\n");
        assert_eq!(read_with(&both), Ok(Zram { stored_bytes: 30, used_bytes: 13 }));
        assert!(read_with("nonsense").is_err());
        assert!(read_with(&format!("{TITLES}/dev/zram7 partition 9 0 1\n")).unwrap_err().is_absent());
    }
}
