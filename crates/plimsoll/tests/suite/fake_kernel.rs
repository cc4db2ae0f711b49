//! A kernel whose dma-heaps and udmabuf are made of memory files, and whose calls may fail.

// The trait's ioctl is unsafe, and file descriptors are handed over as numbers.
#![allow(unsafe_code)]

use std::{
    ops::Range,
    os::fd::{AsFd, BorrowedFd, IntoRawFd, OwnedFd},
    path::Path,
    sync::Mutex,
};

use plimsoll::device::kernel::{Kernel, RawMapping, RealKernel};
use rustix::{
    fs::{MemfdFlags, OFlags, SealFlags, fcntl_get_seals},
    io::{Errno, Result},
    mm::{Advice, MapFlags},
};

use super::faults::Faults;

const DMA_HEAP_ALLOC: u32 = 0xc018_4800;
const UDMABUF_CREATE: u32 = 0x4018_7542;
const DMA_BUF_SYNC: u32 = 0x4008_6200;
const DMA_BUF_SET_NAME: u32 = 0x4008_6201;

/// What calls fail with.
pub const ERRNOS: [Errno; 14] = [
    Errno::INTR,
    Errno::AGAIN,
    Errno::NOMEM,
    Errno::MFILE,
    Errno::NFILE,
    Errno::ACCESS,
    Errno::PERM,
    Errno::INVAL,
    Errno::NOTTY,
    Errno::NODEV,
    Errno::IO,
    Errno::FAULT,
    Errno::NOSPC,
    Errno::NOSYS,
];

/// Every system call steps through `faults`; those of drivers are checked as a driver would.
#[derive(Debug, Default)]
pub struct FakeKernel {
    pub faults: Faults,
    /// What a failing call fails with; by plan if there is none.
    pub errno: Option<Errno>,
    /// The flags of every sync, and the names that buffers got.
    pub seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
pub struct Seen {
    pub syncs: Vec<u64>,
    pub names: Vec<String>,
    pub advice: Vec<Advice>,
}

impl FakeKernel {
    pub fn failing(faults: Faults, errno: Option<Errno>) -> Self {
        Self { faults, errno, seen: Mutex::default() }
    }

    fn step(&self) -> Result<()> {
        let planned = |kind: u64| ERRNOS[kind as usize % ERRNOS.len()];
        self.faults.step().map_err(|kind| self.errno.unwrap_or_else(|| planned(kind)))
    }
}

fn number<const N: usize>(argument: &[u8], at: usize) -> [u8; N] {
    argument[at..at + N].try_into().unwrap()
}

fn holds(condition: bool) -> Result<()> {
    if condition { Ok(()) } else { Err(Errno::INVAL) }
}

fn allocate(argument: &mut [u8]) -> Result<i32> {
    assert_eq!(argument.len(), 24);
    let (len, fd, fd_flags) = (
        u64::from_ne_bytes(number(argument, 0)),
        u32::from_ne_bytes(number(argument, 8)),
        u32::from_ne_bytes(number(argument, 12)),
    );
    let heap_flags = u64::from_ne_bytes(number(argument, 16));
    holds(len > 0 && fd == 0 && heap_flags == 0)?;
    holds(fd_flags == (OFlags::RDWR | OFlags::CLOEXEC).bits())?;
    let buffer = RealKernel.memory_file("dma-buf", MemfdFlags::CLOEXEC)?;
    RealKernel.resize(buffer.as_fd(), len.next_multiple_of(rustix::param::page_size() as u64))?;
    argument[8..12].copy_from_slice(&buffer.into_raw_fd().to_ne_bytes());
    Ok(0)
}

fn create(argument: &[u8]) -> Result<i32> {
    assert_eq!(argument.len(), 24);
    let (memfd, flags) = (i32::from_ne_bytes(number(argument, 0)), u32::from_ne_bytes(number(argument, 4)));
    let (offset, size) = (u64::from_ne_bytes(number(argument, 8)), u64::from_ne_bytes(number(argument, 16)));
    let page = rustix::param::page_size() as u64;
    holds(flags == 1 && offset == 0 && size > 0 && size.is_multiple_of(page))?;
    // SAFETY: the caller holds the memory file while the call lasts.
    let file = unsafe { BorrowedFd::borrow_raw(memfd) };
    let seals = fcntl_get_seals(file)?;
    holds(seals.contains(SealFlags::SHRINK) && !seals.contains(SealFlags::WRITE))?;
    Ok(RealKernel.duplicate(file)?.into_raw_fd())
}

impl Kernel for FakeKernel {
    fn open(&self, path: &Path, flags: OFlags) -> Result<OwnedFd> {
        self.step()?;
        RealKernel.open(path, flags)
    }

    unsafe fn ioctl(&self, fd: BorrowedFd<'_>, request: u32, argument: &mut [u8]) -> Result<i32> {
        self.step()?;
        match request {
            DMA_HEAP_ALLOC => allocate(argument),
            UDMABUF_CREATE => create(argument),
            DMA_BUF_SYNC => {
                assert_eq!(argument.len(), 8);
                assert!(RealKernel.size_bytes(fd)? > 0, "a buffer is synced");
                self.seen.lock().unwrap().syncs.push(u64::from_ne_bytes(number(argument, 0)));
                Ok(0)
            }
            DMA_BUF_SET_NAME => {
                let end = argument.iter().position(|byte| *byte == 0).expect("a string ends with a zero");
                assert!(argument.len() <= 32);
                self.seen.lock().unwrap().names.push(String::from_utf8(argument[..end].to_vec()).unwrap());
                Ok(0)
            }
            _ => Err(Errno::NOTTY),
        }
    }

    fn size_bytes(&self, fd: BorrowedFd<'_>) -> Result<u64> {
        self.step()?;
        RealKernel.size_bytes(fd)
    }

    fn duplicate(&self, fd: BorrowedFd<'_>) -> Result<OwnedFd> {
        self.step()?;
        RealKernel.duplicate(fd)
    }

    fn map(&self, fd: BorrowedFd<'_>, offset_bytes: u64, size_bytes: usize) -> Result<RawMapping> {
        self.step()?;
        RealKernel.map(fd, offset_bytes, size_bytes)
    }

    fn map_anonymous(&self, size_bytes: usize, flags: MapFlags) -> Result<RawMapping> {
        self.step()?;
        RealKernel.map_anonymous(size_bytes, flags)
    }

    fn memory_file(&self, name: &str, flags: MemfdFlags) -> Result<OwnedFd> {
        self.step()?;
        RealKernel.memory_file(name, flags)
    }

    fn resize(&self, fd: BorrowedFd<'_>, size_bytes: u64) -> Result<()> {
        self.step()?;
        RealKernel.resize(fd, size_bytes)
    }

    fn seal(&self, fd: BorrowedFd<'_>, seals: SealFlags) -> Result<()> {
        self.step()?;
        RealKernel.seal(fd, seals)
    }

    fn punch(&self, fd: BorrowedFd<'_>, range: Range<u64>) -> Result<()> {
        self.step()?;
        RealKernel.punch(fd, range)
    }

    fn advise(&self, mapping: &RawMapping, range: Range<u64>, advice: Advice) -> Result<()> {
        self.step()?;
        self.seen.lock().unwrap().advice.push(advice);
        RealKernel.advise(mapping, range, advice)
    }

    fn lock(&self, mapping: &RawMapping) -> Result<()> {
        self.step()?;
        RealKernel.lock(mapping)
    }
}
