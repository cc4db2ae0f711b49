//! What a process may not do, and the line that mends it.

use std::os::unix::process::CommandExt;

use plimsoll::{
    device::{
        Backend, DeviceContext, DeviceMemory, DmaHeapBackend, HostBackend, HostOptions, Request,
        UdmabufBackend,
    },
    units::{KIB, MIB},
};
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::{child, in_a_guest, part, system_heap};

const NOBODY: u32 = 65_534;

#[test]
#[ignore = "in a guest: npm run test:vm"]
fn who_may_not_open_a_heap_is_told_the_line_that_mends_it() {
    const TEST: &str = "limits::who_may_not_open_a_heap_is_told_the_line_that_mends_it";
    if part().is_some() {
        let context = DeviceContext::default;
        let refusals =
            [DmaHeapBackend::open(context(), None).map(drop), UdmabufBackend::open(context()).map(drop)];
        for (refusal, rule) in refusals.into_iter().zip(["SUBSYSTEM==\"dma_heap\"", "KERNEL==\"udmabuf\""]) {
            let refusal = refusal.unwrap_err();
            assert_eq!(refusal.code(), "ERR_DEVICE_UNAVAILABLE");
            assert!(refusal.to_string().contains(rule), "{refusal}");
        }
        return;
    }
    in_a_guest();
    let status = child(TEST, "nobody").uid(NOBODY).gid(NOBODY).status().unwrap();
    assert!(status.success(), "{status}");
}

#[test]
#[ignore = "in a guest: npm run test:vm"]
fn who_may_not_lock_memory_is_told_the_limit() {
    const TEST: &str = "limits::who_may_not_lock_memory_is_told_the_limit";
    if part().is_some() {
        setrlimit(Resource::Memlock, Rlimit { current: Some(64 * KIB), maximum: Some(64 * KIB) }).unwrap();
        let options = HostOptions { lock: true, ..HostOptions::default() };
        let backend = HostBackend::with_options(DeviceContext::default(), options);
        backend.take(&Request::new(32 * KIB, "within")).unwrap();
        let refusal = backend.take(&Request::new(MIB, "beyond")).unwrap_err();
        assert!(refusal.to_string().contains("may lock 64.00 KiB in all"), "{refusal}");
        return;
    }
    in_a_guest();
    let status = child(TEST, "nobody").uid(NOBODY).gid(NOBODY).status().unwrap();
    assert!(status.success(), "{status}");
}

#[test]
#[ignore = "in a guest: npm run test:vm"]
fn too_many_open_files_is_told_with_the_limit() {
    const TEST: &str = "limits::too_many_open_files_is_told_with_the_limit";
    if part().is_some() {
        setrlimit(Resource::Nofile, Rlimit { current: Some(64), maximum: Some(64) }).unwrap();
        let udmabuf = UdmabufBackend::open(DeviceContext::default()).unwrap();
        for backend in [&system_heap() as &dyn Backend, &udmabuf] {
            let slabs: Vec<Box<dyn DeviceMemory>> =
                (0..64).map_while(|_| backend.take(&Request::new(4 * KIB, "file")).ok()).collect();
            assert!(slabs.len() > 40, "{}: {}", backend.name(), slabs.len());
            let refusal = backend.take(&Request::new(4 * KIB, "one more")).unwrap_err();
            assert!(refusal.to_string().contains("ulimit -n"), "{refusal}");
        }
        return;
    }
    in_a_guest();
    assert!(child(TEST, "few files").status().unwrap().success());
}
