//! Each call of the driver fails once, at random, or from some moment on.

use std::os::fd::AsFd;

use plimsoll::{
    Result,
    device::{Backend, RknpuBackend},
    units::{GIB, MIB},
};
use rustix::io::Errno;

use crate::{domain, fake_rknpu::Board, foreign_buffer, suite::faults::Faults, take};

/// What drivers and the kernel around them answer.
const ERRNOS: [Errno; 7] =
    [Errno::INTR, Errno::NOMEM, Errno::FAULT, Errno::INVAL, Errno::MFILE, Errno::NODEV, Errno::BUSY];

/// Every call there is, however often one fails.
fn use_all(backend: &RknpuBackend) -> Vec<Result<()>> {
    let other = backend.in_domain(domain(1));
    let mut results = vec![backend.info().map(drop), backend.make_live()];
    let slabs: Vec<_> = (0..2)
        .map(|_| take(backend, 64 * MIB))
        .chain(other.iter().map(|other| take(other, 3 * GIB)))
        .collect();
    for slab in slabs.iter().flatten() {
        results.push(slab.write(4095, &[7; 5000]));
        results.push(slab.read(1, &mut [0; 5000]));
        results.push(slab.export_fd().map(drop));
        results.extend(slabs.iter().flatten().map(|to| slab.copy_to(0..100, &**to, 200)));
    }
    results.push(backend.import(foreign_buffer(MIB).as_fd()).map(drop));
    results.push(other.map(drop));
    results.extend(slabs.into_iter().map(|slab| slab.map(drop)));
    results
}

/// Uses a board to its end, by a plan of failures from the first call on.
fn run(faults: Faults, errno: Option<Errno>) -> Faults {
    let board = Board::new();
    board.driver().faults = faults.clone();
    board.driver().errno = errno;
    let opened = board.open();
    run_on(&board, opened);
    faults
}

fn run_on(board: &Board, opened: Result<RknpuBackend>) {
    match opened {
        Err(refusal) => {
            let code = refusal.code();
            assert!(["ERR_DEVICE", "ERR_DEVICE_UNAVAILABLE"].contains(&code), "{refusal}");
        }
        Ok(backend) => {
            for refusal in use_all(&backend).into_iter().filter_map(Result::err) {
                let code = refusal.code();
                // The driver may have seemed to be one that has no domains.
                let codes = ["ERR_DEVICE", "ERR_INSUFFICIENT_MEMORY", "ERR_DEVICE_UNAVAILABLE"];
                assert!(codes.contains(&code), "{code}: {refusal}");
            }
            // What the driver refused to take back goes with the next occasion.
            board.driver().faults = Faults::never();
            take(&backend, MIB).unwrap();
            let (usage, window) = (backend.usage(), backend.window());
            assert_eq!((usage.used_bytes, usage.slab_count, window.used_bytes()), (0, 0, 0));
            // A failed question may have made it a driver with one domain.
            let domains = if backend.info().unwrap().has_domains { 16 } else { 1 };
            let planned = backend.plan(&vec![2 * GIB; domains]).unwrap().len();
            assert_eq!(planned, domains, "every domain is empty");
            assert!(backend.plan(&vec![2 * GIB; domains + 1]).is_err(), "none is planned that is not there");
            assert_eq!(board.driver().live_bytes(), 0);
        }
    }
}

#[test]
fn of_each_call_with_each_number_leave_nothing() {
    let calls = run(Faults::never(), None).calls();
    assert!(calls > 50, "{calls}");
    for call in 0..calls {
        for errno in ERRNOS {
            assert_eq!(run(Faults::once(call), Some(errno)).failures(), 1);
        }
    }
}

#[test]
fn of_many_calls_at_random_leave_nothing() {
    let mut failures = 0;
    for seed in 0..200 {
        let board = Board::new();
        let opened = board.open();
        let faults = Faults::often(2 + seed % 12, seed);
        board.driver().faults = faults.clone();
        run_on(&board, opened);
        failures += faults.failures();
    }
    assert!(failures > 1000, "{failures}");
}

#[test]
fn of_every_call_from_some_moment_on_leave_nothing() {
    let calls = run(Faults::never(), None).calls();
    for call in 0..calls {
        run(Faults::from(call), Some(Errno::NODEV));
    }
}
