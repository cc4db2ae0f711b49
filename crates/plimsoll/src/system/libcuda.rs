//! Where the library of NVIDIA's driver lies: the one search that advice and opening share.

use std::{
    collections::BTreeSet,
    env,
    ffi::OsString,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use super::root::SystemRoot;

/// Names the library that is opened when the options name none, and then no other is looked for.
pub(crate) const LIBRARY_VARIABLE: &str = "PLIMSOLL_CUDA_LIBRARY";

/// The driver's library by the name under which programs are linked to it.
pub(crate) const LIBRARY_NAME: &str = "libcuda.so.1";

/// Where drivers are installed that the loader may not know: WSL's and NixOS's folders, what container runtimes mount,
/// Linux for Tegra's, and then those of distributions.
const FOLDERS: &[&str] = &[
    "/usr/lib/wsl/lib",
    "/run/opengl-driver/lib",
    "/usr/local/nvidia/lib64",
    "/usr/lib/aarch64-linux-gnu/nvidia",
    "/usr/lib/aarch64-linux-gnu/tegra",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu/nvidia/current",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib64/nvidia",
    "/usr/lib64",
    "/usr/lib/nvidia",
    "/usr/lib",
];

/// What the environment names as the library, if it does.
pub(crate) fn named_library() -> Option<OsString> {
    env::var_os(LIBRARY_VARIABLE).filter(|name| !name.is_empty())
}

/// Every place where the library lies on the machine under that root, in the order in which it is tried: as the loader
/// would look (`LD_LIBRARY_PATH`, its cache), then [`FOLDERS`]. Nothing is loaded for it. Those made for another processor
/// are left out.
pub(crate) fn cuda_libraries(root: &SystemRoot) -> Vec<PathBuf> {
    let in_folder = |folder: PathBuf| folder.join(LIBRARY_NAME);
    let named = root.is_this_machine().then(|| env::var_os("LD_LIBRARY_PATH")).flatten().unwrap_or_default();
    let named = env::split_paths(&named).filter(|folder| folder.is_absolute()).map(in_folder);
    let usual = FOLDERS.iter().map(|folder| in_folder(PathBuf::from(folder)));
    let mut seen = BTreeSet::new();
    named
        .chain(cached(root))
        .chain(usual)
        .filter(|path| seen.insert(path.clone()) && root.exists(path) && !is_foreign(root, path))
        .collect()
}

/// What the loader's cache has under that name. The cache is a table of strings that end in zero, whatever its version;
/// see `ldconfig(8)`.
fn cached(root: &SystemRoot) -> Vec<PathBuf> {
    const LARGEST: usize = 8 << 20;
    let cache = root.read_up_to("/etc/ld.so.cache", LARGEST).unwrap_or_default();
    let mut paths: Vec<PathBuf> = Vec::new();
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(PathBuf::from);
    let is_library = |path: &PathBuf| path.is_absolute() && path.ends_with(LIBRARY_NAME);
    for path in cache.split(|byte| *byte == 0).filter_map(text).filter(is_library) {
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    paths
}

/// Whether it is a library for another processor, such as the 32-bit one that stands beside it on a PC. What is no library
/// at all is for the loader to refuse, with its own words.
fn is_foreign(root: &SystemRoot, path: &Path) -> bool {
    const CLASS_64_BIT: u8 = 2;
    /// `e_machine` of the architectures that this package is built for. Source: the ELF specification of each.
    const MACHINE: Option<[u8; 2]> = match env::consts::ARCH.as_bytes() {
        b"x86_64" => Some([62, 0]),
        b"aarch64" => Some([183, 0]),
        _ => None,
    };
    // A copy is read by another machine than the one it was made of; and what is no file is not opened.
    if !root.is_this_machine() || !path.is_file() {
        return false;
    }
    let mut header = [0; 20];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut header));
    match (read, header) {
        (Ok(()), [0x7f, b'E', b'L', b'F', class, .., low, high]) => {
            class != CLASS_64_BIT || MACHINE.is_some_and(|machine| machine != [low, high])
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn found(files: &[(&str, &[u8])]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        for (path, bytes) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        cuda_libraries(&SystemRoot::at(folder.path())).into_iter().map(text).collect()
    }

    #[test]
    fn every_place_where_drivers_are_installed_is_looked_at() {
        assert!(found(&[]).is_empty());
        for folder in FOLDERS {
            let path = format!("{folder}/libcuda.so.1");
            assert_eq!(found(&[(&path[1..], b"")]), [path]);
        }
    }

    #[test]
    fn the_loaders_cache_comes_first_and_names_folders_of_any_distribution() {
        let cache = b"glibc-ld.so.cache1.1\x01\0\0libcuda.so.1\0/opt/driver/libcuda.so.1\0/usr/lib/libcuda.so.1\0\
                      /opt/driver/libcuda.so.1\0/gone/libcuda.so.1\0relative/libcuda.so.1\0/x/mylibcuda.so.1\0";
        let files: [(&str, &[u8]); 4] = [
            ("etc/ld.so.cache", cache),
            ("opt/driver/libcuda.so.1", b""),
            ("usr/lib/libcuda.so.1", b""),
            ("usr/lib/wsl/lib/libcuda.so.1", b""),
        ];
        assert_eq!(
            found(&files),
            ["/opt/driver/libcuda.so.1", "/usr/lib/libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1"]
        );
        assert!(found(&[("etc/ld.so.cache", &[0xff; 4096])]).is_empty());
    }

    #[test]
    fn libraries_of_another_processor_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(LIBRARY_NAME);
        let root = SystemRoot::default();
        let foreign = |header: &[u8]| {
            fs::write(&path, header).unwrap();
            is_foreign(&root, &path)
        };
        let mut own = fs::read(env::current_exe().unwrap()).unwrap();
        own.truncate(64);
        assert!(!foreign(&own));
        own[4] = 1;
        assert!(foreign(&own), "32 bits");
        own[4] = 2;
        own[18] ^= 0xff;
        assert!(foreign(&own), "another machine");
        assert!(!foreign(b"") && !foreign(b"no library, and the loader shall say so"));
        assert!(!is_foreign(&root, folder.path()), "a folder");
    }
}
