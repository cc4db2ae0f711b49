//! A driver without a GPU, and what to say to it.

use std::{
    env,
    ffi::{CStr, CString, c_char},
    fs,
    path::{Path, PathBuf},
};

use libloading::Library;
use plimsoll::{
    budget::HeadroomOptions,
    device::{CudaBackend, CudaKind, CudaOptions, DeviceContext},
    system::SystemRoot,
    units::{GIB, KIB, MIB},
};
use tempfile::TempDir;

/// The library, which cargo leaves beside the tests.
pub fn library() -> PathBuf {
    let folder = env::current_exe().unwrap().parent().unwrap().to_owned();
    let places = [folder.join("libfake_libcuda.so"), folder.join("../libfake_libcuda.so")];
    places.into_iter().find(|path| path.exists()).expect("expected libfake_libcuda.so beside the tests")
}

/// A driver of its own: a copy of the library under the name by which the driver is known, on a machine with some RAM.
pub struct Fake {
    folder: TempDir,
    library: Library,
}

impl Fake {
    /// A driver of a GPU with 8 GiB of its own.
    pub fn new() -> Self {
        Self::without(&[])
    }

    /// The driver of an Orin, as far as it can be known without one.
    pub fn orin() -> Self {
        let fake = Self::new();
        fake.set("orin", 1);
        fake
    }

    /// A driver that lacks some functions: its file calls them otherwise.
    pub fn without(symbols: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("libcuda.so.1");
        let mut bytes = fs::read(library()).unwrap();
        for symbol in symbols {
            hide(&mut bytes, symbol);
        }
        fs::write(&path, bytes).unwrap();
        // SAFETY: the fake's initialisers do nothing.
        let library = unsafe { Library::new(&path) }.unwrap();
        let fake = Self { folder, library };
        fake.set_available(4 * GIB);
        fake
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("libcuda.so.1")
    }

    /// How much memory the machine around the device has available.
    pub fn set_available(&self, bytes: u64) {
        let proc = self.folder.path().join("proc");
        fs::create_dir_all(&proc).unwrap();
        let text = format!("MemTotal: {} kB\nMemFree: 0 kB\nMemAvailable: {} kB\n", 8 * MIB, bytes / KIB);
        fs::write(proc.join("meminfo"), text).unwrap();
    }

    pub fn context(&self) -> DeviceContext {
        let headroom = HeadroomOptions { floor_bytes: Some(256 * MIB), ..HeadroomOptions::default() };
        DeviceContext { root: SystemRoot::at(self.folder.path()), headroom }
    }

    pub fn options(&self, kind: CudaKind) -> CudaOptions {
        CudaOptions { kind, library: Some(self.path()), context: self.context(), ..CudaOptions::default() }
    }

    pub fn open(&self, kind: CudaKind) -> CudaBackend {
        CudaBackend::open(self.options(kind)).unwrap()
    }

    pub fn set(&self, key: &str, value: i64) {
        let key = CString::new(key).unwrap();
        // SAFETY: the fake's function of that name has this signature.
        let refused = unsafe {
            self.library.get::<unsafe extern "C" fn(*const c_char, i64) -> i32>("fake_cuda_set").unwrap()(
                key.as_ptr(),
                value,
            )
        };
        assert_eq!(refused, 0);
    }

    pub fn get(&self, key: &str) -> i64 {
        let key = CString::new(key).unwrap();
        // SAFETY: as in `set`.
        unsafe {
            self.library.get::<unsafe extern "C" fn(*const c_char) -> i64>("fake_cuda_get").unwrap()(
                key.as_ptr(),
            )
        }
    }

    /// The call after `calls` others fails.
    pub fn fail_after(&self, calls: u64, code: i32) {
        // SAFETY: as in `set`.
        unsafe {
            self.library.get::<extern "C" fn(u64, i32)>("fake_cuda_fail_after").unwrap()(calls, code);
        }
    }

    pub fn fail_randomly(&self, seed: u64, per_mille: u64) {
        // SAFETY: as in `set`.
        unsafe {
            self.library.get::<extern "C" fn(u64, u64)>("fake_cuda_fail_randomly").unwrap()(seed, per_mille);
        }
    }

    pub fn lose(&self, code: i32) {
        // SAFETY: as in `set`.
        unsafe { self.library.get::<extern "C" fn(i32)>("fake_cuda_lose").unwrap()(code) };
    }

    pub fn reset(&self) {
        // SAFETY: as in `set`.
        unsafe { self.library.get::<extern "C" fn()>("fake_cuda_reset").unwrap()() };
    }

    pub fn wrongs(&self) -> String {
        // SAFETY: as in `set`; the text is read before it is freed, once.
        unsafe {
            let text = self.library.get::<extern "C" fn() -> *mut c_char>("fake_cuda_wrongs").unwrap()();
            let wrongs = CStr::from_ptr(text).to_string_lossy().into_owned();
            self.library.get::<unsafe extern "C" fn(*mut c_char)>("fake_cuda_free_text").unwrap()(text);
            wrongs
        }
    }

    /// All that was taken is freed, and nothing was done wrong.
    #[track_caller]
    pub fn assert_clean(&self) {
        assert_eq!(self.wrongs(), "");
        let left = ["live", "retained", "pushed"].map(|key| (key, self.get(key)));
        assert_eq!(left, [("live", 0), ("retained", 0), ("pushed", 0)]);
    }
}

/// Gives a symbol another name of the same length, so that nobody finds it.
fn hide(bytes: &mut [u8], symbol: &str) {
    let name = format!("\0{symbol}\0").into_bytes();
    let places: Vec<_> =
        bytes.windows(name.len()).enumerate().filter(|(_, found)| *found == name).map(|(at, _)| at).collect();
    assert!(!places.is_empty(), "{symbol} is not there to be hidden");
    for place in places {
        bytes[place + 1] = b'x';
    }
}

/// A file that is no library.
pub fn text_file(folder: &Path) -> PathBuf {
    let path = folder.join("libcuda.so.1");
    fs::write(&path, "not a library").unwrap();
    path
}
