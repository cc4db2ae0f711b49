//! Who holds memory of a GPU, by a management library without a GPU.

use plimsoll::device::nvml_processes;

use crate::fake::Fake;

/// GPU, process and bytes of each.
fn held(fake: &Fake) -> Vec<(u32, u32, Option<u64>)> {
    let found = nvml_processes(Some(&fake.path())).unwrap();
    assert_eq!(fake.get("nvml"), 0, "it is shut down again");
    found.into_iter().map(|it| (it.gpu.unwrap(), it.pid, it.bytes)).collect()
}

fn refusal(fake: &Fake) -> String {
    let refusal = nvml_processes(Some(&fake.path())).unwrap_err();
    assert_eq!(refusal.code(), "ERR_DEVICE_UNAVAILABLE", "{refusal}");
    assert_eq!(fake.get("nvml"), 0, "it is shut down again");
    refusal.to_string()
}

const GIB: u64 = 1 << 30;

#[test]
fn processes_are_told_by_gpu_and_those_that_compute_and_draw_once() {
    let fake = Fake::new();
    fake.set("nvml.devices", 2);
    let expected =
        [(0, 1000, Some(GIB)), (0, 1001, Some(2 * GIB)), (1, 1000, Some(GIB)), (1, 1001, Some(2 * GIB))];
    assert_eq!(held(&fake), expected);
    fake.set("nvml.processes", 0);
    assert_eq!(held(&fake), []);
}

#[test]
fn older_functions_serve_where_newer_ones_are_missing_or_not_known_to_the_driver() {
    let expected = [(0, 1000, Some(GIB)), (0, 1001, Some(2 * GIB))];
    let lists = ["Compute", "Graphics"];
    let names = |suffix: &str| lists.map(|kind| format!("nvmlDeviceGet{kind}RunningProcesses{suffix}"));
    let (newest, newer) = (names("_v3"), names("_v2"));
    let without =
        |names: &[&String]| Fake::without(&names.iter().map(|name| name.as_str()).collect::<Vec<_>>());
    assert_eq!(held(&without(&newest.iter().collect::<Vec<_>>())), expected);
    assert_eq!(
        held(&without(&newest.iter().chain(&newer).collect::<Vec<_>>())),
        expected,
        "the shorter rows"
    );
    let fake = Fake::new();
    fake.set("nvml.list_code_v3", 13);
    assert_eq!(held(&fake), expected);
}

#[test]
fn more_processes_than_there_was_room_for_are_all_told() {
    let fake = Fake::new();
    for count in [15, 16, 17, 500] {
        fake.set("nvml.processes", count);
        assert_eq!(held(&fake).len(), usize::try_from(count).unwrap());
    }
}

#[test]
fn bytes_that_the_driver_does_not_tell_are_none() {
    let fake = Fake::new();
    fake.set("nvml.unavailable", 1);
    assert_eq!(held(&fake), [(0, 1000, None), (0, 1001, None)]);
}

#[test]
fn a_library_that_does_not_start_or_tells_nothing_is_unavailable_with_the_reason() {
    let fake = Fake::new();
    fake.set("nvml.init_code", 9);
    assert!(refusal(&fake).contains("error 9: Driver Not Loaded"), "{}", refusal(&fake));
    fake.set("nvml.init_code", 4711);
    assert!(refusal(&fake).contains("error 4711: no text"), "{}", refusal(&fake));
    fake.set("nvml.init_code", 0);
    fake.set("nvml.code", 3);
    assert!(refusal(&fake).contains("Not Supported"), "{}", refusal(&fake));
    fake.set("nvml.devices", 0);
    assert_eq!(held(&fake), [], "no GPU, so nobody holds any");
    let other = Fake::without(&["nvmlShutdown"]);
    assert!(nvml_processes(Some(&other.path())).unwrap_err().to_string().contains("it has no nvmlShutdown"));
    let folder = tempfile::tempdir().unwrap();
    let refusal = nvml_processes(Some(&folder.path().join("nothing.so"))).unwrap_err();
    assert!(refusal.to_string().contains("nothing.so"), "{refusal}");
}
