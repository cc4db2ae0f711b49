//! The driver: sessions, objects, domains, and the calls.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd},
    path::{Path, PathBuf},
    ptr,
    thread::{self, ThreadId},
};

use plimsoll::device::kernel::{Kernel, Mapping, RealKernel};
use rustix::{
    fs::{MemfdFlags, fstat, ftruncate, memfd_create},
    io::{Errno, Result},
};

use super::{
    super::suite::{fake_kernel::ERRNOS, faults::Faults},
    addresses::Addresses,
    bytes::{put_u32, put_u64, u32_at, u64_at},
};

const NON_CONTIGUOUS: u32 = 1;
const CACHEABLE: u32 = 1 << 1;
const IOMMU: u32 = 1 << 4;
const ZEROING: u32 = 1 << 5;
const LIMIT_IOVA_ALIGNMENT: u32 = 1 << 10;

/// Which board it is.
#[derive(Debug, Clone)]
pub struct Model {
    /// What the driver behind the NPU's node calls itself.
    pub name: &'static str,
    pub version: u32,
    pub iommu: bool,
    pub sram_bytes: u32,
}

impl Default for Model {
    fn default() -> Self {
        Self { name: "rknpu", version: 908, iommu: true, sram_bytes: 956 << 10 }
    }
}

impl Model {
    /// A driver whose `MEM_CREATE` has 40 bytes and which knows neither domains nor SRAM.
    pub fn old() -> Self {
        Self { version: 802, ..Self::default() }
    }

    fn is_old(&self) -> bool {
        self.version < 900
    }
}

#[derive(Debug)]
pub struct Driver {
    model: Model,
    nodes: PathBuf,
    pub faults: Faults,
    /// What a failing call answers; what the plan says otherwise.
    pub errno: Option<Errno>,
    sessions: BTreeMap<i32, Session>,
    objects: BTreeMap<u64, Object>,
    next_object: u64,
    domains: Vec<Addresses>,
    pub live: u32,
    /// A job of somebody else's holds the live domain.
    pub held: bool,
    /// The next `MEM_CREATE` succeeds with this wrong in its answer: offset and value.
    pub lie: Option<(usize, u64)>,
    /// Pages the machine has left for buffers.
    pub pages_left: u64,
    /// Cache operations, as they came: direction, offset, size.
    pub syncs: Vec<(u32, u64, u64)>,
    /// Flags of every buffer created.
    pub created: Vec<u32>,
    offences: Vec<String>,
}

/// An open file of the node.
#[derive(Debug)]
struct Session {
    thread: ThreadId,
    handles: BTreeMap<u32, u64>,
    next_handle: u32,
}

#[derive(Debug)]
struct Object {
    memory: File,
    size: u64,
    flags: u32,
    dma_addr: u64,
    domain: u32,
    obj_addr: u64,
    imported: bool,
}

impl Driver {
    pub fn new(model: Model, nodes: &Path) -> Self {
        Self {
            model,
            nodes: nodes.to_owned(),
            faults: Faults::never(),
            errno: None,
            sessions: BTreeMap::new(),
            objects: BTreeMap::new(),
            next_object: 1,
            domains: (0..16).map(|_| Addresses::default()).collect(),
            live: 0,
            held: false,
            lie: None,
            pages_left: u64::MAX,
            syncs: Vec::new(),
            created: Vec::new(),
            offences: Vec::new(),
        }
    }

    pub fn step(&self) -> Result<()> {
        let planned = |kind: u64| ERRNOS[kind as usize % ERRNOS.len()];
        self.faults.step().map_err(|kind| self.errno.unwrap_or_else(|| planned(kind)))
    }

    pub fn offence(&mut self, what: impl Into<String>) {
        self.offences.push(what.into());
    }

    pub fn take_offences(&mut self) -> Vec<String> {
        std::mem::take(&mut self.offences)
    }

    /// Somebody else's buffer takes addresses.
    pub fn occupy(&mut self, domain: usize, bytes: u64) -> u64 {
        self.domains[domain].allocate(bytes, true).unwrap()
    }

    /// Bytes of the objects that some open session has a handle of.
    pub fn live_bytes(&mut self) -> u64 {
        self.close_sessions();
        self.objects.values().map(|object| object.size).sum()
    }

    pub fn check_nothing_left(&mut self) {
        self.close_sessions();
        assert_eq!(self.offences, Vec::<String>::new(), "offences");
        assert!(self.sessions.is_empty(), "the node is still open");
        assert!(self.objects.is_empty(), "{} objects are left", self.objects.len());
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        assert!(!maps.contains(&self.mark()), "a buffer is still mapped");
    }

    pub fn opened(&mut self, path: &Path, fd: i32) {
        self.close_sessions();
        if self.is_npu(path) {
            let session =
                Session { thread: thread::current().id(), handles: BTreeMap::new(), next_handle: 1 };
            self.sessions.insert(fd, session);
        }
    }

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

    fn switch(&mut self, domain: u32) -> Result<()> {
        if domain > 15 || (self.held && domain != self.live) {
            return Err(Errno::INVAL);
        }
        self.live = domain;
        Ok(())
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

    fn create(&mut self, flags: u32, size: u64, domain: u32) -> Result<u64> {
        const REQUIRED: u32 = NON_CONTIGUOUS | CACHEABLE | IOMMU;
        if flags & !(REQUIRED | ZEROING | LIMIT_IOVA_ALIGNMENT) != 0 || flags & REQUIRED != REQUIRED {
            self.offence(format!("MEM_CREATE with flags {flags:#x}"));
        }
        if size == 0 || !size.is_multiple_of(4096) {
            return Err(Errno::INVAL);
        }
        self.switch(domain)?;
        if size / 4096 > self.pages_left {
            return Err(Errno::NOMEM);
        }
        let aligned = self.model.version < 908 || flags & LIMIT_IOVA_ALIGNMENT == 0;
        let dma_addr = self.domains[domain as usize].allocate(size, aligned).ok_or(Errno::FAULT)?;
        let memory = memfd_create(format!("{}-{}", self.mark(), self.next_object), MemfdFlags::CLOEXEC)?;
        ftruncate(&memory, size)?;
        Ok(self.enter(Object {
            memory: memory.into(),
            size,
            flags,
            dma_addr,
            domain,
            obj_addr: 0,
            imported: false,
        }))
    }

    fn enter(&mut self, object: Object) -> u64 {
        let id = self.next_object;
        self.next_object += 1;
        let obj_addr = 0xffff_0001_0000_0000 + id * 0x400;
        self.pages_left = self.pages_left.saturating_sub(object.size / 4096);
        self.objects.insert(id, Object { obj_addr, ..object });
        id
    }

    fn give_handle(&mut self, fd: i32, object: u64) -> u32 {
        let session = self.sessions.get_mut(&fd).unwrap();
        let handle = session.next_handle;
        session.next_handle += 1;
        session.handles.insert(handle, object);
        handle
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

    pub fn map(&mut self, fd: BorrowedFd<'_>, offset: u64, size: usize) -> Result<Mapping> {
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

    /// Ends the sessions whose file was closed.
    fn close_sessions(&mut self) {
        let nodes = self.nodes.clone();
        self.sessions.retain(|fd, _| node_of(*fd).is_some_and(|path| path.starts_with(&nodes)));
        self.free_unreferenced();
    }

    /// An object lives as long as a session has a handle of it, or somebody a descriptor.
    fn free_unreferenced(&mut self) {
        let handled: Vec<u64> =
            self.sessions.values().flat_map(|session| session.handles.values().copied()).collect();
        let gone: Vec<u64> = self
            .objects
            .iter()
            .filter(|(id, object)| !handled.contains(id) && (object.imported || !is_exported(&object.memory)))
            .map(|(id, _)| *id)
            .collect();
        for id in gone {
            let object = self.objects.remove(&id).unwrap();
            self.domains[object.domain as usize].free(object.dma_addr);
            self.pages_left = self.pages_left.saturating_add(object.size / 4096);
        }
    }

    fn is_npu(&self, path: &Path) -> bool {
        path == self.nodes.join("renderD129") || path == self.nodes.join("card1")
    }

    /// The start of the names of this board's memory files.
    fn mark(&self) -> String {
        format!("rknpu{}", self.nodes.display().to_string().replace('/', "-"))
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

/// What an open descriptor leads to; nothing when it is closed.
fn node_of(fd: i32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/self/fd/{fd}")).ok()
}

/// Whether somebody beside the driver has a descriptor of the memory.
fn is_exported(memory: &File) -> bool {
    let Some(link) = node_of(memory.as_raw_fd()) else { return false };
    let open = fs::read_dir("/proc/self/fd").unwrap().flatten();
    open.filter(|entry| fs::read_link(entry.path()).is_ok_and(|other| other == link)).count() > 1
}
