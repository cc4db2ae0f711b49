//! The driver: sessions, objects and domains.

mod calls;

use std::{
    collections::BTreeMap,
    fs::{self, File},
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    thread::{self, ThreadId},
};

use rustix::{
    fs::{MemfdFlags, ftruncate, memfd_create},
    io::{Errno, Result},
};

use super::{
    super::suite::{fake_kernel::ERRNOS, faults::Faults},
    addresses::Addresses,
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

    fn switch(&mut self, domain: u32) -> Result<()> {
        if domain > 15 || (self.held && domain != self.live) {
            return Err(Errno::INVAL);
        }
        self.live = domain;
        Ok(())
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
