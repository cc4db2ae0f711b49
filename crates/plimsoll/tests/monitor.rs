//! The monitor as its users see it: samples, levels, refusals, and an end.

// A test fails by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{
    fs,
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use plimsoll::{
    MemoryBudget,
    monitor::{Level, LevelLimits, Monitor, MonitorOptions, Notice},
    system::{Reason, SystemRoot},
    units::{GIB, MIB},
};

const SOON: Duration = Duration::from_secs(20);

fn often() -> MonitorOptions {
    MonitorOptions { interval: Some(Duration::from_millis(20)), ..MonitorOptions::default() }
}

fn started(budget: &MemoryBudget, options: MonitorOptions) -> (Monitor, Receiver<Notice>) {
    let (sender, notices) = channel();
    let monitor = Monitor::start(budget.clone(), options, move |notice| drop(sender.send(notice))).unwrap();
    (monitor, notices)
}

fn level_of(notice: &Notice) -> Level {
    match notice {
        Notice::Sample { sample, .. } => sample.level,
        Notice::Unavailable(reason) => panic!("a sample was expected: {reason}"),
    }
}

fn monitor_threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.trim() == "plimsoll-monito" || name.trim() == "plimsoll-monitor").count()
}

/// The tests look at the threads of the whole process, so they run one after the other.
#[test]
fn one_thread_watches_for_all_and_refuses_where_it_is_critical() {
    let wide = MemoryBudget::new(1024 * GIB, 0).unwrap();
    let narrow = MemoryBudget::new(MIB / 4, 0).unwrap();
    assert_eq!(monitor_threads(), 0);
    let (calm, calm_notices) = started(&wide, often());
    let (tight, tight_notices) = started(&narrow, often());

    assert_eq!(level_of(&calm_notices.recv_timeout(SOON).unwrap()), Level::Normal);
    assert_eq!(level_of(&tight_notices.recv_timeout(SOON).unwrap()), Level::Critical);
    assert_eq!(monitor_threads(), 1);
    assert!(wide.allocate(MIB, "fits").is_ok());
    let refused = narrow.allocate(1, "refused").unwrap_err().to_string();
    assert!(refused.contains("level critical") && refused.contains("the line"), "{refused}");

    tight
        .set_limits(LevelLimits { warn_percent: 100.0, critical_percent: 100.0, hysteresis_percent: 0.0 })
        .unwrap();
    assert!(tight.set_limits(LevelLimits { warn_percent: -1.0, ..LevelLimits::default() }).is_err());

    tight.close();
    tight.close();
    assert!(narrow.allocate(1, "granted again").is_ok());
    while tight_notices.try_recv().is_ok() {}
    thread::sleep(Duration::from_millis(100));
    assert!(tight_notices.try_recv().is_err(), "a closed monitor tells nothing");

    assert!(calm_notices.recv_timeout(SOON).is_ok(), "the other goes on");
    drop(calm);
    let deadline = Instant::now() + SOON;
    while monitor_threads() > 0 {
        assert!(Instant::now() < deadline, "the thread ends with the last monitor");
        thread::sleep(Duration::from_millis(5));
    }

    histories_are_bounded();
    monitors_come_and_go_from_many_threads();
    an_observer_may_close_its_monitor();
    each_is_told_of_the_root_it_watches();
}

fn histories_are_bounded() {
    let budget = MemoryBudget::new(1024 * GIB, 0).unwrap();
    let (monitor, notices) = started(&budget, MonitorOptions { history_count: 3, ..often() });
    for _ in 0..6 {
        notices.recv_timeout(SOON).unwrap();
    }
    let history = monitor.history();
    assert_eq!(history.len(), 3);
    assert!(history.windows(2).all(|pair| pair[0].at <= pair[1].at));
    assert_eq!(monitor.level(), Level::Normal);
}

fn monitors_come_and_go_from_many_threads() {
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let budget = MemoryBudget::new(1024 * GIB, 0).unwrap();
                    let (monitor, notices) = started(&budget, often());
                    notices.recv_timeout(SOON).unwrap();
                    monitor.close();
                    assert!(budget.allocate(1, "after").is_ok());
                }
            });
        }
    });
}

fn each_is_told_of_the_root_it_watches() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("proc")).unwrap();
    fs::write(folder.path().join("proc/meminfo"), "MemTotal: 4096 kB\nMemAvailable: 1024 kB\n").unwrap();
    let copy = SystemRoot::at(folder.path());
    let ended = SystemRoot::default().of_process(u32::MAX);
    let budget = MemoryBudget::new(1024 * GIB, 0).unwrap();
    let watched = [SystemRoot::default(), copy].map(|root| {
        let (monitor, notices) = started(&budget, MonitorOptions { root, ..often() });
        let Notice::Sample { sample, .. } = notices.recv_timeout(SOON).unwrap() else { panic!() };
        (monitor, sample)
    });
    let [machine, copy] = watched.each_ref().map(|(_, sample)| &sample.signals);
    assert!(machine.memory.as_ref().unwrap().total_bytes > 4 * MIB && machine.process.is_ok());
    assert_eq!(copy.memory.as_ref().unwrap().total_bytes, 4 * MIB);
    let budget = MemoryBudget::new(1024 * GIB, 0).unwrap();
    let (monitor, notices) = started(&budget, MonitorOptions { root: ended, ..often() });
    let told = notices.recv_timeout(SOON).unwrap();
    assert!(matches!(&told, Notice::Unavailable(why) if why.reason == Reason::Ended), "{told:?}");
    assert!(budget.allocate(1, "beside it").is_err(), "its limits are not known");
    monitor.close();
    assert!(budget.allocate(1, "after it").is_ok());
}

fn an_observer_may_close_its_monitor() {
    let (sender, closed) = channel::<Monitor>();
    let (done, ended) = channel();
    let closed = std::sync::Mutex::new(closed);
    let budget = MemoryBudget::new(1024 * GIB, 0).unwrap();
    let monitor = Monitor::start(budget, often(), move |_| {
        if let Ok(monitor) = closed.lock().unwrap().recv() {
            monitor.close();
            done.send(()).unwrap();
        }
    });
    sender.send(monitor.unwrap()).unwrap();
    ended.recv_timeout(SOON).unwrap();
}
