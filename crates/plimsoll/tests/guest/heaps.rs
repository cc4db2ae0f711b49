//! What a dma-heap gives, and where it is seen.

use std::{
    fs,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant, SystemTime},
};

use plimsoll::{
    budget::MemoryBudget,
    device::{Backend, DeviceContext, Request, UdmabufBackend},
    monitor::{Monitor, MonitorOptions, Notice, Sample},
    system::Sampler,
    units::{GIB, MIB},
};

use crate::{available_bytes, in_a_guest, inmib, kills, settle, system_heap};

#[test]
#[ignore = "in a guest: npm run test:vm"]
fn slabs_released_a_thousand_times_leave_the_machine_as_it_was() {
    in_a_guest();
    let backend = system_heap();
    let round = || {
        let slabs: Vec<_> = (0..64).map(|_| backend.take(&Request::new(MIB, "again")).unwrap()).collect();
        assert_eq!(backend.usage().used_bytes, 64 * MIB);
        drop(slabs);
    };
    round();
    let (before, start) = (available_bytes(), Instant::now());
    for _ in 0..1000 {
        round();
    }
    let took = start.elapsed();
    let apart = || available_bytes().abs_diff(before);
    assert!(settle(|| apart() <= 8 * MIB), "{} MiB apart", inmib(apart()));
    assert_eq!((backend.usage().slab_count, backend.usage().allocated_count), (0, 64_064));
    println!(
        "64 slabs of 1 MiB taken and released 1000 times: {} MiB available before, {} MiB apart after; \
         {} µs a slab, emulated",
        inmib(before),
        inmib(apart()),
        took.as_micros() / 64_000
    );
}

#[test]
#[ignore = "in a guest: npm run test:vm"]
fn slabs_are_taken_until_headroom_ends_and_nobody_is_killed() {
    in_a_guest();
    let (backend, before) = (system_heap(), kills());
    let mut slabs = Vec::new();
    let refusal = loop {
        match backend.take(&Request::new(16 * MIB, "as many as there are")) {
            Ok(slab) => slabs.push(slab),
            Err(refusal) => break refusal,
        }
    };
    assert_eq!(refusal.code(), "ERR_INSUFFICIENT_MEMORY");
    assert!(slabs.len() > 10, "{}", slabs.len());
    let left = available_bytes();
    // The floor is 256 MiB; what the kernel withholds and gives back meanwhile is some tens of them on so small a machine.
    assert!((208 * MIB..384 * MIB).contains(&left), "the floor is left: {} MiB", inmib(left));
    assert_eq!(kills(), before);
    println!("{} slabs of 16 MiB, then: {refusal}", slabs.len());
}

/// How far the reading of what no counter owns is off, in percent of what was taken.
fn off_percent(grown: u64, taken: u64) -> f64 {
    (grown as f64 - taken as f64) / taken as f64 * 100.0
}

#[test]
#[ignore = "in a guest: npm run test:vm"]
fn what_a_heap_gives_is_ram_that_no_counter_owns_to_within_two_percent() {
    const TAKEN: u64 = 256 * MIB;
    in_a_guest();
    let (backend, mut sampler) = (system_heap(), Sampler::default());
    // The first taking fills the kernel's own caches.
    drop(backend.take(&Request::new(16 * MIB, "warm")).unwrap());
    let mut dark = || sampler.read_often().dark.unwrap().bytes;
    for slab_bytes in [TAKEN, 16 * MIB, MIB] {
        let before = dark();
        let slabs: Vec<_> = (0..TAKEN / slab_bytes)
            .map(|_| backend.take(&Request::new(slab_bytes, "a model")).unwrap())
            .collect();
        let off = off_percent(dark() - before, TAKEN);
        assert!(off.abs() < 2.0, "{off:.2} % off in slabs of {} MiB", inmib(slab_bytes));
        drop(slabs);
        let start = Instant::now();
        while dark().abs_diff(before) > TAKEN / 50 {
            assert!(
                start.elapsed() < Duration::from_mins(1),
                "{} MiB stayed",
                inmib(dark().abs_diff(before))
            );
            thread::sleep(Duration::from_millis(20));
        }
        println!(
            "256 MiB of a dma-heap in slabs of {} MiB: dark memory is {off:+.2} % off",
            inmib(slab_bytes)
        );
    }
}

#[test]
#[ignore = "in a guest: npm run test:vm"]
fn a_monitor_sees_what_a_heap_gives_in_its_next_sample() {
    const TAKEN: u64 = 256 * MIB;
    in_a_guest();
    let samples = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&samples);
    let options = MonitorOptions { interval: Some(Duration::from_millis(50)), ..MonitorOptions::default() };
    let monitor = Monitor::start(MemoryBudget::new(GIB, 0).unwrap(), options, move |notice| {
        if let Notice::Sample { sample, .. } = notice {
            seen.lock().unwrap().push(sample);
        }
    })
    .unwrap();
    let dark = |sample: &Sample| sample.signals.dark.as_ref().unwrap().bytes;
    assert!(settle(|| samples.lock().unwrap().len() > 3));
    let before = dark(samples.lock().unwrap().last().unwrap());
    let slab = system_heap().take(&Request::new(TAKEN, "a model")).unwrap();
    let taken_at = SystemTime::now();
    let find = || {
        let samples = samples.lock().unwrap();
        let later: Vec<_> = samples.iter().filter(|sample| sample.at >= taken_at).cloned().collect();
        let at = later.iter().position(|sample| dark(sample).saturating_sub(before) >= TAKEN / 50 * 49)?;
        Some((at, later[at].clone()))
    };
    assert!(settle(|| find().is_some()), "no sample shows it");
    let (earlier, sample) = find().unwrap();
    // One may have been read before the taking ended.
    assert!(earlier <= 1, "{earlier} samples did not show it");
    let delay = sample.at.duration_since(taken_at).unwrap();
    println!("a monitor at 50 ms shows 256 MiB of a dma-heap {} ms after they were taken", delay.as_millis());
    let samples = samples.lock().unwrap();
    let growth = samples.iter().filter_map(|it| it.signals.dark.as_ref().ok()?.growth_bytes_per_second);
    assert!(growth.fold(0.0, f64::max) > 0.0);
    drop(samples);
    drop((slab, monitor));
}

#[test]
#[ignore = "in a guest: npm run test:vm"]
fn a_buffer_shows_its_label_and_its_size_to_those_who_look() {
    let udmabuf = UdmabufBackend::open(DeviceContext::default()).unwrap();
    for (backend, exporter) in [(&system_heap() as &dyn Backend, "system"), (&udmabuf, "udmabuf")] {
        let slab = backend.take(&Request::new(MIB, "kv-cache of llama")).unwrap();
        let fd = slab.export_fd().unwrap();
        let path = format!("/proc/self/fdinfo/{}", std::os::fd::AsRawFd::as_raw_fd(&fd));
        let info = fs::read_to_string(path).unwrap();
        for line in ["size:\t1048576", &format!("exp_name:\t{exporter}"), "name:\tkv-cache of llama"] {
            assert!(info.lines().any(|have| have == line), "{line:?} in {info}");
        }
    }
}
