//! Any bytes as hyperparameters, tensors and options: what is estimated of them adds up, or is refused.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/plimsoll/tests/hostile/mod.rs"]
mod hostile;

fuzz_target!(|bytes: &[u8]| {
    hostile::estimate_hostile(bytes);
});
