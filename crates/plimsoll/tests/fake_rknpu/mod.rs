//! A board with Rockchip's NPU: its driver is played under the system calls, byte by byte, with its rules and failures.
//!
//! What a real driver would crash on, or a real board, is written down as an offence and fails the test at its end.

// It plays a kernel, which is called so. A helper of tests may fail as they do.
#![allow(unsafe_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod addresses;
mod bytes;
mod driver;

use std::{
    fmt, fs,
    os::fd::{AsRawFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use plimsoll::{
    budget::HeadroomOptions,
    device::{
        DeviceContext, RknpuBackend,
        kernel::{Kernel, RawMapping, RealKernel},
    },
    system::SystemRoot,
    units::{GIB, MIB},
};
use rustix::{
    fs::OFlags,
    io::{Errno, Result},
};
use tempfile::TempDir;

pub use driver::{Driver, Model};

/// A board: a tree of files for the system to be read from, and the driver.
pub struct Board {
    folder: Option<TempDir>,
    root: PathBuf,
    pub kernel: Arc<FakeKernel>,
}

/// The system calls of a process on that board.
pub struct FakeKernel {
    driver: Mutex<Driver>,
    inside: AtomicBool,
}

// What a kernel knows is its own: no part of what back ends show.
impl fmt::Debug for FakeKernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeKernel").finish_non_exhaustive()
    }
}

impl Board {
    /// A board with driver 0.9.8 and 64 GiB, of which nothing is in use.
    pub fn new() -> Self {
        Self::with(Model::default())
    }

    pub fn with(model: Model) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_owned();
        for (node, compatible) in [
            ("card0", "rockchip,display"),
            ("card1", "rockchip,rk3588-rknpu"),
            ("renderD128", "arm,mali"),
            ("renderD129", "rockchip,rk3588-rknpu"),
        ] {
            write(&root.join("dev/dri").join(node), "");
            let uevent = format!("OF_NAME=npu\nOF_COMPATIBLE_0={compatible}\n");
            write(&root.join("sys/class/drm").join(node).join("device/uevent"), &uevent);
        }
        let mut board = Self::at(&root, model);
        board.folder = Some(folder);
        board.set_available(64 * GIB);
        board
    }

    /// A board whose tree is there already: that of another process.
    pub fn at(root: &Path, model: Model) -> Self {
        let driver = Mutex::new(Driver::new(model, &root.join("dev/dri")));
        let kernel = FakeKernel { driver, inside: AtomicBool::new(false) };
        Self { folder: None, root: root.to_owned(), kernel: Arc::new(kernel) }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn remove(&self, path: &str) {
        let path = self.root.join(path);
        if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
    }

    pub fn add(&self, path: &str) {
        write(&self.root.join(path), "");
    }

    /// What the machine says it could give.
    pub fn set_available(&self, bytes: u64) {
        let text =
            format!("MemTotal: {} kB\nMemFree: 0 kB\nMemAvailable: {} kB\n", 64 * GIB / 1024, bytes / 1024);
        write(&self.root.join("proc/meminfo"), &text);
    }

    pub fn context(&self) -> DeviceContext {
        let headroom = HeadroomOptions { floor_bytes: Some(256 * MIB), ..HeadroomOptions::default() };
        DeviceContext { root: SystemRoot::at(&self.root), headroom }
    }

    pub fn open(&self) -> plimsoll::Result<RknpuBackend> {
        RknpuBackend::open_on(self.kernel.clone(), self.context())
    }

    pub fn driver(&self) -> std::sync::MutexGuard<'_, Driver> {
        self.kernel.driver.lock().unwrap()
    }
}

impl Drop for Board {
    /// The end of every test: nothing is left on the device, and nothing was done that must not be.
    fn drop(&mut self) {
        if thread::panicking() || self.folder.is_none() {
            return;
        }
        self.driver().check_nothing_left();
    }
}

impl FakeKernel {
    /// One call at a time, and each from the thread that opened the node.
    fn driver<T>(&self, work: impl FnOnce(&mut Driver) -> T) -> T {
        let alone = !self.inside.swap(true, Ordering::SeqCst);
        let mut driver = self.driver.lock().unwrap();
        if !alone {
            driver.offence("two calls at once");
        }
        // Long enough for a second caller to be seen.
        thread::yield_now();
        let done = work(&mut driver);
        self.inside.store(false, Ordering::SeqCst);
        done
    }
}

impl Kernel for FakeKernel {
    fn open(&self, path: &Path, flags: OFlags) -> Result<OwnedFd> {
        let mut driver = self.driver.lock().unwrap();
        driver.step()?;
        let node = RealKernel.open(path, flags)?;
        driver.opened(path, node.as_raw_fd());
        Ok(node)
    }

    unsafe fn ioctl(&self, fd: BorrowedFd<'_>, request: u32, argument: &mut [u8]) -> Result<i32> {
        const VERSION: u32 = 0xc040_6400;
        if request == VERSION {
            // Answered by the DRM core without the driver: anybody may ask at any time.
            return self.driver.lock().unwrap().ioctl(fd, request, argument);
        }
        self.driver(|driver| driver.ioctl(fd, request, argument))
    }

    fn map(&self, fd: BorrowedFd<'_>, offset_bytes: u64, size_bytes: usize) -> Result<RawMapping> {
        self.driver(|driver| {
            driver.step()?;
            driver.map(fd, offset_bytes, size_bytes)
        })
    }

    fn duplicate(&self, _: BorrowedFd<'_>) -> Result<OwnedFd> {
        Err(Errno::NOSYS)
    }
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}
