//! The lists of processes that the library has, and the rows that it writes.

use zerocopy::{FromBytes, Immutable, IntoBytes};

/// What the library calls a process that uses a GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProcessOf {
    Compute,
    Graphics,
}

impl ProcessOf {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Compute => "compute",
            Self::Graphics => "graphics",
        }
    }
}

/// How rows lie in memory: the oldest functions write shorter ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StructLayout {
    /// `nvmlProcessInfo_v1_t`, of the functions without a suffix.
    Short,
    /// `nvmlProcessInfo_v2_t` and `nvmlProcessInfo_t` of the third version, which are the same.
    Long,
}

/// A row of the longer layout. The library fills it; nothing in it is a pointer.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, FromBytes, Immutable, IntoBytes)]
pub(super) struct Row {
    pub pid: u32,
    padding: u32,
    pub used_gpu_memory: u64,
    gpu_instance: u32,
    compute_instance: u32,
}

/// A row of the shorter one.
#[repr(C)]
#[derive(Debug, Clone, Copy, FromBytes)]
struct ShortRow {
    pid: u32,
    padding: u32,
    used_gpu_memory: u64,
}

const _: () = assert!(size_of::<Row>() == 24 && size_of::<ShortRow>() == 16);

/// `NVML_VALUE_NOT_AVAILABLE`.
const NOT_AVAILABLE: u64 = u64::MAX;

impl Row {
    /// The first rows of what was written into that memory by a function of that layout.
    pub fn laid_out(written: &[Self], layout: StructLayout, count: usize) -> Vec<Self> {
        match layout {
            StructLayout::Long => written.iter().take(count).copied().collect(),
            StructLayout::Short => {
                let rows = written.as_bytes().chunks_exact(size_of::<ShortRow>()).take(count);
                rows.filter_map(|row| ShortRow::read_from_bytes(row).ok()).map(Self::from).collect()
            }
        }
    }

    /// What the process holds, where the driver tells it.
    pub fn bytes(&self) -> Option<u64> {
        (self.used_gpu_memory != NOT_AVAILABLE).then_some(self.used_gpu_memory)
    }
}

impl From<ShortRow> for Row {
    fn from(row: ShortRow) -> Self {
        Self { pid: row.pid, used_gpu_memory: row.used_gpu_memory, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shorter_rows_are_read_out_of_the_same_memory() {
        let mut written = vec![Row::default(); 3];
        for (row, pid) in written.as_mut_bytes().chunks_exact_mut(16).zip([7_u32, 8, 9]) {
            row[..4].copy_from_slice(&pid.to_ne_bytes());
            row[8..].copy_from_slice(&(u64::from(pid) << 20).to_ne_bytes());
        }
        let rows = Row::laid_out(&written, StructLayout::Short, 2);
        let told: Vec<_> = rows.iter().map(|row| (row.pid, row.bytes())).collect();
        assert_eq!(told, [(7, Some(7 << 20)), (8, Some(8 << 20))]);
    }

    #[test]
    fn what_is_not_told_is_not_zero() {
        assert_eq!(Row { used_gpu_memory: u64::MAX, ..Row::default() }.bytes(), None);
        assert_eq!(Row::default().bytes(), Some(0));
    }
}
