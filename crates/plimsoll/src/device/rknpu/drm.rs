//! The node of the NPU, and what every DRM driver does: its name, handles, and dma-bufs out of and into it.

use std::{
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::{
    fs::OFlags,
    io::{Errno, Result as ErrnoResult},
};
use zerocopy::{FromBytes, IntoBytes};

use crate::{
    device::{ioctl::call, kernel::Kernel},
    error::{Error, Result},
    system::{BackEndKind, SystemRoot, back_ends},
};

/// What the NPU's driver calls itself.
pub const DRIVER: &str = "rknpu";

const VERSION: u32 = 0xc040_6400;
const GEM_CLOSE: u32 = 0x4008_6409;
const PRIME_HANDLE_TO_FD: u32 = 0xc00c_642d;
const PRIME_FD_TO_HANDLE: u32 = 0xc00c_642e;

/// `struct drm_version`; the kernel writes a text to each address that is not 0.
#[repr(C)]
#[derive(Clone, Copy, Default, FromBytes, IntoBytes)]
struct Version {
    numbers: [i32; 3],
    pad: u32,
    name_len: u64,
    name_address: u64,
    date: [u64; 2],
    description: [u64; 2],
}

#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes)]
struct GemClose {
    handle: u32,
    pad: u32,
}

#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes)]
struct Prime {
    handle: u32,
    flags: u32,
    fd: i32,
}

const _: () = assert!(size_of::<Version>() == 64 && size_of::<GemClose>() == 8 && size_of::<Prime>() == 12);

/// `DRM_IOCTL_VERSION`: what the driver behind a node calls itself. Any driver answers it, and takes no harm.
///
/// # Errors
///
/// The call's errno: no DRM node has none.
pub fn driver_name(kernel: &dyn Kernel, node: BorrowedFd<'_>) -> ErrnoResult<String> {
    let mut name = [0_u8; 32];
    let name_address = name.as_mut_ptr().expose_provenance() as u64;
    let mut version = Version { name_len: name.len() as u64, name_address, ..Version::default() };
    // SAFETY: the struct is that of the request; its one address that is not 0 is of as many bytes as it says.
    unsafe { call(kernel, node, VERSION, &mut version) }?;
    // The length that comes back is the name's own, whatever was copied of it.
    let bytes = name.get(..version.name_len as usize).unwrap_or(&name);
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

/// `DRM_IOCTL_GEM_CLOSE`: frees a handle, and with it the buffer when nobody else has it.
///
/// # Errors
///
/// The call's errno: `EINVAL` for a handle that is not open.
pub fn close_handle(kernel: &dyn Kernel, node: BorrowedFd<'_>, handle: u32) -> ErrnoResult<()> {
    // SAFETY: the struct is that of the request and has no pointers.
    unsafe { call(kernel, node, GEM_CLOSE, &mut GemClose { handle, pad: 0 }) }.map(drop)
}

/// `DRM_IOCTL_PRIME_HANDLE_TO_FD`: a dma-buf of a buffer, which keeps it alive.
///
/// # Errors
///
/// The call's errno: `EMFILE` when the process has too many files open.
pub fn export_fd(kernel: &dyn Kernel, node: BorrowedFd<'_>, handle: u32) -> ErrnoResult<OwnedFd> {
    let flags = (OFlags::CLOEXEC | OFlags::RDWR).bits();
    let mut prime = Prime { handle, flags, fd: -1 };
    // SAFETY: the struct is that of the request and has no pointers.
    unsafe { call(kernel, node, PRIME_HANDLE_TO_FD, &mut prime) }?;
    if prime.fd < 0 {
        return Err(Errno::BADF);
    }
    // SAFETY: the kernel has just opened it for this process, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(prime.fd) })
}

/// `DRM_IOCTL_PRIME_FD_TO_HANDLE`: a handle of the buffer behind a dma-buf. The same buffer has the same handle however
/// often it is imported, and the first [`close_handle`] ends it.
///
/// # Errors
///
/// The call's errno: `ENOTTY` or `EINVAL` for what is no dma-buf.
pub fn import_fd(kernel: &dyn Kernel, node: BorrowedFd<'_>, fd: BorrowedFd<'_>) -> ErrnoResult<u32> {
    let mut prime = Prime { handle: 0, flags: 0, fd: fd.as_raw_fd() };
    // SAFETY: the struct is that of the request and has no pointers.
    unsafe { call(kernel, node, PRIME_FD_TO_HANDLE, &mut prime) }?;
    Ok(prime.handle)
}

/// Opens the NPU's node, known by the name of its driver: numbers differ from board to board.
///
/// # Errors
///
/// [`Error::DeviceUnavailable`] when there is none, or this process may not use it.
pub fn open_npu(kernel: &dyn Kernel, root: &SystemRoot) -> Result<(PathBuf, OwnedFd)> {
    let mut others = Vec::new();
    for path in candidates(root)? {
        let opened = kernel.open(&path, OFlags::RDWR);
        let named = opened.and_then(|node| Ok((driver_name(kernel, node.as_fd())?, node)));
        match named {
            Ok((name, node)) if name == DRIVER => return Ok((path, node)),
            Ok((name, _)) => others.push(format!("{} belongs to {name:?}", path.display())),
            Err(errno) => others.push(format!("{} does not answer: {errno}", path.display())),
        }
    }
    Err(unavailable(format!("no DRM node is the NPU's: {}", others.join(", "))))
}

/// Where the NPU may be. Render nodes come first: to open another device's card node can make this process its master.
fn candidates(root: &SystemRoot) -> Result<Vec<PathBuf>> {
    const FOLDER: &str = "/dev/dri";
    let names = root.names_in(FOLDER);
    let starting = |prefix: &'static str| names.iter().filter(move |name| name.starts_with(prefix));
    let all = starting("renderD").chain(starting("card")).map(|name| root.path(Path::new(FOLDER).join(name)));
    let npu = back_ends(root).into_iter().find(|back_end| back_end.kind == BackEndKind::Rknpu);
    match npu.map(|back_end| back_end.state) {
        Some(Ok(paths)) if paths.iter().any(|path| !path.starts_with(root.path(FOLDER))) => Err(unavailable(
            "this kernel's driver has the form for dma-heaps (/dev/rknpu), which hands out contiguous memory only; \
             take dma-heap, whose buffers it imports",
        )),
        Some(Ok(paths)) => Ok(paths),
        // Where /sys is not shown, the nodes themselves must tell.
        Some(Err(obstacle)) if root.exists("/sys/class/drm") || names.is_empty() => {
            let remedy = obstacle.remedy.map(|line| format!("; try: {line}")).unwrap_or_default();
            Err(unavailable(obstacle.why + &remedy))
        }
        _ => Ok(all.collect()),
    }
}

fn unavailable(reason: impl Into<String>) -> Error {
    Error::DeviceUnavailable { device: DRIVER.to_owned(), reason: reason.into() }
}
