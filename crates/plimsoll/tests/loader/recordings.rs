//! What a recording tells of a load.

use plimsoll::{
    MemoryBudget,
    budget::{EventKind, RecordOptions},
    loader::{Output, UnitStream},
    pool::{StagingPool, StagingPoolOptions},
    units::{KIB, MIB},
};

use crate::{common::TensorSpec, expect_all_back, from_bytes, options, stream};

/// What a recording tells of one load with so much budget, which `consume` ends one way or another.
fn recorded(budget_bytes: u64, consume: impl FnOnce(&mut UnitStream)) -> Vec<(EventKind, String, u64)> {
    let budget = MemoryBudget::new(budget_bytes, 0).unwrap();
    let pool = StagingPool::new(StagingPoolOptions {
        budget: Some(budget.clone()),
        ..StagingPoolOptions::default()
    });
    let recording = budget.record(RecordOptions::default()).unwrap();
    let model = from_bytes(&[TensorSpec::patterned("big", 20 << 20, 24, 20 << 20)], 0);
    let mut units = stream(&model, &options(Output::Raw, MIB), &pool);
    consume(&mut units);
    drop(units);
    expect_all_back(&pool);
    let mut record = recording.stop();
    let names = std::mem::take(&mut record.threads);
    let loads = record.events.into_iter().filter(|event| event.kind.name().starts_with("load-"));
    loads
        .map(|event| {
            assert_eq!(names[&event.thread], "plimsoll-loader");
            (event.kind, event.label.to_string(), event.bytes)
        })
        .collect()
}

#[test]
fn a_recording_tells_when_a_load_began_and_how_it_ended() {
    let whole = recorded(MIB * 8, |units| assert!(units.all(|unit| unit.is_ok())));
    let begun = (EventKind::LoadStart, "<bytes>".to_owned(), 20 << 20);
    assert_eq!(whole, [begun.clone(), (EventKind::LoadEnd, "<bytes>".to_owned(), 20 << 20)]);
    let cancelled = recorded(MIB * 8, |units| {
        drop(units.next());
        units.cancel();
        assert!(units.next().unwrap().is_err());
    });
    assert_eq!((&cancelled[0], cancelled[1].0), (&begun, EventKind::LoadCancelled));
    assert!((MIB..=4 * MIB).contains(&cancelled[1].2), "{cancelled:?}");
    let failed = recorded(KIB, |units| assert!(units.next().unwrap().is_err()));
    assert_eq!(failed, [begun, (EventKind::LoadFailed, "<bytes>".to_owned(), 0)]);
}
