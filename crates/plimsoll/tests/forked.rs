//! What a child of this process has taken, which goes on without another program.

#[allow(unsafe_code)] // To fork.
#[path = "cuda/fork.rs"]
mod fork;

use std::hint::black_box;

use plimsoll::{MemoryBudget, budget::SystemOptions, units::MIB};

#[test]
fn a_forked_child_measures_itself() {
    let budget = MemoryBudget::for_system(&SystemOptions::default()).unwrap();
    let held = budget.allocate(96 * MIB, "taken by the child").unwrap();
    let ((budget, held), status) = fork::in_child((budget, held), |(budget, held)| {
        let taken = black_box(vec![1_u8; 96 * MIB as usize]);
        let pending_mib = budget.pending_bytes() / MIB;
        drop((held, taken));
        pending_mib as u8
    });
    assert!((0..16).contains(&status), "{status} MiB are pending in the child, who has taken all");
    assert!(budget.pending_bytes() > 80 * MIB, "the parent has taken nothing");
    drop(held);
}
