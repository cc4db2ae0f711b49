//! Headers of models, out of hyperparameters and the shapes of tensors.

use std::collections::BTreeMap;

use gguf_file::{GgufFile, Options};
use serde_json::Value;

/// What the data of a tensor begins at a multiple of.
const ALIGN: usize = 32;

/// A file's header without a byte of data: the keys of an architecture, and of files that are no model; and tensors of `F32` by name and dimensions.
pub fn header(
    architecture: &str,
    keys: &BTreeMap<String, Value>,
    tensors: &[(String, Vec<u64>)],
) -> GgufFile {
    let mut out = b"GGUF".to_vec();
    out.extend(3_u32.to_le_bytes());
    out.extend((tensors.len() as u64).to_le_bytes());
    out.extend((keys.len() as u64 + 1).to_le_bytes());
    push_key(&mut out, "general.architecture", &architecture.into());
    for (key, value) in keys {
        let is_whole = key.starts_with("general.") || key.starts_with("adapter.") || key.starts_with("clip.");
        let name = if is_whole { key.clone() } else { format!("{architecture}.{key}") };
        push_key(&mut out, &name, value);
    }
    let mut offset = 0_u64;
    for (name, dims) in tensors {
        push_text(&mut out, name);
        out.extend((dims.len() as u32).to_le_bytes());
        out.extend(dims.iter().flat_map(|dim| dim.to_le_bytes()));
        out.extend(0_u32.to_le_bytes());
        out.extend(offset.to_le_bytes());
        offset += (dims.iter().product::<u64>() * 4).next_multiple_of(ALIGN as u64);
    }
    out.resize(out.len().next_multiple_of(ALIGN), 0);
    GgufFile::from_bytes(&out, &Options { header_only: true, ..Options::default() }).unwrap()
}

fn push_text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

fn push_key(out: &mut Vec<u8>, key: &str, value: &Value) {
    push_text(out, key);
    let (type_id, bytes) = value_of(value);
    out.extend(type_id.to_le_bytes());
    out.extend(bytes);
}

/// The type and the bytes of a value: whole numbers as `u32` where they fit, others as `f32`, as the files have them.
fn value_of(value: &Value) -> (u32, Vec<u8>) {
    match value {
        Value::Bool(it) => (7, vec![u8::from(*it)]),
        Value::Number(it) => match it.as_u64() {
            Some(whole) if whole > u32::MAX.into() => (10, whole.to_le_bytes().to_vec()),
            Some(whole) => (4, (whole as u32).to_le_bytes().to_vec()),
            None => (6, (it.as_f64().unwrap() as f32).to_le_bytes().to_vec()),
        },
        Value::String(it) => {
            (8, [(it.len() as u64).to_le_bytes().to_vec(), it.clone().into_bytes()].concat())
        }
        Value::Array(elements) => {
            let values: Vec<(u32, Vec<u8>)> = elements.iter().map(value_of).collect();
            let element_type = values.first().map_or(4, |(type_id, _)| *type_id);
            let mut bytes = element_type.to_le_bytes().to_vec();
            bytes.extend((values.len() as u64).to_le_bytes());
            bytes.extend(values.into_iter().flat_map(|(_, bytes)| bytes));
            (9, bytes)
        }
        Value::Null | Value::Object(_) => panic!("no value of a file: {value}"),
    }
}

/// Tensors by name and dimensions, such as `4096x1024`; `blk.*.` stands for all blocks, `blk.0,2-4.` for these.
#[allow(dead_code)] // Not every test has cases of tensors.
pub fn tensors(shapes: &BTreeMap<String, String>, blocks: u64) -> Vec<(String, Vec<u64>)> {
    let of = |(name, dims): (&String, &String)| {
        let dims: Vec<u64> = dims.split('x').map(|dim| dim.parse().unwrap()).collect();
        names(name, blocks).into_iter().map(move |name| (name, dims.clone())).collect::<Vec<_>>()
    };
    shapes.iter().flat_map(of).collect()
}

#[allow(dead_code)]
/// A name for each block that it stands for.
fn names(name: &str, blocks: u64) -> Vec<String> {
    let Some((layers, part)) = name.strip_prefix("blk.").and_then(|rest| rest.split_once('.')) else {
        return vec![name.to_owned()];
    };
    let all = format!("0-{}", blocks - 1);
    let layers = if layers == "*" { &all } else { layers };
    let layers = layers.split(',').flat_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        first.parse::<u64>().unwrap()..=last.parse().unwrap()
    });
    layers.map(|layer| format!("blk.{layer}.{part}")).collect()
}
