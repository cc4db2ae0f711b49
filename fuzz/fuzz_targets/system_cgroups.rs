//! Any bytes as the texts that say where this process's cgroups lie and what they hold.

#![no_main]

use libfuzzer_sys::fuzz_target;
use plimsoll::system::fuzzing::cgroup_texts;

fuzz_target!(|bytes: &[u8]| cgroup_texts(bytes));
