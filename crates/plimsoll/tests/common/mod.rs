//! Small GGUF files, byte by byte.

use std::{io::Write, path::PathBuf};

use tempfile::TempDir;

const ALIGN: usize = 32;

/// A tensor to be written: name, dimensions, ggml type id, data.
pub struct TensorSpec {
    pub name: &'static str,
    pub dims: Vec<u64>,
    pub type_id: u32,
    pub data: Vec<u8>,
}

impl TensorSpec {
    /// A tensor of one dimension whose bytes follow a pattern of their own.
    pub fn patterned(name: &'static str, elements: u64, type_id: u32, size_bytes: usize) -> Self {
        let seed = name.bytes().fold(7_u8, u8::wrapping_add);
        let data = (0..size_bytes).map(|i| (i as u8).wrapping_mul(31).wrapping_add(seed)).collect();
        Self { name, dims: vec![elements], type_id, data }
    }

    /// 32-bit floats counting up.
    pub fn floats(name: &'static str, elements: u64) -> Self {
        let data = (0..elements).flat_map(|i| (i as f32).to_le_bytes()).collect();
        Self { name, dims: vec![elements], type_id: 0, data }
    }
}

/// A version 3 file of these tensors, each `gap` bytes (a multiple of 32) after the one before.
pub fn gguf(tensors: &[TensorSpec], gap: usize) -> Vec<u8> {
    gguf_with(&[], tensors, gap)
}

/// The same with metadata: keys, the ids of their types, and their bytes.
pub fn gguf_with(keys: &[(&str, u32, Vec<u8>)], tensors: &[TensorSpec], gap: usize) -> Vec<u8> {
    let mut out = b"GGUF".to_vec();
    out.extend(3_u32.to_le_bytes());
    out.extend((tensors.len() as u64).to_le_bytes());
    out.extend((keys.len() as u64).to_le_bytes());
    for (key, type_id, value) in keys {
        out.extend((key.len() as u64).to_le_bytes());
        out.extend(key.as_bytes());
        out.extend(type_id.to_le_bytes());
        out.extend(value);
    }
    let mut offset = 0_usize;
    for tensor in tensors {
        out.extend((tensor.name.len() as u64).to_le_bytes());
        out.extend(tensor.name.as_bytes());
        out.extend((tensor.dims.len() as u32).to_le_bytes());
        tensor.dims.iter().for_each(|dim| out.extend(dim.to_le_bytes()));
        out.extend(tensor.type_id.to_le_bytes());
        out.extend((offset as u64).to_le_bytes());
        offset += tensor.data.len().next_multiple_of(ALIGN) + gap;
    }
    for tensor in tensors {
        out.resize(out.len().next_multiple_of(ALIGN), 0);
        out.extend(&tensor.data);
        out.resize(out.len().next_multiple_of(ALIGN) + gap, 0xee);
    }
    out
}

/// The bytes as a file in a folder that goes with the guard.
pub fn on_disk(bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    std::fs::File::create(&path).unwrap().write_all(bytes).unwrap();
    (folder, path)
}
