//! Whether the machine can give what a load would take.

use crate::{
    budget::{Headroom, HeadroomOptions, Promised},
    error::{Error, Left, Result},
    system::Machine,
    units::format_bytes,
};

/// What the machine can give now. Nothing comes off it for what budgets have granted: the load may be what they granted it
/// for. `None` where it cannot be told.
pub(super) fn room() -> Option<Headroom> {
    Some(Headroom::of(&Machine::read().ok()?, Promised::NOTHING, &HeadroomOptions::default()))
}

/// Refuses new memory for `bytes` of tensors that the machine has not got: nobody else would, before the OOM killer does.
///
/// # Errors
///
/// [`Error::InsufficientMemory`].
pub fn expect_room(bytes: u64) -> Result<()> {
    let Some(headroom) = room().filter(|headroom| headroom.bytes < bytes) else { return Ok(()) };
    Err(Error::insufficient_memory(
        "loaded tensors",
        bytes,
        Left::whole(headroom.bytes),
        headroom.binding.to_string(),
        format!(
            "Stream the tensors, or load fewer of them: {} more would be needed",
            format_bytes(bytes - headroom.bytes)
        ),
    ))
}
