//! What a control group is.

use crate::system::root::Unavailable;

/// The version of a control group's interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CgroupVersion {
    /// The memory controller's own hierarchy.
    V1,
    /// The unified hierarchy.
    V2,
}

/// A control group at one moment.
///
/// Sources: the kernel's `cgroup-v2.rst` and `cgroup-v1/memory.rst`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroup {
    /// Its path in the hierarchy as `/proc/self/cgroup` writes it; `/` for the topmost that can be seen.
    pub path: String,
    /// The version of its interface.
    pub version: CgroupVersion,
    /// The limit at which its OOM killer acts, in bytes: `memory.max`, or `memory.limit_in_bytes`.
    pub limit_bytes: Option<u64>,
    /// The limit above which its processes are slowed down until they release, in bytes: `memory.high`.
    pub high_bytes: Option<u64>,
    /// What it holds, page cache included, in bytes.
    pub usage_bytes: u64,
    /// Page cache that was not used for a while, in bytes: the first to be reclaimed. Of the whole subtree.
    pub inactive_file_bytes: u64,
    /// Page cache that was used more than once, in bytes, where the kernel tells it. Of the whole subtree.
    pub active_file_bytes: Option<u64>,
    /// Pages of files that its processes have mapped, in bytes, as far as the kernel tells: the weights of servers that
    /// map their models. Of the whole subtree.
    pub mapped_file_bytes: u64,
    /// Kills by its own killer so far.
    pub oom_kill_count: Option<u64>,
}

impl Cgroup {
    /// A group with a limit, for plans and tests.
    #[must_use]
    pub fn with_limit(path: impl Into<String>, limit_bytes: u64) -> Self {
        Self {
            path: path.into(),
            version: CgroupVersion::V2,
            limit_bytes: Some(limit_bytes),
            high_bytes: None,
            usage_bytes: 0,
            inactive_file_bytes: 0,
            active_file_bytes: None,
            mapped_file_bytes: 0,
            oom_kill_count: None,
        }
    }

    /// The lower of limit and high, in bytes: more than that its processes never hold undisturbed.
    #[must_use]
    pub fn bound_bytes(&self) -> Option<u64> {
        self.limit_bytes.into_iter().chain(self.high_bytes).min()
    }

    /// What it holds less what is reclaimed first, in bytes. Page cache that is mapped is not: wherever the kernel keeps
    /// it, the processes that mapped it are using it. What of it is active is not taken off a second time: what comes off
    /// is inactive cache, as far as that much cache is not mapped. Where active cache is not told, all that is mapped may
    /// be inactive.
    #[must_use]
    pub fn working_set_bytes(&self) -> u64 {
        let cache_bytes = self.inactive_file_bytes.saturating_add(self.active_file_bytes.unwrap_or(0));
        let unmapped_bytes = cache_bytes.saturating_sub(self.mapped_file_bytes);
        self.usage_bytes.saturating_sub(self.inactive_file_bytes.min(unmapped_bytes))
    }

    /// What its processes could still take, in bytes; `None` without a limit.
    #[must_use]
    pub fn room_bytes(&self) -> Option<u64> {
        self.bound_bytes().map(|bound| bound.saturating_sub(self.working_set_bytes()))
    }
}

/// The groups over this process at one moment, its own first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cgroups {
    /// Those that have a memory controller.
    pub groups: Vec<Cgroup>,
    /// Limits that are there and cannot be read or believed, whose groups are left out, and uses of groups, which then
    /// count as full. Until they can be read nothing may be granted.
    pub unavailable: Vec<Unavailable>,
    /// Where a limit may exist that cannot be seen, and figures that stand for others.
    pub doubts: Vec<Unavailable>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_pages_come_off_once_and_never_more_cache_is_released_than_is_unmapped() {
        let reclaimable = |inactive: u64, active: Option<u64>, mapped: u64| {
            let group = Cgroup {
                usage_bytes: 4000,
                inactive_file_bytes: inactive,
                active_file_bytes: active,
                mapped_file_bytes: mapped,
                ..Cgroup::with_limit("/", 4096)
            };
            4000 - group.working_set_bytes()
        };
        assert_eq!(reclaimable(2560, Some(1024), 1024), 2560, "all that is mapped may be active");
        assert_eq!(reclaimable(1024, Some(0), 1024), 0, "all that is mapped is inactive");
        assert_eq!(reclaimable(1024, Some(512), 1024), 512, "a part of it must be inactive");
        assert_eq!(reclaimable(0, Some(512), 100), 0, "what is active is not the first to go");
        assert_eq!(reclaimable(100, Some(100), 1024), 0);
        assert_eq!(reclaimable(2560, None, 1024), 1536, "where that is not told, all of it may be inactive");
        assert_eq!(reclaimable(u64::MAX, Some(u64::MAX), 0), 4000);
    }
}
