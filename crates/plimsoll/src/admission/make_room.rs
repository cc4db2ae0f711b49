//! How a holder is asked to make room.

use std::{sync::Arc, time::Duration};

/// Takes the request to make room. It is called on the thread of whoever needs the room, or the queue's, and must not wait. It
/// may release or shrink the grant there and then, or pass the word on.
pub type OnMakeRoom = Arc<dyn Fn(&MakeRoom) + Send + Sync>;

/// What a holder is asked to do for somebody who waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MakeRoom {
    /// Whether all is wanted, or a part of the stretch.
    pub kind: MakeRoomKind,
    /// How much is wanted, in bytes.
    pub bytes: u64,
    /// How long its holder has. After that it is passed over, and others are asked.
    pub within: Duration,
    /// What the room is for.
    pub wanted_by: String,
}

/// What can be asked of a holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MakeRoomKind {
    /// To release the grant.
    Evict,
    /// To shrink its stretch.
    Revoke,
}

names!(MakeRoomKind {
    Evict => "evict",
    Revoke => "revoke",
});
