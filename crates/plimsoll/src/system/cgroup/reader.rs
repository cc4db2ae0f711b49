//! All groups over a process, read again and again.

use super::{
    files::GroupReader,
    group::{CgroupVersion, Cgroups},
    places::{Places, places},
};
use crate::system::{
    mounts::{Mounts, names_groups},
    root::{LineBuffer, Probe, Reason, RootSource, SystemRoot, Unavailable},
};

/// Reads the groups over this process again and again, with their files kept open.
#[derive(Debug, Default)]
pub(in crate::system) struct CgroupReader {
    own: Option<RootSource>,
    /// The text of `/proc/self/cgroup` for which the groups were looked up.
    seen: Option<Vec<u8>>,
    groups: Vec<GroupReader>,
    /// Where others may be.
    doubts: Vec<Unavailable>,
}

impl CgroupReader {
    /// Reads the groups; a process that was moved since the last reading is followed.
    pub(in crate::system) fn read(&mut self, root: &SystemRoot, buffer: &mut LineBuffer) -> Probe<Cgroups> {
        let own = self.own.get_or_insert_with(|| RootSource::new(root, root.process_file("cgroup")));
        let seen = &self.seen;
        let changed = own.read(buffer, |text| Ok((seen.as_deref() != Some(text)).then(|| text.to_owned())));
        match changed {
            Ok(Some(text)) => {
                self.look_up(root, &text)?;
                self.seen = Some(text);
            }
            Ok(None) => {}
            Err(missing) if missing.is_absent() => self.look_up_unnamed(root, missing)?,
            Err(unavailable) => return Err(unavailable),
        }
        let mut cgroups = Cgroups { doubts: self.doubts.clone(), ..Cgroups::default() };
        for group in &mut self.groups {
            match group.read(buffer, &mut cgroups) {
                Ok(group) => cgroups.groups.extend(group),
                Err(error) => cgroups.unavailable.push(error),
            }
        }
        Ok(cgroups)
    }

    /// The groups of the last reading with their usage of now; `None` where a group has gone or changed.
    pub(in crate::system) fn refresh(
        &mut self,
        mut last: Cgroups,
        buffer: &mut LineBuffer,
    ) -> Option<Cgroups> {
        if !last.unavailable.is_empty() {
            return None;
        }
        for group in &mut last.groups {
            let is_same = |reader: &&mut GroupReader| {
                reader.place.path == group.path && reader.place.version == group.version
            };
            let reader = self.groups.iter_mut().find(is_same)?;
            group.usage_bytes = reader.usage_bytes(buffer).ok()?;
            group.inactive_file_bytes = group.inactive_file_bytes.min(group.usage_bytes);
        }
        Some(last)
    }

    fn look_up(&mut self, root: &SystemRoot, own: &[u8]) -> Probe<()> {
        let text = String::from_utf8_lossy(own);
        if !names_groups(&text) {
            let path = root.path(root.process_file("cgroup"));
            return Err(Unavailable::new(path, Reason::Malformed("lines \"ID:CONTROLLERS:PATH\"")));
        }
        let found = places(root, Some(&text), &Mounts::read_if_there(root)?)?;
        self.enter(root, found);
        Ok(())
    }

    /// Where the file that names the groups is not there: none, on a kernel without them. Where a hierarchy is mounted a
    /// limit may be over the process all the same, so what can be seen of it counts, and that is told.
    fn look_up_unnamed(&mut self, root: &SystemRoot, missing: Unavailable) -> Probe<()> {
        /// What no text of that file is.
        const UNNAMED: &[u8] = &[];
        if let Some(folder) = root.process_folder()
            && !root.has_folder(folder)?
        {
            return Err(Unavailable { reason: Reason::Ended, ..missing });
        }
        if self.seen.as_deref() == Some(UNNAMED) {
            return Ok(());
        }
        let mounts = match Mounts::read(root) {
            // A copy need not have everything. A system without it has no /proc, and may have limits.
            Err(unavailable) if unavailable.is_absent() && root.is_this_machine() => Mounts::default(),
            Err(unavailable) if unavailable.is_absent() => return Err(missing),
            read => Some(read?).filter(|mounts| !mounts.cgroups.is_empty()).ok_or_else(|| missing.clone())?,
        };
        let mut found = places(root, None, &mounts)?;
        let why = "it is not there, so the control groups over this process are not known: there may be a limit that is \
                   not seen";
        found.doubts = vec![Unavailable::new(missing.path, Reason::Doubtful(why.to_owned()))];
        self.enter(root, found);
        self.seen = Some(UNNAMED.to_owned());
        Ok(())
    }

    fn enter(&mut self, root: &SystemRoot, found: Places) {
        self.groups = found.all.into_iter().map(|place| GroupReader::new(root, place)).collect();
        self.doubts = found.doubts;
        if let Some(top) = self.groups.iter_mut().rfind(|group| group.place.version == CgroupVersion::V1) {
            top.is_topmost = true;
        }
    }
}
