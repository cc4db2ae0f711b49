//! A look at a shared library before the dynamic linker maps it.
//!
//! The linker opens what it is given, so a pipe makes it wait for a writer, for good; and it maps what the program headers
//! say, so touching what a file that was cut short has not got ends the process with SIGBUS. Layout: `elf(5)`.

use std::{fs::File, io::Read, os::unix::fs::FileExt, path::Path};

use rustix::fs::{CWD, Mode, OFlags, openat};

use crate::error::system_text;

const HEADER_BYTES: usize = 64;
const PROGRAM_HEADER_BYTES: usize = 56;
const MAGIC: &[u8] = b"\x7fELF";
const CLASS_64: u8 = 2;
const LITTLE_ENDIAN: u8 = 1;
const TYPE_SHARED: u16 = 3;
const SEGMENT_LOADED: u32 = 1;
const SEGMENT_DYNAMIC: u32 = 2;

/// `e_machine` of the processor that this was built for; `None` where it is not known here.
const MACHINE: Option<u16> = if cfg!(target_arch = "x86_64") {
    Some(62)
} else if cfg!(target_arch = "aarch64") {
    Some(183)
} else {
    None
};

/// What keeps the file at `path` from being handed to the dynamic linker, in words; `None` if nothing does, and of a bare
/// name, which the linker looks for where nobody else does, or a file that cannot be opened, of which it says why itself.
pub(crate) fn library_fault(path: &Path) -> Option<String> {
    if !path.as_os_str().as_encoded_bytes().contains(&b'/') {
        return None;
    }
    if !std::fs::metadata(path).ok()?.is_file() {
        return Some(format!("{} is no regular file", path.display()));
    }
    // Should it have become a pipe meanwhile, an ordinary opening would wait for its writer.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(openat(CWD, path, flags, Mode::empty()).ok()?);
    let found = file.metadata().ok()?;
    if !found.is_file() {
        return Some(format!("{} is no regular file", path.display()));
    }
    fault(&file, found.len()).map(|fault| format!("{} {fault}", path.display()))
}

fn fault(file: &File, size_bytes: u64) -> Option<String> {
    if size_bytes == 0 {
        return Some("is empty".to_owned());
    }
    let mut header = Vec::with_capacity(HEADER_BYTES);
    if let Err(error) = file.take(HEADER_BYTES as u64).read_to_end(&mut header) {
        return Some(format!("cannot be read: {}", system_text(&error)));
    }
    if !header.starts_with(MAGIC) {
        return Some("is no ELF file".to_owned());
    }
    let Some(header) = header.first_chunk::<HEADER_BYTES>() else {
        return Some(format!("ends after {size_bytes} bytes, within its header"));
    };
    let [class, order] = word(header, 4);
    let [kind, machine] = [word::<2>(header, 16), word::<2>(header, 18)].map(u16::from_le_bytes);
    if class != CLASS_64 || order != LITTLE_ENDIAN {
        return Some("is no 64-bit little-endian ELF file".to_owned());
    }
    if MACHINE.is_some_and(|own| own != machine) {
        let arch = std::env::consts::ARCH;
        return Some(format!("is built for ELF machine {machine}, and this program for {arch}"));
    }
    if kind != TYPE_SHARED {
        return Some("is no shared library".to_owned());
    }
    let table = u64::from_le_bytes(word(header, 32));
    let [entry_bytes, count] = [word::<2>(header, 54), word::<2>(header, 56)].map(u16::from_le_bytes);
    if usize::from(entry_bytes) != PROGRAM_HEADER_BYTES || count == 0 {
        return Some("has no program headers".to_owned());
    }
    let end_bytes = end_of_segments(file, table, count);
    (end_bytes.is_none_or(|end| end > size_bytes)).then(|| match end_bytes {
        Some(end) => format!("ends after {size_bytes} of {end} bytes"),
        None => format!("ends after {size_bytes} bytes, within its program headers"),
    })
}

/// Where the last segment that is mapped ends in the file; `None` when the table of segments is not there.
fn end_of_segments(file: &File, table: u64, count: u16) -> Option<u64> {
    let mut segments = vec![0; usize::from(count) * PROGRAM_HEADER_BYTES];
    file.read_exact_at(&mut segments, table).ok()?;
    let ends = segments.chunks_exact(PROGRAM_HEADER_BYTES).filter_map(|segment| {
        let kind = u32::from_le_bytes(word(segment, 0));
        let [start, bytes] = [word(segment, 8), word(segment, 32)].map(u64::from_le_bytes);
        matches!(kind, SEGMENT_LOADED | SEGMENT_DYNAMIC).then(|| start.saturating_add(bytes))
    });
    Some(ends.max().unwrap_or(0))
}

/// The `N` bytes at `offset` of a header that is long enough.
fn word<const N: usize>(header: &[u8], offset: usize) -> [u8; N] {
    header.get(offset..).and_then(|rest| rest.first_chunk().copied()).unwrap_or([0; N])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::net::UnixListener, path::PathBuf, process::Command};

    /// The C library that this process runs on: a whole shared library of this processor.
    fn whole() -> Vec<u8> {
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let path = maps.lines().filter_map(|line| line.split_whitespace().nth(5));
        let path = path.into_iter().find(|path| path.contains("libc.so.6")).unwrap();
        assert_eq!(library_fault(Path::new(path)), None);
        fs::read(path).unwrap()
    }

    fn fault_of(bytes: &[u8]) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("library.so");
        fs::write(&path, bytes).unwrap();
        library_fault(&path).map(|fault| fault.replace(&path.display().to_string(), "it"))
    }

    #[test]
    fn what_is_no_regular_file_is_never_opened_in_a_way_that_waits() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let socket = folder.path().join("socket");
        let _listener = UnixListener::bind(&socket).unwrap();
        let nodes = ["/dev/null", "/dev/zero", "/dev/tty"].map(PathBuf::from);
        for path in [pipe, socket, folder.path().to_owned()].into_iter().chain(nodes) {
            if path.exists() {
                assert!(library_fault(&path).unwrap().contains("no regular file"), "{}", path.display());
            }
        }
    }

    #[test]
    fn a_library_cut_short_anywhere_in_what_is_mapped_is_refused() {
        let whole = whole();
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&whole, 0).unwrap();
        let table = u64::from_le_bytes(word(&whole, 32));
        let count = u16::from_le_bytes(word(&whole, 56));
        let end = usize::try_from(end_of_segments(&file, table, count).unwrap()).unwrap();
        assert!(end > 4096 && end <= whole.len());
        assert_eq!(fault_of(&whole[..end]), None, "what follows is not mapped");
        for bytes in [end - 1, end / 2, 4096, 200, 65, 64, 63, 20, 5, 4, 3, 1, 0] {
            assert!(fault_of(&whole[..bytes]).is_some(), "{bytes} bytes");
        }
    }

    #[test]
    fn a_library_of_another_kind_is_refused_with_what_it_is() {
        let whole = whole();
        let changed = |offset: usize, value: u8| {
            let mut bytes = whole.clone();
            bytes[offset] = value;
            fault_of(&bytes).unwrap()
        };
        assert_eq!(changed(4, 1), "it is no 64-bit little-endian ELF file");
        assert_eq!(changed(5, 2), "it is no 64-bit little-endian ELF file");
        assert!(changed(18, 40).starts_with("it is built for ELF machine 40, and this program for"));
        assert_eq!(changed(16, 2), "it is no shared library");
        assert_eq!(changed(56, 0).replace("it has no program headers", ""), "");
        assert_eq!(fault_of(b"no driver").unwrap(), "it is no ELF file");
        // Numbers that would overflow are beyond the end, too.
        assert!(changed(39, 0xff).contains("program headers"));
    }

    #[test]
    fn what_the_linker_looks_for_itself_is_left_to_it() {
        assert_eq!(library_fault(Path::new("libcuda.so.1")), None);
        assert_eq!(library_fault(Path::new("/nowhere/libcuda.so.1")), None);
    }
}
