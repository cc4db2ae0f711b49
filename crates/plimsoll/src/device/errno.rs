//! What an error number of a memory call means, and what to do.

use rustix::{
    io::Errno,
    process::{Resource, getrlimit},
};

use crate::{error::system_text, units::format_bytes};

/// The meaning that a number has whichever call gave it.
pub(super) fn meaning(errno: Errno) -> String {
    match errno {
        Errno::MFILE => format!(
            "this process has all the files open that it may ({}), and each slab keeps one open; take larger slabs, or \
             raise the limit: ulimit -n, or LimitNOFILE= of a service",
            limit(Resource::Nofile).map_or_else(|| "no limit".to_owned(), |most| most.to_string())
        ),
        Errno::NFILE => {
            "the system has all the files open that it may; raise it: sysctl fs.file-max".to_owned()
        }
        Errno::ACCESS | Errno::PERM => "this user may not do that".to_owned(),
        Errno::NODEV | Errno::NXIO => "the device is gone, or its driver was unloaded".to_owned(),
        Errno::NOTTY | Errno::NOSYS => "the driver, or the kernel, has no such call".to_owned(),
        other => system_text(&other.into()),
    }
}

/// Why memory could not be mapped into the process.
pub(super) fn mapping_meaning(errno: Errno) -> String {
    match errno {
        Errno::NOMEM => {
            "the process has no address space or no mapping left; see ulimit -v, sysctl vm.max_map_count and \
                         sysctl vm.overcommit_memory, or take larger slabs"
                .to_owned()
        }
        other => meaning(other),
    }
}

/// Why memory could not be locked.
pub(super) fn locking_meaning(errno: Errno, bytes: u64) -> String {
    match errno {
        Errno::NOMEM | Errno::PERM | Errno::AGAIN => format!(
            "{} cannot be locked: without CAP_IPC_LOCK a process may lock {} in all; raise it: ulimit -l, LimitMEMLOCK= of \
             a service, or docker run --ulimit memlock=-1",
            format_bytes(bytes),
            limit(Resource::Memlock).map_or_else(|| "any amount".to_owned(), format_bytes)
        ),
        other => meaning(other),
    }
}

fn limit(resource: Resource) -> Option<u64> {
    getrlimit(resource).current
}
