//! Any bytes, in each of the parser's modes; then everything a file that opens gives out.

#![no_main]

use gguf_file::{ArrayIndex, GgufFile, Limits, MAX_EXACT, Options, Value};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for header_only in [false, true] {
        for strict in [false, true] {
            let limits = Limits { array_depth: Limits::MAX_ARRAY_DEPTH, ..Limits::default() };
            match GgufFile::from_bytes(bytes, &Options { header_only, strict, limits }) {
                Ok(file) => read_everything(&file, bytes),
                Err(error) => {
                    assert!(!error.rule().is_empty() && !error.to_string().is_empty());
                    assert!(error.offset_bytes().is_some(), "{error}");
                }
            }
        }
    }
});

fn read_everything(file: &GgufFile, bytes: &[u8]) {
    assert_eq!(file.file_bytes(), bytes.len() as u64);
    assert!(file.header_bytes() <= file.file_bytes());
    assert!(file.alignment_bytes().is_power_of_two());
    let _ = (file.architecture(), file.file_type().map(|file_type| file_type.to_string()), file.split());
    let _ = format!("{file:?}");
    for (key, value) in file.metadata() {
        assert!(file.metadata().contains(key));
        let _ = (file.metadata().u64_of(key), file.metadata().str_of(key));
        read_value(value);
    }
    for tensor in file.tensors() {
        assert_eq!(file.tensor(tensor.name()).map(|found| found.index()), Some(tensor.index()));
        assert_eq!(file.tensor_at(tensor.index()).map(|found| found.name()), Some(tensor.name()));
        let range = tensor.file_range();
        assert!(range.start >= file.data_offset_bytes() && range.end <= MAX_EXACT);
        assert_eq!(range.end - range.start, tensor.size_bytes());
        assert!(tensor.element_count() <= MAX_EXACT);
        assert!(file.is_header_only() || range.is_empty() || range.end <= file.file_bytes());
    }
}

fn read_value(value: Value<'_>) {
    let _ = (value.as_u64(), value.as_f64(), value.as_bool(), value.as_str());
    if let Some(array) = value.as_array() {
        assert_eq!(array.iter().count(), array.len());
        assert!(array.get(array.len()).is_none());
        let index = ArrayIndex::of(array);
        assert_eq!(index.elements(array, 0..usize::MAX).count(), array.len());
        array.iter().for_each(read_value);
    }
}
