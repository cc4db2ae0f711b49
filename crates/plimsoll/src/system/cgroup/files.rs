//! The files of one control group.

use super::{
    group::{Cgroup, CgroupVersion, Cgroups},
    places::GroupPlace,
};
use crate::{
    system::{
        root::{LineBuffer, Probe, Reason, RootSource, SystemRoot, Unavailable},
        text::{count_field, field, number, text, whole_number},
    },
    units::MAX_BYTES,
};

/// Reads a group again and again, with its files kept open.
#[derive(Debug)]
pub(super) struct GroupReader {
    pub(super) place: GroupPlace,
    /// Whether what lies above it in version 1 cannot be seen.
    pub(super) is_topmost: bool,
    limit: RootSource,
    high: Option<RootSource>,
    usage: RootSource,
    stat: RootSource,
    events: RootSource,
}

impl GroupReader {
    pub(super) fn new(root: &SystemRoot, place: GroupPlace) -> Self {
        let source = |name: &str| RootSource::new(root, place.folder.join(name));
        let (limit, high, usage, events) = match place.version {
            CgroupVersion::V1 => {
                ("memory.limit_in_bytes", None, "memory.usage_in_bytes", "memory.oom_control")
            }
            CgroupVersion::V2 => ("memory.max", Some("memory.high"), "memory.current", "memory.events"),
        };
        Self {
            limit: source(limit),
            high: high.map(source),
            usage: source(usage),
            stat: source("memory.stat"),
            events: source(events),
            is_topmost: false,
            place,
        }
    }

    /// The group now. One without a memory controller, or that has just been removed, limits nothing and is `None`.
    ///
    /// A limit that is there is read, or the group cannot be. What else is missing is taken for the worst, a use that is
    /// not known for all that the limit allows and cache that is not known for none, and told in `doubts`; a use that is
    /// there and cannot be read, in `unavailable`.
    pub(super) fn read(&mut self, buffer: &mut LineBuffer, told: &mut Cgroups) -> Probe<Option<Cgroup>> {
        let limit = if_there(self.limit.read(buffer, limit_in))?;
        let high = match &mut self.high {
            Some(high) => Some(if_there(high.read(buffer, limit_in))?),
            None => None,
        };
        let usage = self.usage.read(buffer, number_in);
        let has_high = high.as_ref().is_some_and(Result::is_ok);
        if limit.is_err() && !has_high && usage.as_ref().is_err_and(Unavailable::is_absent) {
            return Ok(None);
        }
        let doubts = &mut told.doubts;
        let own_limit_bytes = limit.unwrap_or_else(|missing| noted(doubts, missing));
        let high_bytes = high.unwrap_or(Ok(None)).unwrap_or_else(|missing| noted(doubts, missing));
        let stat = self.read_stat(buffer, doubts)?;
        let limit_above_bytes = stat.hierarchical_limit_bytes.filter(|_| self.is_topmost);
        if limit_above_bytes.is_some_and(|above| own_limit_bytes.is_none_or(|own| above < own)) {
            let why =
                "the limit is of a group above that cannot be seen: what others take of it is not known";
            doubts.push(Unavailable::new(self.stat.path(), Reason::Doubtful(why.to_owned())));
        }
        let limit_bytes = own_limit_bytes.into_iter().chain(limit_above_bytes).min();
        let (usage_bytes, inactive_file_bytes) = match usage {
            // The two files are read one after the other, so one may be a moment ahead.
            Ok(usage_bytes) => (usage_bytes, stat.inactive_file_bytes.unwrap_or(0).min(usage_bytes)),
            Err(unknown) => {
                let list = if unknown.is_absent() { doubts } else { &mut told.unavailable };
                list.push(unknown);
                let Some(full_bytes) = limit_bytes.into_iter().chain(high_bytes).min() else {
                    return Ok(None);
                };
                (full_bytes, 0)
            }
        };
        Ok(Some(Cgroup {
            path: self.place.path.clone(),
            version: self.place.version,
            limit_bytes,
            high_bytes,
            usage_bytes,
            inactive_file_bytes,
            active_file_bytes: stat.active_file_bytes,
            mapped_file_bytes: stat.mapped_file_bytes,
            oom_kill_count: self.events.read(buffer, oom_kill_in).ok(),
        }))
    }

    /// What it holds now.
    pub(super) fn usage_bytes(&mut self, buffer: &mut LineBuffer) -> Probe<u64> {
        self.usage.read(buffer, number_in)
    }

    fn read_stat(&mut self, buffer: &mut LineBuffer, doubts: &mut Vec<Unavailable>) -> Probe<Stat> {
        let version = self.place.version;
        let has_limits_above = version == CgroupVersion::V1 && self.is_topmost;
        match self.stat.read(buffer, |bytes| Stat::parse(bytes, version)) {
            // There it says what the groups that cannot be seen allow.
            Err(unknown) if has_limits_above && !unknown.is_absent() => Err(unknown),
            Err(unknown) => Ok(noted(doubts, unknown)),
            Ok(stat) => {
                if stat.inactive_file_bytes.is_none() {
                    let path = self.stat.path();
                    doubts.push(Unavailable::new(path, Reason::Malformed("a line \"inactive_file N\"")));
                }
                Ok(stat)
            }
        }
    }
}

/// The limit that a file holds, or why it is not there; fails where it is there and cannot be read or believed.
fn if_there<T>(read: Probe<T>) -> Probe<Result<T, Unavailable>> {
    match read {
        Err(unavailable) if !unavailable.is_absent() => Err(unavailable),
        read => Ok(read),
    }
}

fn noted<T: Default>(doubts: &mut Vec<Unavailable>, doubt: Unavailable) -> T {
    doubts.push(doubt);
    T::default()
}

fn number_in(bytes: &[u8]) -> Result<u64, Reason> {
    number(text(bytes)?).ok_or(Reason::Malformed("a number of bytes"))
}

/// A limit, if it is one. "max" is none, and so is what version 1 writes for none: the most pages a counter holds.
fn limit_in(bytes: &[u8]) -> Result<Option<u64>, Reason> {
    let text = text(bytes)?.trim();
    if text == "max" {
        return Ok(None);
    }
    whole_number(text).map(limit_of).ok_or(Reason::Malformed("a number of bytes or \"max\""))
}

fn limit_of(bytes: u64) -> Option<u64> {
    Some(bytes).filter(|bytes| *bytes <= MAX_BYTES)
}

/// What is wanted from `memory.stat`.
#[derive(Debug, Default)]
#[allow(clippy::struct_field_names)] // Each is a size, and says so.
struct Stat {
    inactive_file_bytes: Option<u64>,
    active_file_bytes: Option<u64>,
    /// What is mapped, less shared memory: the kernel counts both together.
    mapped_file_bytes: u64,
    /// Version 1 alone: the lowest limit on the way up, those of groups that cannot be seen from here included.
    hierarchical_limit_bytes: Option<u64>,
}

impl Stat {
    fn parse(bytes: &[u8], version: CgroupVersion) -> Result<Self, Reason> {
        const LIMIT: &str = "hierarchical_memory_limit";
        let text = text(bytes)?;
        // Version 1 writes the group's own figure under the short name and the subtree's under the long one.
        let (inactive, active, mapped, shmem) = match version {
            CgroupVersion::V1 => {
                ("total_inactive_file", "total_active_file", "total_mapped_file", "total_shmem")
            }
            CgroupVersion::V2 => ("inactive_file", "active_file", "file_mapped", "shmem"),
        };
        let told = |name| count_field(text, name).unwrap_or(0);
        let hierarchical_limit_bytes = match field(text, LIMIT, ' ').map(whole_number) {
            Some(None) => return Err(Reason::Malformed("a line \"hierarchical_memory_limit N\"")),
            limit => limit.flatten().and_then(limit_of),
        };
        Ok(Self {
            inactive_file_bytes: count_field(text, inactive),
            active_file_bytes: count_field(text, active),
            mapped_file_bytes: told(mapped).saturating_sub(told(shmem)),
            hierarchical_limit_bytes,
        })
    }
}

fn oom_kill_in(bytes: &[u8]) -> Result<u64, Reason> {
    count_field(text(bytes)?, "oom_kill").ok_or(Reason::Malformed("a line \"oom_kill N\""))
}

/// Every parser of this room on the same bytes; text and mounts apart at the first empty line.
#[cfg(fuzzing)]
pub(in crate::system) fn parse_all(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (own, mountinfo) = text.split_once("\n\n").unwrap_or((&text, ""));
    for version in [CgroupVersion::V1, CgroupVersion::V2] {
        let _ = Stat::parse(bytes, version);
    }
    super::places::parse_all(own, mountinfo);
    let _ = (number_in(bytes), limit_in(bytes), oom_kill_in(bytes));
}
