//! What pools do, as tables of cases: `cases/*.json`. The tests of JavaScript go through the same ones, so that both ways to a
//! buffer give the same answers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{collections::HashMap, sync::Arc, time::Duration};

use plimsoll::{
    Allocation, Error, MemoryBudget,
    device::{DeviceContext, HostBackend},
    pool::{BufferOptions, DefragmentOptions, MemoryPool, Pin, PoolBuffer, PoolOptions},
    units::KIB,
};
use serde::Deserialize;

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Pool {
    slab_kib: u64,
    initial_kib: u64,
    max_kib: Option<u64>,
    max_cached_kib: Option<u64>,
    page_kib: Option<u64>,
    dedicated: bool,
    label: Option<String>,
}

/// What was done before.
#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "camelCase", deny_unknown_fields)]
enum Before {
    Allocate {
        name: String,
        kib: u64,
    },
    Release {
        name: String,
    },
    Pin {
        name: String,
    },
    Reserve {
        kib: u64,
    },
    /// A guard of the budget's.
    Hold {
        name: String,
        kib: u64,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Asked {
    kib: u64,
    #[serde(default)]
    label: String,
    align_bytes: Option<u64>,
}

/// What is done by whoever is asked for memory, and what is answered; nothing and no once there are no more.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct ReclaimRun {
    release: Option<String>,
    close: bool,
    answer: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct GrowthCase {
    name: String,
    pool: Pool,
    budget_kib: Option<u64>,
    before: Vec<Before>,
    request: Asked,
    #[serde(default)]
    reclaim: Vec<ReclaimRun>,
    expect: Expected,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Expected {
    /// `"granted"`, or the code of the error.
    outcome: String,
    held_kib: u64,
    /// How often others were asked for memory.
    asked: usize,
    retries: u64,
    failed: u64,
    moved: u64,
    available_kib: Option<u64>,
    largest_free_kib: Option<u64>,
    label: Option<String>,
    /// The largest hole as the refusal has it.
    hole: Option<String>,
}

/// Each case begins with the same pool.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Defragmentations {
    pool: Pool,
    before: Vec<Before>,
    cases: Vec<DefragmentCase>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DefragmentCase {
    name: String,
    bounds: Bounds,
    #[serde(default)]
    vetoed: Vec<String>,
    #[serde(default)]
    pinned: Vec<String>,
    report: Report,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Bounds {
    max_kib: Option<u64>,
    max_moves: Option<u64>,
    max_ms: Option<u64>,
    dry_run: bool,
}

#[derive(Deserialize, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Report {
    moved_count: u64,
    moved_kib: u64,
    vetoed_count: u64,
    emptied_kib: u64,
    complete: bool,
    largest_free_kib_after: u64,
}

/// A pool, and what is held of it.
struct Bench {
    pool: MemoryPool,
    budget: Option<MemoryBudget>,
    buffers: HashMap<String, PoolBuffer>,
    guards: HashMap<String, Allocation>,
    pins: Vec<Pin>,
}

impl Bench {
    fn new(options: &Pool, budget_kib: Option<u64>, before: &[Before]) -> Self {
        let budget = budget_kib.map(|kib| MemoryBudget::new(kib * KIB, 0).unwrap());
        let usual = PoolOptions::default();
        let options = PoolOptions {
            slab_bytes: options.slab_kib * KIB,
            initial_bytes: options.initial_kib * KIB,
            max_bytes: options.max_kib.map(|kib| kib * KIB),
            max_cached_bytes: options.max_cached_kib.map(|kib| kib * KIB),
            page_bytes: options.page_kib.map(|kib| kib * KIB),
            dedicated: options.dedicated,
            budget: budget.clone(),
            label: options.label.clone().map_or(usual.label.clone(), Into::into),
            ..usual
        };
        let pool = MemoryPool::create(Arc::new(HostBackend::new(DeviceContext::default())), options).unwrap();
        let (buffers, guards, pins) = Default::default();
        let mut bench = Self { pool, budget, buffers, guards, pins };
        for step in before {
            bench.prepare(step);
        }
        bench
    }

    fn prepare(&mut self, step: &Before) {
        match step {
            Before::Allocate { name, kib } => {
                let options = BufferOptions::default();
                let buffer = self.pool.allocate_growing(kib * KIB, &options, &mut |_| false).unwrap();
                self.buffers.insert(name.clone(), buffer);
            }
            Before::Release { name } => self.release(name),
            Before::Pin { name } => self.pins.push(self.buffers[name].pin().unwrap()),
            Before::Reserve { kib } => self.pool.reserve(kib * KIB).unwrap(),
            Before::Hold { name, kib } => {
                let budget = self.budget.as_ref().unwrap();
                self.guards.insert(name.clone(), budget.allocate(kib * KIB, name.clone()).unwrap());
            }
        }
    }

    fn release(&mut self, name: &str) {
        assert!(self.buffers.remove(name).is_some() || self.guards.remove(name).is_some(), "{name}");
    }
}

fn granted(case: &GrowthCase) {
    let GrowthCase { name, request, expect, .. } = case;
    let mut bench = Bench::new(&case.pool, case.budget_kib, &case.before);
    let (pool, before) = (bench.pool.clone(), bench.pool.stats());
    let usual = BufferOptions::default();
    let align_bytes = request.align_bytes.unwrap_or(usual.align_bytes);
    let options = BufferOptions { align_bytes, label: request.label.clone().into(), ..usual };
    let mut asked = Vec::new();
    let outcome = pool.allocate_growing(request.kib * KIB, &options, &mut |missing_bytes| {
        asked.push(missing_bytes);
        let Some(reclaim) = case.reclaim.get(asked.len() - 1) else { return false };
        if let Some(name) = &reclaim.release {
            bench.release(name);
        }
        if reclaim.close {
            bench.pool.close();
        }
        reclaim.answer
    });
    let code = outcome.as_ref().err().map_or("granted", Error::code);
    assert_eq!(code, expect.outcome, "{name}: {outcome:?}");
    assert_eq!(asked, vec![request.kib * KIB; expect.asked], "{name}");
    let stats = pool.stats();
    assert_eq!(
        (
            stats.held_bytes / KIB,
            stats.retry_count - before.retry_count,
            stats.failed_count - before.failed_count,
            stats.moved_count
        ),
        (expect.held_kib, expect.retries, expect.failed, expect.moved),
        "{name}: KiB held, retries, failed, moved"
    );
    match outcome {
        Ok(buffer) => assert_eq!(buffer.size_bytes(), request.kib * KIB, "{name}"),
        Err(error) => refused(case, error),
    }
}

fn refused(GrowthCase { name, pool, request, expect, .. }: &GrowthCase, error: Error) {
    let Error::InsufficientMemory {
        label,
        requested_bytes,
        available_bytes,
        largest_free_bytes,
        binding_constraint,
        ..
    } = error
    else {
        return;
    };
    let named = expect.label.as_ref().or(pool.label.as_ref());
    assert_eq!(label, named.map_or("memory pool", String::as_str), "{name}");
    assert_eq!(requested_bytes, request.kib * KIB, "{name}");
    assert_eq!(Some(available_bytes / KIB), expect.available_kib, "{name}: KiB available");
    assert_eq!(Some(largest_free_bytes / KIB), expect.largest_free_kib, "{name}: KiB of the largest hole");
    let hole = binding_constraint.split("; the largest hole in the pool is ").nth(1);
    assert_eq!(hole, expect.hole.as_deref(), "{name}: {binding_constraint}");
}

fn defragmented(bench: &Bench, case: &DefragmentCase) {
    let DefragmentCase { name, bounds, vetoed, pinned, report } = case;
    let _pins: Vec<_> = pinned.iter().map(|name| bench.buffers[name].pin().unwrap()).collect();
    let options = DefragmentOptions {
        max_bytes: bounds.max_kib.map(|kib| kib * KIB),
        max_moves: bounds.max_moves,
        max_time: bounds.max_ms.map(Duration::from_millis),
        dry_run: bounds.dry_run,
        ..DefragmentOptions::default()
    };
    let vetoed: Vec<_> = vetoed.iter().map(|name| bench.buffers[name].id()).collect();
    let largest_free_bytes = bench.pool.stats().largest_free_bytes;
    let done = bench.pool.defragment(&options, &mut |planned| !vetoed.contains(&planned.buffer())).unwrap();
    let found = Report {
        moved_count: done.moved_count,
        moved_kib: done.moved_bytes / KIB,
        vetoed_count: done.vetoed_count,
        emptied_kib: done.emptied_bytes / KIB,
        complete: done.complete,
        largest_free_kib_after: done.largest_free_bytes_after / KIB,
    };
    assert_eq!(&found, report, "{name}");
    assert_eq!(done.largest_free_bytes_before, largest_free_bytes, "{name}");
    let moved_count = if bounds.dry_run { 0 } else { report.moved_count };
    assert_eq!(bench.pool.stats().moved_count, moved_count, "{name}");
}

#[test]
fn growth_comes_to_what_the_table_says() {
    let cases: Vec<GrowthCase> = serde_json::from_str(include_str!("cases/growth.json")).unwrap();
    cases.iter().for_each(granted);
}

#[test]
fn defragmentation_comes_to_what_the_table_says() {
    let table: Defragmentations = serde_json::from_str(include_str!("cases/defragment.json")).unwrap();
    for case in &table.cases {
        defragmented(&Bench::new(&table.pool, None, &table.before), case);
    }
}
