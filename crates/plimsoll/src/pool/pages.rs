//! draft
#[derive(Debug, Clone)]
pub struct PageAllocator {
    page_bytes: u64,
    free: Vec<u32>,
    count: u32,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PageId(u32);
#[derive(Debug, Clone, Copy)]
pub struct Page {
    pub id: PageId,
    pub offset_bytes: u64,
}
impl PageAllocator {
    pub fn new(size_bytes: u64, page_bytes: u64) -> Self {
        let count = (size_bytes / page_bytes) as u32;
        Self { page_bytes, free: (0..count).rev().collect(), count }
    }
    pub fn allocate(&mut self) -> Option<Page> {
        let i = self.free.pop()?;
        Some(Page { id: PageId(i), offset_bytes: u64::from(i) * self.page_bytes })
    }
    pub fn free(&mut self, p: PageId) -> Result<(), ()> {
        self.free.push(p.0);
        Ok(())
    }
    pub fn page_bytes(&self) -> u64 {
        self.page_bytes
    }
    pub fn free_count(&self) -> u32 {
        self.free.len() as u32
    }
    pub fn used_bytes(&self) -> u64 {
        u64::from(self.count - self.free.len() as u32) * self.page_bytes
    }
    pub fn metadata_bytes(&self) -> u64 {
        0
    }
    pub fn pages(&self) -> impl Iterator<Item = (u64, Option<PageId>)> + '_ {
        std::iter::empty()
    }
}
