//! What a projector computes an image in.

use gguf_file::GgufFile;

use super::keys::Keys;
use crate::error::Result;

/// The largest that one image takes: the scores of all heads over all patches, and, of each patch, what a layer computes at
/// the same time. Elements of four bytes.
///
/// The layers are those of a vision transformer without flash attention, at the size that the file names; a projector that
/// takes larger images, or sound, needs more. Not measured.
pub(super) fn image_bytes(file: &GgufFile) -> Result<u64> {
    let keys = Keys::new(file.metadata(), "clip.vision");
    let number = |key| keys.optional(key).map(|number| u128::from(number.unwrap_or(0)));
    let (image, patch) = (number("image_size")?, number("patch_size")?);
    let (width, inner) = (number("embedding_length")?, number("feed_forward_length")?);
    let heads = number("attention.head_count")?;
    let side = image.checked_div(patch).unwrap_or(0);
    let patches = side.saturating_mul(side).saturating_add(1);
    let scores = heads.saturating_mul(patches).saturating_mul(patches);
    let layer = patches.saturating_mul(8 * width + 2 * inner);
    let elements = if side == 0 { 0 } else { scores.saturating_add(layer) };
    let bytes = elements.saturating_mul(4);
    super::cache::counted(bytes).ok_or_else(|| {
        keys.invalid("image_size", "so small that an image can be held in memory", format!("{image}"))
    })
}
