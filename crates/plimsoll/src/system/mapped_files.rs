//! How much of a file a process has resident through its maps.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::Path,
};

use super::{processes::path_of, text::kib_field};
use crate::error::{Error, Result};

/// Resident bytes of the maps of a process whose path `is_meant` accepts, by the folder `/proc/PID`; 0 where it maps none.
/// Pages that two maps of it share count in each.
///
/// Source: `/proc/PID/smaps`, see `proc_pid_smaps(5)`. The kernel looks through the process's pages for it, which takes
/// milliseconds.
///
/// # Errors
///
/// [`Error::Io`] when there is no such process, when this user may not look into it, and where the kernel has no `smaps`.
pub fn mapped_file_bytes(proc_pid: &Path, is_meant: impl Fn(&str) -> bool) -> Result<u64> {
    let path = proc_pid.join("smaps");
    let sum = File::open(&path).and_then(|file| sum_of(BufReader::new(file), is_meant));
    sum.map_err(|source| Error::Io { path, tensor: None, offset_bytes: None, call: "read", source })
}

fn sum_of(mut lines: impl BufRead, is_meant: impl Fn(&str) -> bool) -> io::Result<u64> {
    let (mut sum, mut is_in) = (0_u64, false);
    let mut line = Vec::new();
    // A path may hold any bytes.
    while lines.read_until(b'\n', &mut line)? > 0 {
        let text = String::from_utf8_lossy(&line);
        if begins_map(&text) {
            is_in = path_of(&text).is_some_and(&is_meant);
        } else if let Some(bytes) = kib_field(&text, "Rss").filter(|_| is_in) {
            sum = sum.saturating_add(bytes);
        }
        line.clear();
    }
    Ok(sum)
}

/// Whether a line is the first of a map, which begins with two addresses; those that follow begin with a name and a colon.
fn begins_map(line: &str) -> bool {
    let Some((from, _)) = line.split_once('-') else { return false };
    !from.is_empty() && from.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::KIB;

    const SMAPS: &str = "\
55d0c0a00000-55d0c0b00000 r--p 00000000 08:01 1 /models/a-b.gguf
Size:               1024 kB
Rss:                  12 kB
Pss:                  12 kB
VmFlags: rd mr mw me sd
55d0c0b00000-55d0c0c00000 rw-p 00000000 00:00 0 [heap]
Rss:                 500 kB
7f0000000000-7f0000100000 r--s 00100000 08:01 1 /models/a-b.gguf (deleted)
Rss:                   4 kB
7f0000200000-7f0000300000 r--s 00100000 08:01 2 /models/other.gguf
Rss:                  64 kB
";

    #[test]
    fn the_maps_of_that_file_count_and_no_others() {
        let of = |path: &'static str| sum_of(SMAPS.as_bytes(), |mapped| mapped == path).unwrap();
        assert_eq!(of("/models/a-b.gguf"), 16 * KIB);
        assert_eq!(of("/models/other.gguf"), 64 * KIB);
        assert_eq!(of("/models"), 0);
    }

    #[test]
    fn nonsense_is_no_figure() {
        for text in ["", "Rss: 5 kB", "1-2 /a\nRss: x kB\n", "1-2 /a\nRss: -5 kB", "-/a\nRss: 5 kB"] {
            assert_eq!(sum_of(text.as_bytes(), |_| true).unwrap(), 0, "{text:?}");
        }
    }

    #[test]
    fn this_program_has_some_of_itself_resident() {
        let own = std::env::current_exe().unwrap();
        let bytes = mapped_file_bytes(Path::new("/proc/self"), |path| Path::new(path) == own).unwrap();
        assert!(bytes > 0);
        let error = mapped_file_bytes(Path::new("/nowhere"), |_| true).unwrap_err();
        assert!(error.to_string().contains("/nowhere/smaps"), "{error}");
    }
}
