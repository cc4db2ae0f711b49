//! Where the library of NVIDIA's driver lies: the one search that advice and opening share.

use std::{collections::BTreeSet, env, ffi::OsString, path::PathBuf};

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
    variable(LIBRARY_VARIABLE)
}

/// What a variable of the environment says, unless it is empty.
pub(crate) fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|text| !text.is_empty())
}

/// Every place where the driver's library lies; see [`driver_libraries`].
pub(crate) fn cuda_libraries(root: &SystemRoot) -> Vec<PathBuf> {
    driver_libraries(root, LIBRARY_NAME)
}

/// Every place where a library of the driver's lies on the machine under that root, in the order in which it is tried: as
/// the loader would look (`LD_LIBRARY_PATH`, its cache), then [`FOLDERS`]. Nothing is loaded for it, and none is looked into.
pub(crate) fn driver_libraries(root: &SystemRoot, name: &str) -> Vec<PathBuf> {
    let in_folder = |folder: PathBuf| folder.join(name);
    let listed = root.is_this_machine().then(|| env::var_os("LD_LIBRARY_PATH")).flatten().unwrap_or_default();
    let listed = env::split_paths(&listed).filter(|folder| folder.is_absolute()).map(in_folder);
    let usual = FOLDERS.iter().map(|folder| in_folder(PathBuf::from(folder)));
    let mut seen = BTreeSet::new();
    listed
        .chain(cached(root, name))
        .chain(usual)
        .filter(|path| seen.insert(path.clone()) && root.exists(path))
        .collect()
}

/// What the loader's cache has under that name. The cache is a table of strings that end in zero, whatever its version;
/// see `ldconfig(8)`.
fn cached(root: &SystemRoot, name: &str) -> Vec<PathBuf> {
    const LARGEST: usize = 8 << 20;
    let cache = root.read_up_to("/etc/ld.so.cache", LARGEST).unwrap_or_default();
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(PathBuf::from);
    let is_library = |path: &PathBuf| path.is_absolute() && path.ends_with(name);
    cache.split(|byte| *byte == 0).filter_map(text).filter(is_library).collect()
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
}
