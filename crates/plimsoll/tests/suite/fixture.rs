//! Machines that are folders.

use std::{fs, path::Path};

use plimsoll::{
    budget::HeadroomOptions,
    device::DeviceContext,
    system::SystemRoot,
    units::{GIB, MIB},
};

/// A machine of 8 GiB in a folder of its own.
pub struct Fixture(tempfile::TempDir);

impl Fixture {
    pub fn new(available_bytes: u64) -> Self {
        let fixture = Self(tempfile::tempdir().unwrap());
        fixture.set_memory(available_bytes, 0);
        fixture
    }

    pub fn set_memory(&self, available_bytes: u64, cma_free_bytes: u64) {
        let (total, available, cma) = (8 * GIB / 1024, available_bytes / 1024, cma_free_bytes / 1024);
        self.write(
            "proc/meminfo",
            &format!(
                "MemTotal: {total} kB\nMemFree: 0 kB\nMemAvailable: {available} kB\nCmaTotal: {cma} kB\nCmaFree: {cma} kB\n"
            ),
        );
    }

    #[must_use]
    pub fn with(self, path: &str, text: &str) -> Self {
        self.write(path, text);
        self
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The machine, with a floor of 256 MiB.
    pub fn context(&self) -> DeviceContext {
        let headroom = HeadroomOptions { floor_bytes: Some(256 * MIB), ..HeadroomOptions::default() };
        DeviceContext { root: SystemRoot::at(self.0.path()), headroom }
    }
}
