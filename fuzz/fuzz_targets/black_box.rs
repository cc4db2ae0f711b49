//! Any bytes as the file of a black box: every block that is whole is told of, and nothing else is.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| plimsoll::blackbox::fuzzing::read(bytes));
