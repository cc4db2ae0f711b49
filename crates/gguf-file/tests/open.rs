//! Paths that lead to something else than a file.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test may panic; its helpers fail with it")]

mod common;

use std::{fs, os::unix::net::UnixListener, path::PathBuf, process::Command};

use common::Builder;
use gguf_file::{Error, FileKind, GgufFile, Options, open_file};

/// A folder of this test's own, gone when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("gguf-file-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[track_caller]
fn not_regular(path: impl Into<PathBuf>, expected: FileKind) {
    let error = GgufFile::open(path.into(), &Options::default()).unwrap_err();
    assert_eq!(error.rule(), "not-a-regular-file");
    assert_eq!(error.offset_bytes(), None);
    assert!(matches!(error, Error::NotARegularFile { kind } if kind == expected), "{error}");
}

#[test]
fn a_directory_is_refused() {
    let folder = Folder::new("directory");
    not_regular(&folder.0, FileKind::Directory);
}

#[test]
fn a_named_pipe_is_refused_without_waiting_for_a_writer() {
    let folder = Folder::new("pipe");
    let path = folder.join("pipe");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    not_regular(path, FileKind::Fifo);
}

#[test]
fn a_socket_is_refused() {
    let folder = Folder::new("socket");
    let path = folder.join("socket");
    let _listener = UnixListener::bind(&path).unwrap();
    not_regular(path, FileKind::Socket);
}

#[test]
fn an_endless_device_is_refused() {
    not_regular("/dev/zero", FileKind::CharacterDevice);
}

/// A thread that is nobody's, root's of this process or not, for it alone.
#[cfg(target_os = "linux")]
#[test]
fn a_file_that_may_not_be_read_is_an_io_error_without_an_offset() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new("secret");
    let path = folder.join("secret.gguf");
    fs::write(&path, Builder::new().build()).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    let opening = std::thread::spawn(move || {
        let nobody = rustix::thread::Uid::from_raw(65_534);
        let is_somebody_else = !rustix::process::geteuid().is_root()
            || rustix::thread::set_thread_res_uid(nobody, nobody, nobody).is_ok();
        is_somebody_else.then(|| GgufFile::open(&path, &Options::default()))
    });
    let Some(result) = opening.join().unwrap() else {
        println!("skipped: this user may read everything and can be nobody else");
        return;
    };
    let Err(Error::Io { offset: None, source }) = result else { panic!("it may not be read") };
    assert_eq!(source.kind(), std::io::ErrorKind::PermissionDenied);
}

#[test]
fn a_missing_file_is_an_io_error_without_an_offset() {
    let Err(Error::Io { offset: None, source }) = open_file("/does/not/exist.gguf") else {
        panic!("there is no such file")
    };
    assert_eq!(source.kind(), std::io::ErrorKind::NotFound);
}

#[test]
fn an_empty_file_is_truncated() {
    let folder = Folder::new("empty");
    let path = folder.join("empty.gguf");
    fs::write(&path, []).unwrap();
    let error = GgufFile::open(&path, &Options::default()).unwrap_err();
    assert_eq!((error.rule(), error.offset_bytes()), ("truncated", Some(0)));
}

#[test]
fn a_file_and_a_link_to_it_open() {
    let folder = Folder::new("file");
    let (path, link) = (folder.join("model.gguf"), folder.join("link.gguf"));
    fs::write(&path, Builder::new().tensor("t", &[8], 0, 0).data(32).build()).unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    for path in [path, link] {
        assert_eq!(GgufFile::open(path, &Options::default()).unwrap().tensor_count(), 1);
    }
}
