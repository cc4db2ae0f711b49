//! Which process this is, and whether another still is the one it was.

use std::{fs, io, time::Duration};

use rustix::{
    io::Errno,
    process::{Pid, getpid, getuid, test_kill_process},
    time::{ClockId, clock_gettime},
};

use crate::system::resident_bytes_of;

/// A process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) pid: u32,
    pub(super) uid: u32,
    /// Field 22 of `/proc/PID/stat`; 0 where it cannot be read.
    pub(super) started_ticks: u64,
    /// The inode of `/proc/PID/ns/pid`; 0 where it cannot be read.
    pub(super) pid_namespace: u64,
}

impl Identity {
    /// This process.
    pub(super) fn own() -> Self {
        Self::of(getpid().as_raw_nonzero().get().unsigned_abs())
    }

    /// A process of this user with that number here.
    pub(super) fn of(pid: u32) -> Self {
        Self {
            pid,
            uid: getuid().as_raw(),
            started_ticks: started_ticks(pid).unwrap_or(0),
            pid_namespace: own_pid_namespace().unwrap_or(0),
        }
    }

    /// Whether it has not ended; none where its number means another process here, or none. One that may not be looked at is
    /// taken for alive.
    pub(super) fn is_alive(&self) -> Option<bool> {
        if own_pid_namespace() != Some(self.pid_namespace) {
            return None;
        }
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        // An emulator shows a process another start of its own than others see.
        if pid == Some(getpid()) {
            return Some(true);
        }
        if pid.is_none_or(|pid| test_kill_process(pid) == Err(Errno::SRCH)) {
            return Some(false);
        }
        let is_same =
            |(state, started_ticks)| !matches!(state, 'Z' | 'X') && started_ticks == self.started_ticks;
        Some(stat_fields(self.pid).is_none_or(is_same))
    }

    /// What the process has resident, in bytes; none where its number means another one here, or none.
    pub(super) fn resident_bytes(&self) -> Option<u64> {
        let is_seen = self.pid_namespace != 0 && own_pid_namespace() == Some(self.pid_namespace);
        let resident = if is_seen { resident_bytes_of(self.pid) } else { None };
        // Asked last: a number that went to another process meanwhile is found out.
        resident.filter(|_| started_ticks(self.pid) == Some(self.started_ticks))
    }
}

/// Nanoseconds since the board started, asleep or not. No clock that is set moves it, and all processes read the same.
pub(crate) fn now_ns() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    time.tv_sec.unsigned_abs().saturating_mul(1_000_000_000).saturating_add(time.tv_nsec.unsigned_abs())
}

/// A time as a number of nanoseconds; the largest for what is longer.
pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The id of this start of the kernel, as 16 bytes in two words. Source: `/proc/sys/kernel/random/boot_id`,
/// `proc_sys_kernel(5)`.
///
/// # Errors
///
/// Where it cannot be read, as without a free descriptor: any other id would make a ledger that is used a stale one.
pub(crate) fn boot_id() -> io::Result<[u64; 2]> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    let half = |from: usize| digits.get(from..from + 16).and_then(|part| u64::from_str_radix(part, 16).ok());
    half(0)
        .zip(half(16))
        .map(|(first, second)| [first, second])
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn own_pid_namespace() -> Option<u64> {
    let link = fs::read_link("/proc/self/ns/pid").ok()?;
    link.to_str()?.strip_prefix("pid:[")?.strip_suffix(']')?.parse().ok()
}

/// When a process was started.
fn started_ticks(pid: u32) -> Option<u64> {
    stat_fields(pid).map(|(_, started_ticks)| started_ticks)
}

/// The state of a process and when it was started. Source: fields 3 and 22 of `proc_pid_stat(5)`; the name before them may hold
/// anything.
fn stat_fields(pid: u32) -> Option<(char, u64)> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let text = String::from_utf8_lossy(&text);
    let (_, after_name) = text.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_seen_and_another_with_its_number_is_not() {
        let own = Identity::own();
        assert!(own.started_ticks > 0 && own.pid_namespace > 0);
        assert!(own.resident_bytes().is_some_and(|bytes| bytes > 0));
        let others = [
            Identity { started_ticks: own.started_ticks + 1, ..own },
            Identity { pid_namespace: own.pid_namespace + 1, ..own },
            Identity { pid: u32::MAX, ..own },
        ];
        assert!(others.iter().all(|other| other.resident_bytes().is_none()));
        let [later, of_another_namespace, none] = others;
        assert_eq!((own.is_alive(), of_another_namespace.is_alive()), (Some(true), None));
        assert_eq!((later.is_alive(), none.is_alive()), (Some(true), Some(false)));
        let parent = Identity::of(std::os::unix::process::parent_id());
        assert_eq!(parent.is_alive(), Some(true));
        let before = Identity { started_ticks: parent.started_ticks - 1, ..parent };
        assert_eq!(before.is_alive(), Some(false), "another has its number now");
    }

    #[test]
    fn the_clock_goes_on_and_the_boot_has_an_id() {
        let before = now_ns();
        assert!(before > 0 && now_ns() >= before);
        assert_ne!(boot_id().unwrap(), [0, 0]);
        assert_eq!(boot_id().unwrap(), boot_id().unwrap());
    }
}
