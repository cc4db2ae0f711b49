//! The kinds of device memory on this machine.

use napi_derive::napi;
use plimsoll::system::{BackEnd as CoreBackEnd, BackEndKind, back_ends as core_back_ends};

use super::root::root_at;
use crate::mirror::{Cross, mirror};

mirror! {
    /// A kind of device memory on this machine.
    pub struct BackEnd of CoreBackEnd {
        /// The kind.
        pub kind: BackEndKind as "'host' | 'dma-heap' | 'udmabuf' | 'cuda' | 'rknpu'",
        /// Whether what it needs is there and may be used by this user.
        pub available: bool = state.is_ok(),
        /// Where it was found.
        pub paths: Vec<String> = state.as_ref().map_or(Vec::new(), |paths| paths.clone().cross()),
        /// Why it cannot be used.
        pub reason: Option<String> = state.as_ref().err().map(|obstacle| obstacle.why.clone()),
        /// The line that mends it, where there is one.
        pub remedy: Option<String> = state.err().and_then(|obstacle| obstacle.remedy),
    }
    reading { state }
}

#[napi(catch_unwind)]
pub fn back_ends(root: Option<String>) -> Vec<BackEnd> {
    core_back_ends(&root_at(root)).cross()
}
