//! Text of any length, kept in a bounded space.

/// The text, or as many of its characters as fit in `max_bytes`.
pub(super) fn cut(text: &str, max_bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(max_bytes)).unwrap_or(text)
}
