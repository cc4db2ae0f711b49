//! Where the groups over a process lie: what `/proc/PID/cgroup` calls its group, found under what is mounted.
//!
//! The two names agree on an ordinary system and in an ordinary container. They do not where a container shows the host's
//! hierarchy, where the manager moved the process out of what is mounted, or where another part is bound: then the group
//! is the one whose `cgroup.procs` holds the process. What cannot be found is told, and what is nearest to it counts.

use crate::sorting::sort_by_key;
use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
};

use super::group::CgroupVersion;
use crate::system::{
    mounts::{CgroupMount, Mounts, group_of},
    root::{Probe, Reason, SystemRoot, Unavailable},
};

/// Where a group's files lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GroupPlace {
    pub(super) version: CgroupVersion,
    pub(super) path: String,
    pub(super) folder: PathBuf,
}

/// Every group over a process that may hold a memory controller, its own first, and where others may be.
#[derive(Debug, Default)]
pub(super) struct Places {
    pub(super) all: Vec<GroupPlace>,
    pub(super) doubts: Vec<Unavailable>,
}

/// Looks them up by the text that names them; without one, in every hierarchy by the processes in them. Fails where it
/// cannot be told whether a group is there.
pub(super) fn places(root: &SystemRoot, own: Option<&str>, mounts: &Mounts) -> Probe<Places> {
    let mut places = Places::default();
    for version in [CgroupVersion::V1, CgroupVersion::V2] {
        let group = own.and_then(|own| group_of(own, version));
        if own.is_some() && group.is_none() {
            continue;
        }
        // A controller is in one hierarchy: where version 1 has it, version 2 limits no memory.
        let limits =
            version == CgroupVersion::V1 || own.is_none_or(|own| group_of(own, CgroupVersion::V1).is_none());
        let mut candidates: Vec<_> = mounts.cgroups.iter().filter(|mount| mount.version == version).collect();
        // The one that shows the most of the way up comes first.
        sort_by_key(&mut candidates, |mount| height(&mount.root));
        let search = Search { root, group, version, mounts: &candidates };
        let (found, doubt) = search.run()?;
        if limits {
            places.doubts.extend(doubt);
            places.doubts.extend(hidden_above(root, &found, version));
        }
        places.all.extend(found);
    }
    Ok(places)
}

/// Whether groups lie above the topmost of version 2 that is shown: the topmost of all has none of these files.
fn hidden_above(root: &SystemRoot, found: &[GroupPlace], version: CgroupVersion) -> Option<Unavailable> {
    const NEVER_AT_THE_TOP: [&str; 3] = ["cgroup.events", "memory.max", "memory.current"];
    let top = found.last().filter(|_| version == CgroupVersion::V2)?;
    let is_below = NEVER_AT_THE_TOP.iter().any(|name| root.exists(top.folder.join(name)));
    is_below.then(|| Unavailable::new(root.path(&top.folder), Reason::HiddenAbove))
}

/// How a group lies to the top of a mount.
#[derive(Debug, PartialEq, Eq)]
enum Relation<'g> {
    /// Below it by these names.
    Below(Vec<&'g str>),
    /// So many levels below it, and the last names are these. The others are not told: they lie outside the namespace.
    Levels(usize, Vec<&'g str>),
    /// Not below it, by their names.
    Apart,
}

/// Levels above the top of the namespace, and the names from there.
fn parts(path: &str) -> (usize, Vec<&str>) {
    let names: Vec<_> = path.split('/').filter(|name| !name.is_empty() && *name != ".").collect();
    let above = names.iter().take_while(|name| **name == "..").count();
    (above, names.get(above..).unwrap_or_default().to_vec())
}

/// The lower the number, the higher a path in its hierarchy.
fn height(path: &str) -> isize {
    let (above, names) = parts(path);
    names.len().cast_signed() - above.cast_signed()
}

fn relation<'g>(top: &str, group: &'g str) -> Relation<'g> {
    let ((top_above, top_names), (above, names)) = (parts(top), parts(group));
    if names.contains(&"..") || top_names.contains(&"..") {
        return Relation::Apart;
    }
    if top_above == above {
        let below = names.get(top_names.len()..).filter(|_| names.starts_with(&top_names));
        return below.map_or(Relation::Apart, |below| Relation::Below(below.to_vec()));
    }
    match top_above.checked_sub(above) {
        Some(levels) if top_names.is_empty() => Relation::Levels(levels + names.len(), names),
        _ => Relation::Apart,
    }
}

/// What is looked for, and where.
struct Search<'a> {
    root: &'a SystemRoot,
    /// `None` where it is not told.
    group: Option<&'a str>,
    version: CgroupVersion,
    mounts: &'a [&'a CgroupMount],
}

impl Search<'_> {
    fn run(&self) -> Probe<(Vec<GroupPlace>, Option<Unavailable>)> {
        if let Some(group) = self.group
            && let Some(found) = self.by_name(group)?
        {
            return Ok((found, None));
        }
        if let Some(found) = self.by_process()? {
            return Ok((found, None));
        }
        // The kernel calls a group so that was removed under its last process.
        let removed = self.group.and_then(|group| group.strip_suffix(" (deleted)"));
        if let Some(found) = removed.and_then(|group| self.named(group)) {
            return Ok((found, None));
        }
        let words = self.group.map_or_else(|| "over this process".to_owned(), ToOwned::to_owned);
        let Some(nearest) = self.nearest()? else {
            let why =
                format!("no mounted hierarchy shows the control group {words}: a limit of it is not seen");
            return Ok((Vec::new(), Some(self.doubt("/proc/self/mountinfo", why))));
        };
        let place = nearest.first().map(|place| place.folder.clone()).unwrap_or_default();
        let why = format!(
            "the control group {words} is not found under what is mounted; what is here may not be all that limits it"
        );
        Ok((nearest, Some(self.doubt(place, why))))
    }

    fn doubt(&self, path: impl AsRef<Path>, why: String) -> Unavailable {
        Unavailable::new(self.root.path(path), Reason::Doubtful(why))
    }

    /// By the names alone, whether it is there or not.
    fn named(&self, group: &str) -> Option<Vec<GroupPlace>> {
        self.mounts.iter().find_map(|mount| match relation(&mount.root, group) {
            Relation::Below(names) => Some(self.places(mount, &names)),
            Relation::Levels(..) | Relation::Apart => None,
        })
    }

    fn by_name(&self, group: &str) -> Probe<Option<Vec<GroupPlace>>> {
        for mount in self.mounts {
            if let Relation::Below(names) = relation(&mount.root, group) {
                let places = self.places(mount, &names);
                let own = places.first().map(|place| self.root.has_folder(&place.folder)).transpose()?;
                if own == Some(true) {
                    return Ok(Some(places));
                }
            }
        }
        Ok(None)
    }

    /// The group whose list of processes holds the one that is meant. The lists of a copy that does not say who made it
    /// tell too, if one alone has a process that could be seen from there: the kernel shows others as 0, or not at all.
    fn by_process(&self) -> Probe<Option<Vec<GroupPlace>>> {
        let pid = self.root.process_id();
        let mut seen = Vec::new();
        for mount in self.mounts {
            let relation = self.group.map_or(Relation::Apart, |group| relation(&mount.root, group));
            let (levels, tail) = match relation {
                Relation::Below(_) if pid.is_none() => continue,
                Relation::Below(_) | Relation::Apart => (None, Vec::new()),
                Relation::Levels(levels, tail) => (Some(levels), tail),
            };
            if pid.is_none() && levels.is_none() {
                continue;
            }
            let mut walk = Walk::from(self.root, &mount.point);
            while let Some((folder, names)) = walk.next(levels)? {
                let is_possible = levels.is_none_or(|levels| {
                    names.len() == levels
                        && names.iter().map(String::as_str).collect::<Vec<_>>().ends_with(&tail)
                });
                let holds = |id: u32| pid.map_or(id > 0, |pid| pid == id);
                if is_possible && self.processes_in(&folder)?.into_iter().any(holds) {
                    let names: Vec<_> = names.iter().map(String::as_str).collect();
                    let places = self.places(mount, &names);
                    if pid.is_some() {
                        return Ok(Some(places));
                    }
                    seen.push(places);
                }
            }
        }
        Ok(seen.pop().filter(|_| seen.is_empty()))
    }

    fn processes_in(&self, folder: &Path) -> Probe<Vec<u32>> {
        match self.root.read_text(folder.join("cgroup.procs")) {
            Ok(text) => Ok(text.lines().filter_map(|line| line.trim().parse().ok()).collect()),
            // Groups of threads have no list of processes, and some may be forbidden.
            Err(unavailable) if matches!(unavailable.reason, Reason::NoDescriptor(_)) => Err(unavailable),
            Err(_) => Ok(Vec::new()),
        }
    }

    /// Where the names say that it must lie although it is not there; else the end of its name under a mount, as far as
    /// there are such folders; else the top of a mount.
    fn nearest(&self) -> Probe<Option<Vec<GroupPlace>>> {
        if let Some(places) = self.group.and_then(|group| self.named(group)) {
            return Ok(Some(places));
        }
        let (_, names) = self.group.map(parts).unwrap_or_default();
        for mount in self.mounts {
            for from in 0..names.len() {
                let places = self.places(mount, names.get(from..).unwrap_or_default());
                let own = places.first().map(|place| self.root.has_folder(&place.folder)).transpose()?;
                if own == Some(true) {
                    return Ok(Some(places));
                }
            }
        }
        Ok(self.mounts.first().map(|mount| self.places(mount, &[])))
    }

    /// The group that lies by these names below the top of a mount, and those above it.
    fn places(&self, mount: &CgroupMount, names: &[&str]) -> Vec<GroupPlace> {
        // The way to a top outside the namespace has no names: what lies below is then all that has.
        let (above, top) = parts(&mount.root);
        let top = if above > 0 { Vec::new() } else { top };
        let place = |count: usize| {
            let below = names.get(..count).unwrap_or_default();
            GroupPlace {
                version: self.version,
                path: format!("/{}", [&*top, below].concat().join("/")),
                folder: below.iter().fold(mount.point.clone(), |folder, name| folder.join(name)),
            }
        };
        (0..=names.len()).rev().map(place).collect()
    }
}

/// The folders of a hierarchy, level by level.
struct Walk<'r> {
    root: &'r SystemRoot,
    waiting: VecDeque<(PathBuf, Vec<String>)>,
    left: usize,
}

impl<'r> Walk<'r> {
    /// More groups than this are not looked at; systems with containers have some thousands.
    const MOST_GROUPS: usize = 50_000;

    fn from(root: &'r SystemRoot, top: &Path) -> Self {
        Self { root, waiting: VecDeque::from([(top.to_owned(), Vec::new())]), left: Self::MOST_GROUPS }
    }

    /// The next folder, and its names below the top; none below so many levels.
    fn next(&mut self, levels: Option<usize>) -> Probe<Option<(PathBuf, Vec<String>)>> {
        let Some((folder, names)) = self.waiting.pop_front() else { return Ok(None) };
        if levels.is_none_or(|levels| names.len() < levels) {
            let inside = match self.root.folders_in(&folder) {
                Err(unavailable) if matches!(unavailable.reason, Reason::NoDescriptor(_)) => {
                    return Err(unavailable);
                }
                read => read.unwrap_or_default(),
            };
            for name in inside.into_iter().take(self.left) {
                self.left -= 1;
                let path = folder.join(&name);
                self.waiting.push_back((path, names.iter().cloned().chain([name]).collect()));
            }
        }
        Ok(Some((folder, names)))
    }
}

/// The names alone, of any texts.
#[cfg(fuzzing)]
pub(super) fn parse_all(own: &str, mountinfo: &str) {
    let mounts = Mounts::parse(mountinfo);
    for version in [CgroupVersion::V1, CgroupVersion::V2] {
        let Some(group) = group_of(own, version) else { continue };
        for mount in &mounts.cgroups {
            let search =
                Search { root: &SystemRoot::at("/nowhere"), group: Some(group), version, mounts: &[mount] };
            let places = search.named(group).unwrap_or_default();
            assert!(places.iter().all(|place| place.folder.starts_with(&mount.point)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_lies_below_a_mount_by_its_names_or_by_levels() {
        let below = |names: &[&'static str]| Relation::Below(names.to_vec());
        assert_eq!(relation("/", "/a/b"), below(&["a", "b"]));
        assert_eq!(relation("/", "/"), below(&[]));
        assert_eq!(relation("/a", "/a/b"), below(&["b"]));
        assert_eq!(relation("/a", "/ab"), Relation::Apart);
        assert_eq!(relation("/../x", "/../x/y"), below(&["y"]));
        assert_eq!(relation("/../..", "/"), Relation::Levels(2, vec![]));
        assert_eq!(relation("/..", "/a"), Relation::Levels(2, vec!["a"]));
        assert_eq!(relation("/../..", "/../x"), Relation::Levels(2, vec!["x"]));
        assert_eq!(relation("/", "/../x"), Relation::Apart);
        assert_eq!(relation("/../x", "/"), Relation::Apart);
        assert_eq!(relation("/", "/a/../b"), Relation::Apart);
        assert_eq!((height("/"), height("/a/b"), height("/../..")), (0, 2, -2));
    }
}
