//! Finding the driver, and saying why there is none.

use std::{env, path::PathBuf, process::Command};

use plimsoll::{
    Error,
    device::{Backend, CudaBackend, CudaChunks, CudaInfo, CudaKind, CudaOptions, Request},
};

use crate::fake::{Fake, text_file};

fn open_at(library: PathBuf) -> Error {
    CudaBackend::open(CudaOptions { library: Some(library), ..CudaOptions::default() }).unwrap_err()
}

#[track_caller]
fn assert_unavailable(refusal: &Error, parts: &[&str]) {
    assert_eq!(refusal.code(), "ERR_DEVICE_UNAVAILABLE", "{refusal}");
    for part in parts {
        assert!(refusal.to_string().contains(part), "{part:?} is not in: {refusal}");
    }
}

#[test]
fn a_driver_that_does_not_start_is_no_cuda_with_the_reason_and_what_to_do() {
    let known: [(i32, &[&str]); 6] = [
        (34, &["error 34", "CUDA_ERROR_STUB_LIBRARY", "LD_LIBRARY_PATH"]),
        (100, &["CUDA_ERROR_NO_DEVICE", "--runtime nvidia"]),
        (101, &["CUDA_ERROR_INVALID_DEVICE", "CUDA_VISIBLE_DEVICES"]),
        (803, &["error 803", "different versions"]),
        (804, &["error 804", "compat"]),
        (999, &["CUDA_ERROR_UNKNOWN", "dmesg"]),
    ];
    let unknown: [(i32, &[&str]); 2] =
        [(12345, &["cuInit", "error 12345", "no name for"]), (-7, &["error -7"])];
    let fake = Fake::new();
    for (code, parts) in known.into_iter().chain(unknown) {
        fake.set("init_code", code.into());
        assert_unavailable(&open_at(fake.path()), parts);
        assert_unavailable(&CudaInfo::all(Some(&fake.path())).unwrap_err(), parts);
    }
    fake.set("init_code", 0);
    drop(fake.open(CudaKind::Device));
    fake.assert_clean();
}

#[test]
fn what_is_no_library_of_the_driver_is_no_cuda() {
    let folder = tempfile::tempdir().unwrap();
    assert_unavailable(&open_at(folder.path().join("nothing.so")), &["nothing.so", "cannot open"]);
    assert_unavailable(&open_at(text_file(folder.path())), &["libcuda.so.1", "no ELF file"]);
    assert_unavailable(&open_at(folder.path().to_owned()), &["could be loaded", "no regular file"]);
    for node in ["/dev/null", "/dev/zero"] {
        assert_unavailable(&open_at(node.into()), &[node, "no regular file"]);
    }
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    assert_unavailable(&open_at(pipe), &["pipe", "no regular file"]);
    let whole = std::fs::read(Fake::new().path()).unwrap();
    let short = folder.path().join("short.so");
    for bytes in [1 << 16, 5000, 4096, 100] {
        std::fs::write(&short, &whole[..bytes]).unwrap();
        assert_unavailable(&open_at(short.clone()), &["short.so", &format!("ends after {bytes}")]);
    }
    let other = Fake::without(&["cuMemAlloc_v2"]);
    assert_unavailable(&open_at(other.path()), &["is no driver of NVIDIA's", "cuMemAlloc_v2"]);
}

#[test]
fn a_device_or_a_kind_that_is_not_there_is_unavailable() {
    let fake = Fake::new();
    let options = CudaOptions { ordinal: 3, ..fake.options(CudaKind::Device) };
    assert_unavailable(&CudaBackend::open(options).unwrap_err(), &["no device 3", "the driver shows 1"]);
    fake.set("devices", 0);
    assert_unavailable(&open_at(fake.path()), &["no device 0"]);
    assert_eq!(CudaInfo::all(Some(&fake.path())).unwrap(), []);
    fake.set("devices", 1);
    fake.set("attribute.83", 0);
    fake.set("attribute.19", 0);
    for kind in [CudaKind::Managed, CudaKind::Pinned] {
        assert_unavailable(&CudaBackend::open(fake.options(kind)).unwrap_err(), &[kind.name()]);
    }
    fake.assert_clean();
}

#[test]
fn an_old_driver_without_the_newer_functions_gives_whole_pieces() {
    let fake = Fake::without(&["cuMemCreate", "cuMemGetHandleForAddressRange", "cuGetErrorName"]);
    let back_end =
        CudaBackend::open(CudaOptions { chunks: CudaChunks::Preferred, ..fake.options(CudaKind::Device) })
            .unwrap();
    assert!(!back_end.info().virtual_memory_management && !back_end.info().dma_buf);
    assert!(!back_end.limits().exportable);
    let slab = back_end.take(&Request::new(1 << 20, "slab")).unwrap();
    assert_eq!(fake.get("cuMemAlloc_v2"), 1);
    assert_eq!(slab.export_fd().unwrap_err().code(), "ERR_DEVICE");
    fake.fail_after(1, 999);
    let refusal = slab.read(0, &mut [0]).unwrap_err();
    assert!(refusal.to_string().contains("no name for; see dmesg"), "{refusal}");
    drop((slab, back_end));
    fake.assert_clean();
}

#[test]
fn attributes_that_a_driver_does_not_know_are_absent() {
    let fake = Fake::new();
    fake.set("driver_version", 11040);
    fake.set("attribute.124", 0);
    fake.set("attribute.18", 0);
    let info = &CudaInfo::all(Some(&fake.path())).unwrap()[0];
    assert_eq!((info.driver_version, info.compute_capability), ((11, 4), (9, 0)));
    assert!(!info.dma_buf && !info.integrated && info.virtual_memory_management);
}

/// The variable is read in a process of its own: this one has other tests in it.
#[test]
fn the_environment_names_the_library_that_is_opened_by_default() {
    const VARIABLE: &str = "PLIMSOLL_CUDA_LIBRARY";
    const CHILD: &str = "PLIMSOLL_TEST_CHILD";
    if env::var_os(CHILD).is_some() {
        let library = env::var(VARIABLE).unwrap();
        let info = &CudaInfo::all(None).unwrap()[0];
        assert_eq!((info.library.as_str(), info.name.as_str()), (library.as_str(), "Fake GPU"));
        return;
    }
    let fake = Fake::new();
    let name = "opening::the_environment_names_the_library_that_is_opened_by_default";
    let run = |library: PathBuf| {
        let mut child = Command::new(env::current_exe().unwrap());
        child.args(["--exact", name]).env(CHILD, "1").env(VARIABLE, library).output().unwrap().status
    };
    assert!(run(fake.path()).success());
    assert!(!run(fake.path().with_extension("missing")).success(), "no other library is tried then");
}
