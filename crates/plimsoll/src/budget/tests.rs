//! Budgets of numbers and of presets, and what they share.

use super::{account::Account, *};
use crate::{
    Error,
    system::{BOARDS, Machine, board},
    units::MIB,
};
use proptest::prelude::*;
use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Instant,
};

#[test]
fn a_refusal_takes_nothing_and_says_why() {
    let budget = MemoryBudget::for_board(board("orin-nano-8gb").unwrap());
    let _model = budget.allocate(5000 * MIB, "model").unwrap();
    let Err(Error::InsufficientMemory { requested_bytes, available_bytes, suggestion, .. }) =
        budget.allocate(2000 * MIB, "kv_cache")
    else {
        panic!("5000 + 2000 MiB do not fit in 6144 MiB");
    };
    assert_eq!((requested_bytes, available_bytes), (2000 * MIB, 1144 * MIB));
    assert!(suggestion.contains("\"model\" with 4.88 GiB"), "{suggestion}");
    assert_eq!(budget.allocated_bytes(), 5000 * MIB);
    assert!(budget.can_allocate(1144 * MIB) && !budget.can_allocate(1144 * MIB + 1));
}

#[test]
fn while_all_is_refused_what_is_allocated_stays_and_other_budgets_go_on() {
    let budget = MemoryBudget::new(100, 0).unwrap();
    let held = budget.allocate(40, "held").unwrap();
    let (critical, other) = (budget.close_gate("memory is critical"), budget.close_gate("another reason"));
    drop(other);
    assert!(!budget.can_allocate(1));
    let refused = budget.clone().allocate(1, "new").unwrap_err();
    assert!(refused.to_string().contains("memory is critical"), "{refused}");
    assert_eq!(budget.allocated_bytes(), 40);
    assert!(MemoryBudget::new(100, 0).unwrap().allocate(1, "elsewhere").is_ok());
    drop(critical);
    assert!(budget.allocate(60, "new").is_ok());
    drop(held);
}

#[test]
fn a_maximum_set_while_running_binds_from_then_on_and_takes_nothing_back() {
    let budget = MemoryBudget::new(100, 0).unwrap();
    let held = budget.allocate(80, "held").unwrap();
    budget.clone().set_maximum(Some(50)).unwrap();
    assert_eq!((budget.usable_bytes(), budget.available_bytes(), budget.allocated_bytes()), (50, 0, 80));
    let refusal = budget.allocate(1, "new").unwrap_err();
    assert!(refusal.to_string().contains("set while running"), "{refusal}");
    assert_eq!((budget.terms().len(), budget.binding().bytes), (2, 50));
    budget.set_maximum(Some(1000)).unwrap();
    assert_eq!((budget.usable_bytes(), budget.binding().bytes), (100, 100), "it never raises the line");
    budget.set_maximum(None).unwrap();
    assert_eq!((budget.maximum(), budget.terms().len()), (None, 1));
    assert_eq!(budget.set_maximum(Some(u64::MAX)).unwrap_err().code(), "ERR_INVALID_ARGUMENT");
    drop(held);
}

#[test]
fn no_size_overflows_the_count() {
    let budget = MemoryBudget::new(100, 0).unwrap();
    let held = budget.allocate(60, "held").unwrap();
    for bytes in [41, u64::MAX, u64::MAX - 59, u64::MAX - 60, 1 << 63] {
        assert_eq!(budget.allocate(bytes, "too much").unwrap_err().code(), "ERR_INSUFFICIENT_MEMORY");
    }
    drop(held);
    assert_eq!(budget.allocated_bytes(), 0);
}

#[test]
fn live_allocations_are_listed_oldest_first_with_label_and_age() {
    let budget = MemoryBudget::new(1000, 0).unwrap();
    let first = budget.allocate(1, "first").unwrap();
    let second = budget.allocate(0, "second").unwrap();
    drop(first);
    let third = budget.allocate(3, String::from("third")).unwrap();
    let list = budget.allocations();
    let labels: Vec<_> = list.iter().map(|info| info.label.as_ref()).collect();
    assert_eq!(labels, ["second", "third"]);
    assert!(list[0].age >= list[1].age);
    drop((second, third));
    assert!(budget.allocations().is_empty());
}

#[test]
fn budgets_of_one_board_and_cgroup_share_what_is_allocated_and_keep_their_own_line() {
    let machine = Machine::new(8192 * MIB, 8000 * MIB, vec![]);
    let options = MachineOptions { board: board("rk3588-8gb"), ..MachineOptions::default() };
    let small = MachineOptions { max_bytes: Some(100 * MIB), ..options };
    let wide = MemoryBudget::shared_for_machine(&machine, &options).unwrap();
    let narrow = MemoryBudget::shared_for_machine(&machine, &small).unwrap();
    let apart = MemoryBudget::for_machine(&machine, &options).unwrap();
    let held = wide.allocate(200 * MIB, "held").unwrap();
    assert_eq!(narrow.allocated_bytes(), 200 * MIB);
    assert_eq!(narrow.available_bytes(), 0);
    assert!(narrow.allocate(1, "over the narrow line").is_err());
    assert_eq!(apart.allocated_bytes(), 0);
    drop(held);
    assert!(narrow.allocate(100 * MIB, "fits").is_ok());
}

#[test]
fn many_threads_never_pass_the_line_and_leave_nothing() {
    let budget = MemoryBudget::new(1000, 0).unwrap();
    thread::scope(|scope| {
        for seed in 0..8_u64 {
            let budget = &budget;
            scope.spawn(move || {
                for step in 0..5_000_u64 {
                    let guard = budget.allocate((seed * 7919 + step * 31) % 400, "worker");
                    assert!(budget.allocated_bytes() <= 1000);
                    drop(guard);
                }
            });
        }
    });
    assert_eq!(budget.allocated_bytes(), 0);
    assert!(budget.peak_bytes() <= 1000);
    assert!(budget.allocations().is_empty());
}

#[test]
fn preset_budgets_are_the_boards_numbers() {
    for board in BOARDS {
        let budget = MemoryBudget::for_board(board);
        assert_eq!(budget.usable_bytes(), budget.total_bytes() - budget.reserved_bytes(), "{}", board.id);
    }
}

#[test]
fn silent_holders_are_credited_with_growth_and_a_holder_that_speaks_counts_for_itself() {
    static RESIDENT: AtomicU64 = AtomicU64::new(0);
    let account = Account::measured_by(|| Some(RESIDENT.load(Ordering::Relaxed)));
    let enter = |label: &'static str, bytes| {
        let now = Instant::now();
        account.grant_unweighed(bytes, now);
        account.insert(label.into(), bytes, None, now)
    };
    RESIDENT.store(1000 * MIB, Ordering::Relaxed);
    let first = enter("first", 300 * MIB);
    assert_eq!(account.promised().bytes(), 300 * MIB);
    RESIDENT.store(1100 * MIB, Ordering::Relaxed);
    let second = enter("second", 50 * MIB);
    assert_eq!(account.promised().bytes(), 250 * MIB);
    account.commit(first, 100 * MIB);
    assert_eq!(account.promised().bytes(), 250 * MIB);
    account.commit(first, 50 * MIB);
    assert_eq!(account.promised().bytes(), 250 * MIB, "it only rises");
    account.commit(first, u64::MAX);
    assert_eq!(account.promised().bytes(), 50 * MIB, "never above the grant");
    account.remove(second);
    account.remove(first);
    account.commit(first, 1);
    assert_eq!(account.promised().bytes(), 0);
}

proptest! {
    /// Against a plain list as the model: the same grants, the same balance, whatever the order.
    #[test]
    fn grants_follow_the_plain_sum(steps in prop::collection::vec((0_u64..600, any::<bool>()), 1..80)) {
        let budget = MemoryBudget::new(1500, 500).unwrap();
        let mut live: Vec<Allocation> = Vec::new();
        for (bytes, release) in steps {
            if release && !live.is_empty() {
                drop(live.swap_remove(bytes as usize % live.len()));
            } else {
                let sum: u64 = live.iter().map(Allocation::bytes).sum();
                match budget.allocate(bytes, "step") {
                    Ok(guard) => { prop_assert!(sum + bytes <= 1000); live.push(guard); }
                    Err(_) => prop_assert!(sum + bytes > 1000),
                }
            }
            prop_assert_eq!(budget.allocated_bytes(), live.iter().map(Allocation::bytes).sum::<u64>());
            prop_assert_eq!(budget.allocations().len(), live.len());
        }
    }
}

proptest! {
    /// Parts of an allocation, committed and joined in any order: the budget counts what it did, what is promised is what
    /// nobody took, and a recording agrees with the list.
    #[test]
    fn parts_are_their_whole(steps in prop::collection::vec((0_usize..4, 0_u64..400, any::<usize>()), 1..60)) {
        let budget = MemoryBudget::new(1000, 0).unwrap();
        let recording = budget.record(RecordOptions::default()).unwrap();
        let mut parts = vec![budget.allocate(1000, "whole").unwrap()];
        let mut committed = vec![0];
        for (step, bytes, which) in steps {
            let index = which % parts.len();
            match step {
                0 | 1 => {
                    let left = parts[index].bytes() - committed[index];
                    match parts[index].split(bytes, "part") {
                        Some(part) => {
                            prop_assert!(bytes <= left);
                            prop_assert_eq!(part.bytes(), bytes);
                            parts.push(part);
                            committed.push(0);
                        }
                        None => prop_assert!(bytes > left),
                    }
                }
                2 => {
                    parts[index].commit(bytes);
                    committed[index] = committed[index].max(bytes.min(parts[index].bytes()));
                }
                _ if parts.len() > 1 => {
                    // Of which some was taken it is released instead.
                    let (part, taken) = (parts.swap_remove(index), committed.swap_remove(index));
                    let (into, before) = (which % parts.len(), parts[which % parts.len()].bytes());
                    let bytes = part.bytes();
                    parts[into].join(part);
                    prop_assert_eq!(parts[into].bytes(), before + if taken == 0 { bytes } else { 0 });
                }
                _ => {}
            }
            let sum: u64 = parts.iter().map(Allocation::bytes).sum();
            prop_assert_eq!(budget.allocated_bytes(), sum);
            prop_assert_eq!(budget.allocations().iter().map(|info| info.bytes).sum::<u64>(), sum);
            prop_assert_eq!(recording.read(false).allocated_bytes, sum);
            if parts.len() > 1 {
                let untaken: u64 = sum - committed.iter().sum::<u64>();
                prop_assert_eq!(budget.promised().bytes(), untaken);
            }
        }
        drop(parts);
        prop_assert_eq!((budget.allocated_bytes(), budget.promised().bytes()), (0, 0));
    }
}

#[test]
fn what_is_joined_to_another_budget_is_released() {
    let (one, other) = (MemoryBudget::new(100, 0).unwrap(), MemoryBudget::new(100, 0).unwrap());
    let mut whole = one.allocate(50, "whole").unwrap();
    whole.join(other.allocate(50, "foreign").unwrap());
    assert_eq!((whole.bytes(), one.allocated_bytes(), other.allocated_bytes()), (50, 50, 0));
}

#[test]
fn what_shrinks_and_grows_is_counted_and_recorded_as_it_is_and_what_was_not_taken_goes_first() {
    // One account sums pending up from its list, the other counts it as it changes.
    let machine = Machine::new(1 << 30, 1 << 30, Vec::new());
    let measured = MemoryBudget::for_machine(&machine, &MachineOptions::default()).unwrap();
    for budget in [MemoryBudget::new(1000, 0).unwrap(), measured] {
        let recording = budget.record(RecordOptions::default()).unwrap();
        let mut silent = budget.allocate(100, "silent").unwrap();
        assert_eq!((silent.shrink(30), silent.bytes(), budget.allocated_bytes()), (30, 70, 70));
        assert_eq!(recording.read(false).allocated_bytes, 70);
        drop(silent);
        assert_eq!((budget.allocated_bytes(), budget.pending_bytes()), (0, 0));
        let mut said = budget.allocate(100, "said").unwrap();
        said.commit(60);
        assert_eq!((said.shrink(25), budget.pending_bytes()), (25, 15));
        assert_eq!((said.shrink(25), budget.pending_bytes(), said.bytes()), (25, 0, 50));
        budget.grow(&mut said, 20).unwrap();
        assert_eq!((said.bytes(), budget.pending_bytes(), budget.allocated_bytes()), (70, 20, 70));
        assert_eq!((budget.allocations().len(), recording.read(false).allocated_bytes), (1, 70));
        assert_eq!((said.shrink(1000), said.bytes(), said.shrink(1)), (70, 0, 0));
        drop(said);
        assert_eq!((budget.allocated_bytes(), budget.pending_bytes()), (0, 0));
        assert!(budget.grow(&mut budget.allocate(0, "small").unwrap(), u64::MAX).is_err());
    }
}
