//! What the NPU driver's error numbers mean, and what to do.

use rustix::io::Errno;

use super::{
    drm::DRIVER,
    uapi::{Action, Command, MemCreate, MemDestroy, MemSync},
};
use crate::{
    device::errno::{self, mapping_meaning},
    error::Error,
};

/// What it means that a call was refused.
pub(super) fn meaning(call: &str, errno: Errno) -> String {
    match errno {
        Errno::INVAL if switches_domain(call) => {
            "the driver could not make the buffer's domain the live one: a job of another program held a different one for \
             6 seconds, or the driver lost count of jobs; end that program, and restart the board if it helps nothing"
                .to_owned()
        }
        Errno::NODEV | Errno::IO | Errno::PIPE | Errno::NXIO => {
            "the NPU is lost: its driver was removed or has given up; what lay in its memory is gone, restart the board"
                .to_owned()
        }
        Errno::ACCESS | Errno::PERM => {
            "this user may not use the NPU; try: sudo usermod -aG render,video \"$USER\"".to_owned()
        }
        other if call == "mmap" => mapping_meaning(other),
        other => errno::meaning(other),
    }
}

fn switches_domain(call: &str) -> bool {
    [Action::NAME, MemCreate::NAME, MemDestroy::NAME, MemSync::NAME].contains(&call)
}

/// The refusal of a call.
pub(super) fn refused(call: &'static str, errno: Errno) -> Error {
    Error::device(DRIVER, Some(errno.raw_os_error()), call, meaning(call, errno))
}
