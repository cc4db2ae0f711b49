//! The calls of the driver, byte by byte.

use std::{
    fs::File,
    os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd},
    ptr, thread,
};

use plimsoll::device::kernel::{Kernel, RawMapping, RealKernel};
use rustix::{
    fs::fstat,
    io::{Errno, Result},
};

use super::{
    super::bytes::{put_u32, put_u64, u32_at, u64_at},
    CACHEABLE, Driver, NON_CONTIGUOUS, Object, node_of,
};

impl Driver {
    pub fn ioctl(&mut self, fd: BorrowedFd<'_>, request: u32, bytes: &mut [u8]) -> Result<i32> {
        let size = (request >> 16 & 0x3fff) as usize;
        if size != bytes.len() {
            self.offence(format!("{request:#x} with {} bytes", bytes.len()));
            return Err(Errno::FAULT);
        }
        if let Err(errno) = self.step() {
            // The DRM core copies back whatever the driver has left there.
            bytes.fill(0xa5);
            return Err(errno);
        }
        let path = node_of(fd.as_raw_fd()).unwrap_or_default();
        if request == 0xc040_6400 {
            let name = if self.is_npu(&path) { self.model.name } else { "panfrost" };
            version(bytes, name);
            return Ok(0);
        }
        if !self.is_npu(&path) || self.model.name != "rknpu" {
            self.offence(format!("{request:#x} was sent to another driver"));
            return Err(Errno::INVAL);
        }
        let fd = fd.as_raw_fd();
        if self.sessions[&fd].thread != thread::current().id() {
            self.offence("a call from a second thread");
        }
        match request {
            0x4008_6409 => {
                let id = self.sessions[&fd].handles.get(&u32_at(bytes, 0));
                if id.is_some_and(|id| self.held && self.objects[id].domain != self.live) {
                    self.offence("a buffer is lost for good: its domain cannot be made live");
                }
                self.gem_close(fd, u32_at(bytes, 0))
            }
            0xc00c_642d => self.export(fd, bytes),
            0xc00c_642e => self.import(fd, bytes),
            0xc008_6440 => self.action(bytes),
            0xc030_6442 => self.mem_create(fd, bytes),
            0xc010_6443 => self.mem_map(fd, bytes),
            0xc010_6444 => self.mem_destroy(fd, bytes),
            0xc020_6445 => self.mem_sync(bytes),
            _ => {
                self.offence(format!("unknown request {request:#x}"));
                Err(Errno::INVAL)
            }
        }
    }

    fn action(&mut self, bytes: &mut [u8]) -> Result<i32> {
        let (action, value) = (u32_at(bytes, 0), u32_at(bytes, 4));
        let answer = match action {
            1 => self.model.version,
            18 => self.model.iommu.into(),
            22..=25 if self.model.is_old() => return Err(Errno::INVAL),
            22 => self.model.sram_bytes,
            23 => self.model.sram_bytes / 2,
            24 => self.live,
            25 => {
                self.switch(value)?;
                value
            }
            _ => {
                self.offence(format!("action {action}"));
                return Err(Errno::INVAL);
            }
        };
        put_u32(bytes, 4, answer);
        Ok(0)
    }

    fn mem_create(&mut self, fd: i32, bytes: &mut [u8]) -> Result<i32> {
        let (handle, flags, size) = (u32_at(bytes, 0), u32_at(bytes, 4), u64_at(bytes, 8));
        if bytes[16..40].iter().chain(&bytes[44..]).any(|byte| *byte != 0) {
            self.offence("MEM_CREATE with answers in the question");
        }
        let handle = if handle == 0 {
            let domain = if self.model.is_old() { 0 } else { u32_at(bytes, 40) };
            let object = self.create(flags, size, domain)?;
            self.created.push(flags);
            self.give_handle(fd, object)
        } else {
            if flags != 0 || size != 0 {
                self.offence("a description with a size or flags");
            }
            handle
        };
        let object = &self.objects[self.sessions[&fd].handles.get(&handle).ok_or(Errno::INVAL)?];
        put_u32(bytes, 0, handle);
        put_u64(bytes, 8, object.size);
        put_u64(bytes, 16, object.obj_addr);
        put_u64(bytes, 24, object.dma_addr);
        if let Some((offset, value)) = self.lie.take() {
            put_u64(bytes, offset, value);
        }
        Ok(0)
    }

    fn mem_map(&mut self, fd: i32, bytes: &mut [u8]) -> Result<i32> {
        if bytes[4..].iter().any(|byte| *byte != 0) {
            self.offence("MEM_MAP with answers in the question");
        }
        let id = *self.sessions[&fd].handles.get(&u32_at(bytes, 0)).ok_or(Errno::NOENT)?;
        if self.objects[&id].imported {
            return Err(Errno::INVAL);
        }
        put_u64(bytes, 8, id << 36);
        Ok(0)
    }

    pub fn map(&mut self, fd: BorrowedFd<'_>, offset: u64, size: usize) -> Result<RawMapping> {
        if self.sessions.get(&fd.as_raw_fd()).is_none_or(|session| session.thread != thread::current().id()) {
            self.offence("a map from a second thread");
        }
        let object = self.objects.get(&(offset >> 36)).ok_or(Errno::INVAL)?;
        if offset.trailing_zeros() < 36 || size as u64 > object.size {
            return Err(Errno::INVAL);
        }
        RealKernel.map(object.memory.as_fd(), 0, size)
    }

    fn mem_sync(&mut self, bytes: &[u8]) -> Result<i32> {
        let (direction, obj_addr, offset, size) =
            (u32_at(bytes, 0), u64_at(bytes, 8), u64_at(bytes, 16), u64_at(bytes, 24));
        let Some(object) = self.objects.values().find(|object| object.obj_addr == obj_addr) else {
            self.offence(format!("MEM_SYNC of {obj_addr:#x}: the machine would have crashed"));
            return Err(Errno::FAULT);
        };
        if object.flags & CACHEABLE == 0 {
            return Err(Errno::INVAL);
        }
        let (domain, end) = (object.domain, object.size);
        if !(1..=3).contains(&direction) || u32_at(bytes, 4) != 0 || size == 0 || offset + size > end {
            self.offence(format!("MEM_SYNC {direction} of {size} bytes at {offset} of {end}"));
        }
        self.switch(domain)?;
        self.syncs.push((direction, offset, size));
        Ok(0)
    }

    fn mem_destroy(&mut self, fd: i32, bytes: &[u8]) -> Result<i32> {
        if bytes[4..8].iter().any(|byte| *byte != 0) {
            self.offence("MEM_DESTROY with a reserved field");
        }
        let handle = u32_at(bytes, 0);
        let id = self.sessions[&fd].handles.get(&handle).ok_or(Errno::INVAL)?;
        self.switch(self.objects[id].domain)?;
        self.gem_close(fd, handle)
    }

    fn gem_close(&mut self, fd: i32, handle: u32) -> Result<i32> {
        let session = self.sessions.get_mut(&fd).unwrap();
        session.handles.remove(&handle).ok_or(Errno::INVAL)?;
        self.free_unreferenced();
        Ok(0)
    }

    fn export(&mut self, fd: i32, bytes: &mut [u8]) -> Result<i32> {
        if u32_at(bytes, 4) != 0x8_0002 {
            self.offence("an export that is inherited, or read-only");
        }
        let id = self.sessions[&fd].handles.get(&u32_at(bytes, 0)).ok_or(Errno::NOENT)?;
        let exported: OwnedFd = self.objects[id].memory.try_clone().map_err(|_| Errno::MFILE)?.into();
        put_u32(bytes, 8, exported.into_raw_fd().cast_unsigned());
        Ok(0)
    }

    /// A memory file stands for a dma-buf of another driver. The same buffer has the same handle.
    fn import(&mut self, fd: i32, bytes: &mut [u8]) -> Result<i32> {
        let memory = File::open(format!("/proc/self/fd/{}", u32_at(bytes, 8))).map_err(|_| Errno::BADF)?;
        let stat = fstat(&memory)?;
        if !node_of(memory.as_raw_fd()).is_some_and(|path| path.to_string_lossy().starts_with("/memfd:")) {
            return Err(Errno::INVAL);
        }
        let known = self.objects.iter().find(|(_, object)| {
            fstat(&object.memory).is_ok_and(|own| (own.st_ino, own.st_dev) == (stat.st_ino, stat.st_dev))
        });
        let handle = if let Some((&known, _)) = known {
            let handles = &self.sessions[&fd].handles;
            let handle = handles.iter().find(|(_, id)| **id == known).map(|(handle, _)| *handle);
            handle.unwrap_or_else(|| self.give_handle(fd, known))
        } else {
            if self.live != 0 {
                self.offence("an import into a domain that the driver will not remember");
            }
            let size = stat.st_size.cast_unsigned();
            let dma_addr = self.domains[self.live as usize].allocate(size, true).ok_or(Errno::NOMEM)?;
            let object = Object {
                memory,
                size,
                flags: NON_CONTIGUOUS,
                dma_addr,
                domain: 0,
                obj_addr: 0,
                imported: true,
            };
            let id = self.enter(object);
            self.give_handle(fd, id)
        };
        put_u32(bytes, 0, handle);
        Ok(0)
    }
}

fn version(bytes: &mut [u8], name: &str) {
    let (room, address) = (u64_at(bytes, 16), u64_at(bytes, 24));
    let len = name.len().min(room as usize);
    // SAFETY: the caller of the ioctl vouches for the address and its length.
    unsafe {
        ptr::copy_nonoverlapping(name.as_ptr(), ptr::with_exposed_provenance_mut(address as usize), len);
    };
    put_u64(bytes, 16, name.len() as u64);
}
