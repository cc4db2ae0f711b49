use std::{collections::HashMap, thread};

use proptest::prelude::*;

use super::{Event, EventKind, LabelTotals, MAX_CAPACITY, Record, RecordOptions};
use crate::{Allocation, MemoryBudget};

fn kinds(record: &Record) -> Vec<EventKind> {
    record.events.iter().map(|event| event.kind).collect()
}

fn labelled<'a>(record: &'a Record, label: &str) -> &'a LabelTotals {
    record.labels.iter().find(|totals| &*totals.label == label).unwrap()
}

/// The totals that follow from the events alone.
fn totals_of(events: &[Event]) -> Vec<LabelTotals> {
    let mut totals: HashMap<&str, LabelTotals> = HashMap::new();
    for Event { kind, label, bytes, .. } in events {
        let entry = totals.entry(label).or_insert_with(|| LabelTotals {
            label: label.clone(),
            live_bytes: 0,
            live_count: 0,
            peak_bytes: 0,
            granted_bytes: 0,
            granted_count: 0,
            refused_bytes: 0,
            refused_count: 0,
        });
        match kind {
            EventKind::Held | EventKind::Grant => {
                entry.live_bytes += bytes;
                entry.live_count += 1;
                entry.granted_bytes += bytes;
                entry.granted_count += 1;
                entry.peak_bytes = entry.peak_bytes.max(entry.live_bytes);
            }
            EventKind::Release => {
                entry.live_bytes -= bytes;
                entry.live_count -= 1;
            }
            EventKind::Refusal => {
                entry.refused_bytes += bytes;
                entry.refused_count += 1;
            }
            other => panic!("{other:?} was not asked for"),
        }
    }
    let mut list: Vec<_> = totals.into_values().collect();
    list.sort_unstable_by(|a, b| (b.granted_bytes, &a.label).cmp(&(a.granted_bytes, &b.label)));
    list
}

/// What must hold of every whole record: ids are granted once and released once, each event's sum is that of the events
/// before it, and times never run backwards.
fn assert_consistent(record: &Record) {
    let mut live = HashMap::new();
    let mut allocated = 0;
    let mut peak = 0;
    for pair in record.events.windows(2) {
        assert!(pair[0].at <= pair[1].at);
    }
    for event in &record.events {
        match event.kind {
            EventKind::Held | EventKind::Grant => {
                allocated += event.bytes;
                assert!(live.insert(event.id, (event.label.clone(), event.bytes)).is_none());
            }
            EventKind::Release => {
                allocated -= event.bytes;
                assert_eq!(live.remove(&event.id), Some((event.label.clone(), event.bytes)));
            }
            _ => {}
        }
        assert_eq!(event.allocated_bytes, allocated);
        peak = peak.max(allocated);
    }
    assert_eq!((record.allocated_bytes, record.peak_bytes), (allocated, peak));
    assert_eq!(record.labels, totals_of(&record.events));
    let listed: HashMap<_, _> =
        record.live.iter().map(|info| (info.id, (info.label.as_ref().into(), info.bytes))).collect();
    assert_eq!(listed, live);
}

#[test]
fn what_happens_is_told_in_order_with_label_bytes_and_sum() {
    let budget = MemoryBudget::new(100, 0).unwrap();
    let held = budget.allocate(10, "held").unwrap();
    let recording = budget.record(RecordOptions::default()).unwrap();
    let cache = budget.allocate(60, "cache").unwrap();
    assert!(budget.allocate(50, "too much").is_err());
    cache.commit(20);
    cache.commit(20);
    cache.commit(60);
    drop(held);
    let record = recording.stop();
    let told: Vec<_> =
        record.events.iter().map(|e| (e.kind, &*e.label, e.bytes, e.allocated_bytes)).collect();
    assert_eq!(
        told,
        [
            (EventKind::Held, "held", 10, 10),
            (EventKind::Grant, "cache", 60, 70),
            (EventKind::Refusal, "too much", 50, 70),
            (EventKind::Commit, "cache", 20, 70),
            (EventKind::Commit, "cache", 60, 70),
            (EventKind::Release, "held", 10, 60),
        ]
    );
    assert_eq!(labelled(&record, "too much").refused_count, 1);
    assert_eq!((labelled(&record, "cache").live_bytes, labelled(&record, "held").live_bytes), (60, 0));
    assert_eq!(record.live[0].committed_bytes, Some(60));
    assert!(record.events.iter().all(|event| event.thread == super::threads::current()));
    assert!(record.threads.contains_key(&super::threads::current()));
}

#[test]
fn a_refusal_by_a_budget_that_refuses_all_is_told_too() {
    let budget = MemoryBudget::new(100, 0).unwrap();
    let _critical = budget.close_gate("memory is critical");
    let recording = budget.record(RecordOptions::default()).unwrap();
    assert!(budget.allocate(1, "x").is_err());
    assert_eq!(kinds(&recording.stop()), [EventKind::Refusal]);
}

#[test]
fn nothing_is_recorded_before_the_start_and_after_the_end() {
    let budget = MemoryBudget::new(100, 0).unwrap();
    drop(budget.allocate(1, "before"));
    let recording = budget.record(RecordOptions { stack_depth: 8, ..RecordOptions::default() }).unwrap();
    assert_eq!(budget.stack_depth(), 8);
    let live = budget.allocate(2, "during").unwrap();
    drop(recording);
    assert_eq!(budget.stack_depth(), 0);
    assert_eq!(budget.allocate_from(3, "after", Some("at main")).unwrap().bytes(), 3);
    let later = budget.record(RecordOptions::default()).unwrap();
    assert_eq!(kinds(&later.read(true)), [EventKind::Held]);
    drop(live);
}

#[test]
fn recordings_do_not_see_each_other() {
    let budget = MemoryBudget::new(100, 0).unwrap();
    let first = budget.record(RecordOptions { capacity: 1, stack_depth: 2 }).unwrap();
    drop(budget.allocate(1, "one"));
    let second = budget.record(RecordOptions { stack_depth: 9, ..RecordOptions::default() }).unwrap();
    assert_eq!(budget.stack_depth(), 9);
    drop(budget.allocate(2, "two"));
    let second = second.stop();
    assert_eq!(budget.stack_depth(), 2);
    drop(budget.allocate(3, "three"));
    let first = first.stop();
    assert_eq!(second.labels.len(), 1);
    assert_eq!(
        (first.labels.len(), first.events.len(), first.dropped_count, first.event_count),
        (3, 1, 5, 6)
    );
}

#[test]
fn a_full_ring_forgets_the_oldest_events_and_no_total() {
    let budget = MemoryBudget::new(1000, 0).unwrap();
    let recording = budget.record(RecordOptions { capacity: 10, ..RecordOptions::default() }).unwrap();
    for round in 0..100 {
        drop(budget.allocate(round, "round"));
    }
    let record = recording.stop();
    assert_eq!((record.events.len(), record.event_count, record.dropped_count), (10, 200, 190));
    assert_eq!((record.events[0].bytes, record.events[9].bytes), (95, 99));
    let totals = labelled(&record, "round");
    assert_eq!((totals.granted_count, totals.granted_bytes, totals.peak_bytes), (100, 4950, 99));
}

#[test]
fn who_asked_stays_with_what_is_live() {
    let budget = MemoryBudget::new(1000, 0).unwrap();
    let recording = budget.record(RecordOptions { stack_depth: 4, ..RecordOptions::default() }).unwrap();
    let guards: Vec<_> = (0..5).map(|_| budget.allocate_from(1, "x", Some("at load")).unwrap()).collect();
    let refused = budget.allocate_from(9999, "y", Some("at grow"));
    assert!(refused.is_err());
    let record = recording.read(true);
    assert_eq!(record.events.last().unwrap().stack.as_deref(), Some("at grow"));
    let stacks: Vec<_> =
        record.live.iter().map(|info| info.origin.as_ref().unwrap().stack.clone().unwrap()).collect();
    assert!(stacks.iter().all(|stack| &**stack == "at load" && std::sync::Arc::ptr_eq(stack, &stacks[0])));
    drop(guards);
}

#[test]
fn a_capacity_of_nothing_or_without_end_is_refused() {
    let budget = MemoryBudget::new(1000, 0).unwrap();
    for capacity in [0, MAX_CAPACITY + 1] {
        let error = budget.record(RecordOptions { capacity, ..RecordOptions::default() }).unwrap_err();
        assert_eq!(error.code(), "ERR_INVALID_ARGUMENT");
    }
}

#[test]
fn reading_without_events_tells_the_totals_all_the_same() {
    let budget = MemoryBudget::new(1000, 0).unwrap();
    let recording = budget.record(RecordOptions::default()).unwrap();
    drop(budget.allocate(7, "x"));
    let record = recording.read(false);
    assert_eq!((record.events.len(), record.event_count, labelled(&record, "x").granted_bytes), (0, 2, 7));
}

/// What a thread does next: take under a label, or release one of its own.
#[derive(Debug, Clone)]
enum Step {
    Take { label: usize, bytes: u64 },
    Give { which: usize },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..4_usize, 0..400_u64).prop_map(|(label, bytes)| Step::Take { label, bytes }),
        2 => (0..8_usize).prop_map(|which| Step::Give { which }),
    ]
}

/// Does the steps and counts for itself what was granted and refused.
fn work(budget: &MemoryBudget, steps: &[Step]) -> (Vec<Allocation>, u64, u64) {
    let (mut live, mut granted, mut refused) = (Vec::new(), 0, 0);
    for step in steps {
        match *step {
            Step::Take { label, bytes } => match budget.allocate(bytes, ["a", "a/b", "c", ""][label]) {
                Ok(guard) => {
                    granted += bytes;
                    live.push(guard);
                }
                Err(_) => refused += 1,
            },
            Step::Give { which } if !live.is_empty() => drop(live.swap_remove(which % live.len())),
            Step::Give { .. } => {}
        }
    }
    (live, granted, refused)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Threads that take and give at once, against what each of them counted: the record of all of it is consistent in
    /// itself, and says what they did.
    #[test]
    fn records_are_the_sum_of_what_threads_did(scripts in prop::collection::vec(prop::collection::vec(step(), 0..60), 1..5)) {
        let budget = MemoryBudget::new(1500, 0).unwrap();
        let held = budget.allocate(100, "c").unwrap();
        let recording = budget.record(RecordOptions::default()).unwrap();
        let done: Vec<_> = thread::scope(|scope| {
            let workers: Vec<_> =
                scripts.iter().map(|steps| { let budget = &budget; scope.spawn(move || work(budget, steps)) }).collect();
            assert_consistent(&recording.read(true));
            workers.into_iter().map(|worker| worker.join().unwrap()).collect()
        });
        let record = recording.stop();
        assert_consistent(&record);
        prop_assert_eq!(record.labels.iter().map(|l| l.granted_bytes).sum::<u64>(), 100 + done.iter().map(|d| d.1).sum::<u64>());
        prop_assert_eq!(record.labels.iter().map(|l| l.refused_count).sum::<u64>(), done.iter().map(|d| d.2).sum::<u64>());
        prop_assert_eq!(record.allocated_bytes, budget.allocated_bytes());
        drop((held, done));
    }
}
