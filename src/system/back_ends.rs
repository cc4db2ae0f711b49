//! The kinds of device memory on this machine.

use napi_derive::napi;
use plimsoll::system::{BackEnd as CoreBackEnd, back_ends as core_back_ends};

use super::root::root_at;

/// A kind of device memory on this machine.
#[napi(object, object_from_js = false)]
pub struct BackEnd {
    /// The kind.
    #[napi(ts_type = "'host' | 'dma-heap' | 'udmabuf' | 'cuda' | 'rknpu'")]
    pub kind: String,
    /// Whether what it needs is there and may be used by this user.
    pub available: bool,
    /// Where it was found.
    pub paths: Vec<String>,
    /// Why it cannot be used.
    pub reason: Option<String>,
    /// The line that mends it, where there is one.
    pub remedy: Option<String>,
}

impl From<CoreBackEnd> for BackEnd {
    fn from(back_end: CoreBackEnd) -> Self {
        let kind = back_end.kind.name().to_owned();
        match back_end.state {
            Ok(paths) => {
                let paths = paths.iter().map(|path| path.to_string_lossy().into_owned()).collect();
                Self { kind, available: true, paths, reason: None, remedy: None }
            }
            Err(obstacle) => Self {
                kind,
                available: false,
                paths: Vec::new(),
                reason: Some(obstacle.why),
                remedy: obstacle.remedy,
            },
        }
    }
}

#[napi(catch_unwind)]
pub fn back_ends(root: Option<String>) -> Vec<BackEnd> {
    core_back_ends(&root_at(root)).into_iter().map(BackEnd::from).collect()
}
