//! What the system can give now, for JavaScript.

use napi_derive::napi;
use plimsoll::budget::{Headroom as CoreHeadroom, HeadroomKind, HeadroomTerm as CoreTerm};

use crate::mirror::{Cross, mirror};

mirror! {
    /// What the system can give at one moment, and why not more.
    pub struct Headroom of CoreHeadroom {
        /// The least room of the terms, less what is pending; in bytes.
        pub bytes: f64,
        /// What was granted and has not yet been taken, in bytes.
        pub pending_bytes: f64 = promised.bytes() as f64,
        /// The largest single allocation the board would accept now, in bytes. On Jetson the driver refuses larger ones; since
        /// Linux for Tegra 36.4.7 by a rule that nobody outside it knows, and this is absent: no size is promised.
        pub largest_allocation_bytes: Option<f64>,
        /// The bound with the least room.
        pub binding_term: HeadroomTerm = binding.cross(),
        /// Every bound that was weighed: the machine, then the cgroups from the process's own upwards.
        pub terms: Vec<HeadroomTerm>,
    }
    reading { binding, promised }
}

mirror! {
    /// One upper bound on headroom.
    pub struct HeadroomTerm of CoreTerm {
        /// Where the bound comes from.
        pub kind: HeadroomKind as "'machine' | 'cgroup'",
        /// The cgroup's path.
        pub path: Option<String>,
        /// All that could be given were nothing in use: the whole less the floor, in bytes.
        pub capacity_bytes: f64,
        /// What is left untouched for the system around the model, in bytes.
        pub floor_bytes: f64,
        /// What can be given now, the floor left untouched, in bytes.
        pub room_bytes: f64,
        /// Share of the capacity that is in use, 0 to 100.
        pub used_percent: f64 = used_percent,
        /// The bound in words.
        pub description: String,
    }
    asking term { used_percent = term.used_percent() }
}
