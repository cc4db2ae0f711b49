//! Whether the files beside a model are what they are given as.

use gguf_file::GgufFile;

use super::hyperparameters::{ADAPTER, PROJECTOR};
use crate::error::{Error, Result};

const ARCHITECTURE_KEY: &str = "general.architecture";

/// What a projector has to have one of, whatever it calls itself (`clip_model_loader` in `tools/mtmd/clip.cpp`).
const ENCODER_KEYS: [&str; 3] =
    ["clip.has_vision_encoder", "clip.has_audio_encoder", "clip.has_gen_audio_encoder"];

/// A projector for images or sound.
pub(super) fn check_projector(file: &GgufFile) -> Result<()> {
    let has = |key: &&str| file.metadata().get(key).and_then(|value| value.as_bool()) == Some(true);
    if file.architecture() == Some(PROJECTOR) || ENCODER_KEYS.iter().any(has) {
        return Ok(());
    }
    let expected = format!("{PROJECTOR:?}, that of a projector, for mmproj");
    Err(Error::invalid_model(ARCHITECTURE_KEY, expected, said(file, ARCHITECTURE_KEY)))
}

/// An adapter of a model of that family (`llama_adapter_lora_init_impl` in `llama-adapter.cpp`).
pub(super) fn check_adapter(file: &GgufFile, architecture: &str) -> Result<()> {
    let wanted = [
        ("general.type", ADAPTER, "that of an adapter, for loras"),
        (ARCHITECTURE_KEY, architecture, "that of the model, for an adapter"),
        ("adapter.type", "lora", "the only kind of adapter that is known"),
    ];
    for (key, value, why) in wanted {
        if text(file, key) != Some(value) {
            return Err(Error::invalid_model(key, format!("{value:?}, {why}"), said(file, key)));
        }
    }
    Ok(())
}

fn text<'a>(file: &'a GgufFile, key: &str) -> Option<&'a str> {
    file.metadata().get(key).and_then(|value| value.as_str())
}

fn said(file: &GgufFile, key: &str) -> String {
    text(file, key).map_or_else(|| "nothing".to_owned(), |text| format!("{text:?}"))
}
