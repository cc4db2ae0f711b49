//! Whose files are read.

use plimsoll::system::SystemRoot;

pub fn root_at(root: Option<String>) -> SystemRoot {
    root.map_or_else(SystemRoot::default, SystemRoot::at)
}

pub fn root_of(root: Option<String>, pid: Option<u32>) -> SystemRoot {
    let root = root_at(root);
    match pid {
        Some(pid) => root.of_process(pid),
        None => root,
    }
}
