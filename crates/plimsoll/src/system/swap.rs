//! What swap on compressed RAM really costs: `/sys/block/zram*/mm_stat`.

use super::{
    root::{Buffer, Probe, Reason, Source, SystemRoot},
    text::{number, text},
};
use crate::units::MAX_BYTES;

/// Compressed RAM behind swap, in bytes. Source: the kernel's `blockdev/zram.rst`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
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

/// Reads the devices again and again, with their files kept open. Devices are looked for once.
#[derive(Debug)]
pub(super) struct ZramReader(Vec<Source>);

impl ZramReader {
    pub(super) fn new(root: &SystemRoot) -> Self {
        let is_zram = |name: &String| name.strip_prefix("zram").is_some_and(|n| n.parse::<u32>().is_ok());
        let mut devices = root.names_in("/sys/block");
        devices.retain(is_zram);
        // Without one, the first is named in the reason.
        if devices.is_empty() {
            devices.push("zram0".to_owned());
        }
        Self(devices.iter().map(|device| Source::new(root, format!("/sys/block/{device}/mm_stat"))).collect())
    }

    /// The sum over all devices.
    pub(super) fn read(&mut self, buffer: &mut Buffer) -> Probe<Zram> {
        self.0.iter_mut().try_fold(Zram::default(), |sum, device| {
            let zram = device.read(buffer, Zram::parse)?;
            Ok(Zram {
                stored_bytes: (sum.stored_bytes + zram.stored_bytes).min(MAX_BYTES),
                used_bytes: (sum.used_bytes + zram.used_bytes).min(MAX_BYTES),
            })
        })
    }
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

    #[test]
    fn devices_are_summed_and_none_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let root = SystemRoot::at(folder.path());
        let read = || ZramReader::new(&root).read(&mut Buffer::default());
        assert!(read().unwrap_err().is_absent());
        for (device, text) in [("zram0", "10 5 6 0"), ("zram1", "20 5 7 0"), ("zramble", "1 1 1")] {
            let device = folder.path().join("sys/block").join(device);
            fs::create_dir_all(&device).unwrap();
            fs::write(device.join("mm_stat"), text).unwrap();
        }
        assert_eq!(read(), Ok(Zram { stored_bytes: 30, used_bytes: 13 }));
    }
}
