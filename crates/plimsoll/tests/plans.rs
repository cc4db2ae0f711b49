//! Whether everything that shall run fits together.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use plimsoll::{
    budget::{Headroom, HeadroomOptions, Promised},
    plan::{
        Footprint, FootprintFormula, PlanBound, PlanIssueKind, PlanMemory, PlanMode, PlannedInstance,
        check_before_load, default_headroom_bytes, fitting_limits, recommend_limits, validate,
    },
    system::Machine,
    units::{GIB, MAX_BYTES, MIB},
};

/// The machine of the older tool's examples: 26.55 of its GB are usable.
fn memory() -> PlanMemory {
    let memory = PlanMemory::of_total(31_982 * MIB).unwrap();
    assert_eq!(format!("{:.2}", memory.usable_bytes() as f64 / GIB as f64), "26.55");
    memory
}

fn limited(id: &str, limit_bytes: u64) -> PlannedInstance {
    PlannedInstance { id: id.to_owned(), limit_bytes: Some(limit_bytes), footprint: Footprint::NONE }
}

fn loaded(id: &str, loading_bytes: u64, running_bytes: u64) -> PlannedInstance {
    let footprint = Footprint { formula: FootprintFormula::Estimate, loading_bytes, running_bytes };
    PlannedInstance { id: id.to_owned(), limit_bytes: None, footprint }
}

fn matrix(gib: [u64; 3]) -> Vec<PlannedInstance> {
    PlanMode::Matrix.roles().zip(gib).map(|(role, gib)| limited(role, gib * GIB)).collect()
}

#[test]
fn thirty_gib_against_26_55_fail() {
    let report = validate(&memory(), &matrix([8, 10, 12])).unwrap();
    assert!(!report.passes);
    assert_eq!((report.required_bytes, report.peak_bytes), (30 * GIB, 30 * GIB));
    assert_eq!(format!("{:.2}", report.margin_bytes as f64 / GIB as f64), "-3.45");
    let kinds: Vec<_> = report.issues.iter().map(|it| (it.kind, it.needed_bytes)).collect();
    assert_eq!(kinds, [(PlanIssueKind::TotalTooLarge, 30 * GIB)]);
    let sixty = validate(&memory(), &matrix([16, 20, 24])).unwrap();
    assert_eq!((sixty.passes, sixty.issues[0].needed_bytes), (false, 60 * GIB));
}

#[test]
fn the_limits_that_older_tools_recommend_fail_by_their_own_rule() {
    for (total, limits) in [(32, [8, 10, 12]), (64, [16, 20, 24])] {
        let report = validate(&PlanMemory::of_total(total * GIB).unwrap(), &matrix(limits)).unwrap();
        assert!(!report.passes, "{report:?}");
    }
    let single = [limited("subject", 12 * GIB)];
    assert!(validate(&PlanMemory::of_total(16 * GIB).unwrap(), &single).unwrap().passes);
}

#[test]
fn recommended_limits_pass_on_a_memory_of_any_size() {
    let mut total = 1;
    while total < MAX_BYTES {
        for margin in [0.0, 5.0, 15.0, 50.0, 99.9] {
            let memory = PlanMemory::of_total(total).unwrap().with_safety_margin(margin).unwrap();
            for mode in [PlanMode::Single, PlanMode::Matrix] {
                let limits = recommend_limits(mode, &memory);
                let instances: Vec<_> = limits.iter().map(|it| limited(it.role, it.limit_bytes)).collect();
                let report = validate(&memory, &instances).unwrap();
                assert!(report.passes, "{total} {margin} {limits:?}");
                // Little of what could be given is left over for the sake of neat numbers.
                let given =
                    memory.usable_bytes().min(if mode == PlanMode::Single { total / 16 * 12 } else { total });
                assert!(report.required_bytes + 30 >= given / 10 * 9, "{report:?}");
            }
        }
        total = total * 3 / 2 + 7;
    }
    let of = |mode, gib: u64| -> Vec<f64> {
        let limits = recommend_limits(mode, &PlanMemory::of_total(gib * GIB).unwrap());
        limits.iter().map(|it| it.limit_bytes as f64 / GIB as f64).collect()
    };
    assert_eq!(of(PlanMode::Matrix, 32), [7.0, 9.0, 10.5]);
    assert_eq!(of(PlanMode::Matrix, 64), [14.5, 18.0, 21.5]);
    assert_eq!(of(PlanMode::Single, 16), [12.0]);
}

#[test]
fn what_is_required_is_the_larger_of_limit_and_footprint() {
    let footprint = Footprint::of_file(4 * GIB);
    assert_eq!(footprint.running_bytes, 6 * GIB);
    assert_eq!(footprint.required_bytes(Some(8 * GIB)), 8 * GIB);
    assert_eq!(footprint.required_bytes(Some(2 * GIB)), 6 * GIB);
    assert_eq!(footprint.required_bytes(None), 6 * GIB);
}

#[test]
fn headroom_is_two_gib_from_sixteen_up_and_an_eighth_below() {
    for (total, expected) in [(64, 2 * GIB), (16, 2 * GIB), (8, GIB), (4, GIB / 2)] {
        assert_eq!(default_headroom_bytes(total * GIB), expected);
    }
    // A margin that leaves less than the headroom free would pass plans whose last load is refused.
    let narrow = PlanMemory::of_total(32 * GIB).unwrap().with_safety_margin(1.0).unwrap();
    assert_eq!((narrow.usable_bytes(), narrow.bound()), (30 * GIB, PlanBound::Headroom));
    let lined = narrow.with_line(20 * GIB);
    assert_eq!((lined.usable_bytes(), lined.bound()), (20 * GIB, PlanBound::Line));
    assert_eq!(memory().bound(), PlanBound::SafetyMargin);
}

#[test]
fn a_peak_while_loading_fails_a_plan_whose_sum_fits_and_another_order_mends_it() {
    let memory = PlanMemory::of_total(20 * GIB).unwrap(); // 17 GiB are usable.
    let instances = [loaded("small", 4 * GIB, 4 * GIB), loaded("large", 14 * GIB, 8 * GIB)];
    let report = validate(&memory, &instances).unwrap();
    assert_eq!((report.required_bytes, report.peak_bytes, report.passes), (12 * GIB, 18 * GIB, false));
    let [issue] = report.issues.as_slice() else { panic!("{:?}", report.issues) };
    assert_eq!((issue.kind, issue.instance), (PlanIssueKind::PeakTooLarge, Some(1)));
    assert_eq!((report.best_order.as_slice(), report.best_order_peak_bytes), ([1, 0].as_slice(), 14 * GIB));
    let [small, large] = instances;
    assert!(validate(&memory, &[large, small]).unwrap().passes);
}

#[test]
fn no_other_order_has_a_lower_peak_than_the_best() {
    let mut seed = 7_u64;
    let mut next = move |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    for _ in 0..200 {
        let instances: Vec<_> =
            (0..4).map(|at| loaded(&at.to_string(), next(20) * GIB, next(20) * GIB)).collect();
        let memory = PlanMemory::of_total(64 * GIB).unwrap();
        let best = validate(&memory, &instances).unwrap().best_order_peak_bytes;
        let least = orders(4)
            .into_iter()
            .map(|order| {
                let ordered: Vec<_> = order.iter().map(|at| instances[*at].clone()).collect();
                validate(&memory, &ordered).unwrap().peak_bytes
            })
            .min();
        assert_eq!(Some(best), least, "{instances:?}");
    }
}

fn orders(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![vec![]];
    }
    let shorter = orders(count - 1);
    let with = |at: usize| {
        shorter.iter().map(move |order| {
            let mut order = order.clone();
            order.insert(at, count - 1);
            order
        })
    };
    (0..count).flat_map(with).collect()
}

#[test]
fn a_limit_that_is_recommended_passes_and_is_the_highest_neat_one() {
    let instances = matrix([8, 10, 12]);
    let report = validate(&memory(), &instances).unwrap();
    let limits: Vec<_> = report.instances.iter().map(|it| it.fitting_limit_bytes.unwrap()).collect();
    assert_eq!(limits, [4 * GIB + GIB / 2, 6 * GIB + GIB / 2, 8 * GIB + GIB / 2]);
    for (at, limit_bytes) in limits.into_iter().enumerate() {
        let mut mended = instances.clone();
        mended[at].limit_bytes = Some(limit_bytes);
        assert!(validate(&memory(), &mended).unwrap().passes);
        mended[at].limit_bytes = Some(limit_bytes + GIB / 2);
        assert!(!validate(&memory(), &mended).unwrap().passes);
    }
    assert_eq!(report.instances.iter().map(|it| it.passes_without).collect::<Vec<_>>(), [true, true, true]);
    let enough = report.least_total_bytes.unwrap();
    assert!(validate(&PlanMemory::of_total(enough).unwrap(), &instances).unwrap().passes);
    assert!(!validate(&PlanMemory::of_total(enough - 2).unwrap(), &instances).unwrap().passes);
}

#[test]
fn a_limit_below_what_the_model_takes_is_never_recommended() {
    let footprint = Footprint::of_file(4 * GIB);
    let with = |id: &str, gib: u64| PlannedInstance { footprint, ..limited(id, gib * GIB) };
    let memory = PlanMemory::of_total(16 * GIB).unwrap(); // 13.6 GiB are usable.
    let report = validate(&memory, &[with("a", 8), with("b", 9)]).unwrap();
    assert_eq!(report.instances[0].fitting_limit_bytes, None); // 4.6 GiB are below the 6 that it takes.
    assert_eq!(report.instances[0].room_bytes, memory.usable_bytes() - 9 * GIB);
    let limits = fitting_limits(&memory, &[with("a", 8), with("b", 9)]).unwrap();
    assert!(limits.iter().all(|limit| limit.unwrap() >= 6 * GIB), "{limits:?}");
    assert!(limits.iter().flatten().sum::<u64>() <= memory.usable_bytes());
    assert_eq!(fitting_limits(&memory, &[with("a", 8), with("b", 9), with("c", 1)]), None);
}

#[test]
fn fitting_limits_pass_heed_loads_and_raise_none() {
    let memory = PlanMemory::of_total(20 * GIB).unwrap(); // 17 GiB are usable.
    let first = limited("first", 10 * GIB);
    let second = loaded("second", 12 * GIB, 3 * GIB); // While it is loaded, 5 GiB are left.
    let limits = fitting_limits(&memory, &[first.clone(), second.clone()]).unwrap();
    assert_eq!(limits, [Some(5 * GIB), None]);
    let small = limited("small", GIB);
    assert_eq!(fitting_limits(&memory, std::slice::from_ref(&small)), Some(vec![Some(GIB)]));
    assert_eq!(fitting_limits(&memory, &[loaded("huge", 18 * GIB, GIB), small]), None);
}

#[test]
fn an_instance_that_is_too_large_by_itself_is_named() {
    let report = validate(&memory(), &[limited("a", GIB), limited("b", 27 * GIB)]).unwrap();
    let last = report.issues.last().unwrap();
    assert_eq!((last.kind, last.instance), (PlanIssueKind::InstanceTooLarge, Some(1)));
}

#[test]
fn names_and_sizes_that_cannot_be_are_refused() {
    let twice = [limited("a", 1), limited("a", 1)];
    assert_eq!(validate(&memory(), &twice).unwrap_err().code(), "ERR_INVALID_ARGUMENT");
    assert!(validate(&memory(), &[limited("", 1)]).is_err());
    assert!(validate(&memory(), &[limited("a", u64::MAX)]).is_err());
    assert!(PlanMemory::of_total(0).is_err());
    assert!(PlanMemory::of_total(u64::MAX).is_err());
    for percent in [-1.0, 100.0, f64::NAN] {
        assert!(memory().with_safety_margin(percent).is_err());
    }
    let nothing = validate(&memory(), &[]).unwrap();
    assert_eq!((nothing.passes, nothing.peak_bytes), (true, 0));
    let most: Vec<_> = (0..5000).map(|at| limited(&at.to_string(), MAX_BYTES)).collect();
    assert!(!validate(&memory(), &most).unwrap().passes);
}

#[test]
fn a_load_is_weighed_against_what_is_there_and_what_others_were_promised() {
    let machine = Machine::new(32 * GIB, 12 * GIB, vec![]);
    let options = HeadroomOptions { floor_bytes: Some(2 * GIB), driver_rule: None };
    let footprint = Footprint::of_file(4 * GIB);
    let check = |pending: u64, own: u64| {
        let headroom = Headroom::of(&machine, Promised::granted(pending), &options);
        check_before_load(&footprint, Some(8 * GIB), &headroom, own)
    };
    let free = check(0, 0);
    assert_eq!((free.fits, free.required_bytes, free.available_bytes), (true, 8 * GIB, 10 * GIB));
    assert_eq!(free.margin_bytes, (2 * GIB).cast_signed());
    assert!(!check(3 * GIB, 0).fits);
    // What was granted for this very load is not asked for twice.
    assert!(check(8 * GIB, 8 * GIB).fits);
    assert!(!check(11 * GIB, 8 * GIB).fits);
}
