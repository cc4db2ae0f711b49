//! Where black boxes lie.

use std::{
    env, fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use rustix::process::geteuid;

use crate::error::{Error, Result};

/// The file of the black box of that name: as root in `/var/lib/plimsoll`, else in `$XDG_STATE_HOME/plimsoll`, which is
/// `~/.local/state/plimsoll` where that is not set. It has to outlive the power, so it lies on a disk.
///
/// # Errors
///
/// [`Error::InvalidArgument`] for a name that is none, and where there is no home.
pub fn default_black_box_path(name: &str) -> Result<PathBuf> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !(1..=64).contains(&name.len()) || !name.bytes().all(is_plain) {
        let shown: String = name.chars().take(80).collect();
        return Err(Error::invalid_argument(
            "name",
            "1 to 64 letters, digits, - and _",
            format!("{shown:?}"),
        ));
    }
    // As the XDG Base Directory Specification has it, what is not absolute counts for nothing.
    let folder_in =
        |variable: &str| env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = if geteuid().is_root() {
        PathBuf::from("/var/lib/plimsoll")
    } else if let Some(state) = folder_in("XDG_STATE_HOME") {
        state.join("plimsoll")
    } else if let Some(home) = folder_in("HOME") {
        home.join(".local/state/plimsoll")
    } else {
        let expected = "the path of a file, where neither XDG_STATE_HOME nor HOME is set";
        return Err(Error::invalid_argument("path", expected, "none"));
    };
    Ok(folder.join(format!("{name}.blackbox")))
}

/// Makes the folder of a black box and those above it, open to their owner alone.
pub(super) fn make_folder_of(path: &Path) -> Result<()> {
    let Some(folder) = path.parent() else { return Ok(()) };
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|source| io_error(folder, "mkdir", source))
}

pub(super) fn io_error(path: &Path, call: &'static str, source: std::io::Error) -> Error {
    Error::Io { path: path.to_owned(), tensor: None, offset_bytes: None, call, source }
}
