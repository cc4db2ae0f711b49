//! In whose accounts memory of a device is.

use std::fs;

use plimsoll::{
    device::{Backend, DeviceContext, HostBackend, HostOptions, HostSource, Request, UdmabufBackend},
    system::process_memory,
    units::MIB,
};

use crate::{available_bytes, in_a_guest, inmib, memory, settle, system_heap};

/// What a process's accounts say it holds, in bytes.
#[derive(Clone, Copy)]
struct Accounts {
    unavailable: u64,
    resident: u64,
    shared: u64,
    group: u64,
    oom_score: u64,
}

const GROUP: &str = "/sys/fs/cgroup/plimsoll";

/// Moves this process into a group of its own, with a limit in bytes.
fn join_group(limit: &str) {
    fs::write("/sys/fs/cgroup/cgroup.subtree_control", "+memory").unwrap();
    let _ = fs::create_dir(GROUP);
    fs::write(format!("{GROUP}/memory.max"), limit).unwrap();
    fs::write(format!("{GROUP}/cgroup.procs"), "0").unwrap();
}

fn leave_group() {
    fs::write("/sys/fs/cgroup/cgroup.procs", "0").unwrap();
}

fn accounts() -> Accounts {
    let number = |path: &str| fs::read_to_string(path).unwrap().trim().parse().unwrap();
    let (memory, process) = (memory(), process_memory().unwrap());
    Accounts {
        unavailable: memory.total_bytes - available_bytes(),
        resident: process.rss_bytes,
        shared: process.shmem_bytes,
        group: number(&format!("{GROUP}/memory.current")),
        oom_score: number("/proc/self/oom_score"),
    }
}

/// How the accounts change with a slab of 256 MiB that is written from end to end.
fn seen(backend: &dyn Backend) -> [u64; 5] {
    const SIZE: u64 = 256 * MIB;
    fs::write("/proc/self/oom_score_adj", "0").unwrap();
    let before = accounts();
    let slab = backend.take(&Request::new(SIZE, "counted")).unwrap();
    slab.fill(0..SIZE, 1).unwrap();
    let during = accounts();
    drop(slab);
    let kept = || accounts().unavailable.saturating_sub(before.unavailable);
    assert!(settle(|| kept() < 8 * MIB), "{}: {} MiB did not come back", backend.name(), inmib(kept()));
    let change = |of: fn(Accounts) -> u64| of(during).saturating_sub(of(before));
    [
        change(|accounts| accounts.unavailable),
        change(|accounts| accounts.resident),
        change(|accounts| accounts.shared),
        change(|accounts| accounts.group),
        change(|accounts| accounts.oom_score),
    ]
}

#[test]
#[ignore = "in a guest: npm run test:vm"]
fn heap_memory_is_in_no_account_of_its_process_and_udmabuf_is_in_all() {
    in_a_guest();
    // The line that the refusal gives.
    fs::write("/sys/module/udmabuf/parameters/size_limit_mb", "4096").unwrap();
    join_group("max");
    let context = DeviceContext::default;
    let memory_file = HostOptions { source: HostSource::MemoryFile, ..HostOptions::default() };
    let backends: [Box<dyn Backend>; 4] = [
        Box::new(system_heap()),
        Box::new(UdmabufBackend::open(context()).unwrap()),
        Box::new(HostBackend::with_options(context(), memory_file)),
        Box::new(HostBackend::new(context())),
    ];
    println!("| 256 MiB of | the machine has less, MiB | VmRSS | RssShmem | memory.current | oom_score |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for backend in &backends {
        let [unavailable, resident, shared, group, score] = seen(&**backend);
        let cells = [unavailable, resident, shared, group].map(inmib).join(" | ");
        println!("| {} | {cells} | {score} |", backend.name());
        let all = 250 * MIB;
        let name = backend.name();
        // The rest of the machine takes and releases meanwhile, too.
        assert!(unavailable > 192 * MIB, "{name}: {} MiB less in the machine", inmib(unavailable));
        let counted = !name.starts_with("dma-heap");
        assert_eq!(resident > all, counted, "{name}: {} MiB resident", inmib(resident));
        assert_eq!(group > all, counted, "{name}: {} MiB in the group", inmib(group));
        assert_eq!(shared > all, counted && name != "host", "{name}: {} MiB shared", inmib(shared));
        assert!(counted || resident + group < 16 * MIB, "{name}: next to nothing");
    }
    leave_group();
}

#[test]
#[ignore = "in a guest: npm run test:vm"]
fn a_group_binds_udmabuf_and_not_a_heap() {
    in_a_guest();
    join_group(&(128 * MIB).to_string());
    let request = Request::new(192 * MIB, "beyond the group");
    system_heap().take(&request).unwrap();
    fs::write("/sys/module/udmabuf/parameters/size_limit_mb", "4096").unwrap();
    let refusal = UdmabufBackend::open(DeviceContext::default()).unwrap().take(&request).unwrap_err();
    leave_group();
    assert!(refusal.to_string().contains("cgroup /plimsoll"), "{refusal}");
    println!("{refusal}");
}
