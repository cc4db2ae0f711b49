//! Groups 26, 27 and 29: where tensor data lies.

use gguf_file::{MAX_EXACT, TensorType};

use crate::{
    common::{Builder, parse, parse_header_only, parse_strict},
    refused, refused_by,
};

const F32: u32 = 0;
/// Where the data offset of the first tensor stands, if there is no metadata, the name has one byte and there
/// is one dimension; and how long such an info is.
const OFFSET_FIELD: u64 = 49;
const INFO_BYTES: u64 = 33;

/// Tensors of 32 bytes, "a", "b" and so on, at these offsets.
fn tensors_at(offsets: &[u64]) -> Builder {
    let named = ["a", "b", "c", "d"].into_iter().zip(offsets);
    named.fold(Builder::new(), |file, (name, &offset)| file.tensor(name, &[8], F32, offset))
}

#[test]
fn misaligned_tensor() {
    for offset in [u64::MAX, 1, 31, 33] {
        let file = tensors_at(&[offset]).data(96).build();
        refused(&file, "misaligned-tensor", OFFSET_FIELD, &["\"a\"", &offset.to_string(), "alignment 32"]);
    }
}

#[test]
fn tensor_end_too_large_even_without_data() {
    for offset in [u64::MAX - 31, MAX_EXACT - 31] {
        let file = tensors_at(&[offset]).data(96).build();
        for result in [parse(&file), parse_header_only(&file)] {
            let values = ["\"a\"", "32 bytes", &offset.to_string()];
            refused_by(result, "tensor-end-too-large", OFFSET_FIELD, &values);
        }
    }
}

#[test]
fn tensor_past_end() {
    for (offset, data) in [(32, 32), (1 << 40, 96), (32, 63), (64, 95)] {
        let file = tensors_at(&[offset]).data(data).build();
        let (end, size) = ((64 + offset + 32).to_string(), (64 + data).to_string());
        refused(&file, "tensor-past-end", OFFSET_FIELD, &["\"a\"", &end, &size]);
        assert!(parse_header_only(&file).is_ok(), "without data there is no end to be past");
    }
}

#[test]
fn tensor_past_end_for_a_tensor_without_elements() {
    let file = Builder::new().tensor("a", &[0], F32, 1 << 40).build();
    refused(&file, "tensor-past-end", OFFSET_FIELD, &["\"a\""]);
}

#[test]
fn tensors_overlap() {
    let second = OFFSET_FIELD + INFO_BYTES;
    let file = tensors_at(&[0, 0]).data(64).build();
    refused(&file, "tensors-overlap", second, &["\"a\"", "\"b\"", "at 0", "ends at 32"]);
    let file = Builder::new().tensor("a", &[8], F32, 64).tensor("b", &[24], F32, 0).data(96).build();
    refused(&file, "tensors-overlap", OFFSET_FIELD, &["\"a\"", "\"b\"", "at 64", "ends at 96"]);
    for result in [parse(&file), parse_header_only(&file)] {
        assert_eq!(result.unwrap_err().rule(), "tensors-overlap");
    }
}

#[test]
fn gaps_and_any_order_are_accepted() {
    for offsets in [&[32][..], &[0, 64], &[64, 0, 32], &[96, 32]] {
        let file = tensors_at(offsets).data(128).build();
        let file = parse(&file).unwrap();
        let found: Vec<_> = file.tensors().map(|tensor| tensor.offset_bytes()).collect();
        assert_eq!(found, offsets);
    }
}

#[test]
fn tensors_not_contiguous_in_strict_mode() {
    for (offsets, tensor, place, expected) in [
        (&[32][..], "\"a\"", 0, "demands 0"),
        (&[0, 64], "\"b\"", 1, "demands 32"),
        (&[0, 0], "\"b\"", 1, "demands 32"),
    ] {
        let file = tensors_at(offsets).data(128).build();
        let offset = OFFSET_FIELD + place * INFO_BYTES;
        refused_by(parse_strict(&file), "tensors-not-contiguous", offset, &[tensor, expected]);
    }
    assert!(parse_strict(&tensors_at(&[0, 32, 64]).data(96).build()).is_ok());
}

#[test]
fn strict_mode_rounds_sizes_up_to_the_alignment() {
    let i8 = TensorType::I8.id();
    let file = Builder::new().tensor("a", &[33], i8, 0).tensor("b", &[0], i8, 64).tensor("c", &[1], i8, 64);
    assert!(parse_strict(&file.data(65).build()).is_ok());
}

#[test]
fn data_section_missing() {
    let file = tensors_at(&[0]).header();
    assert_eq!(file.len(), 57);
    refused(&file, "data-section-missing", 64, &["57 bytes"]);
    let tensor_without_data = Builder::new().tensor("a", &[0], F32, 0).header();
    refused(&tensor_without_data, "data-section-missing", 64, &["57 bytes"]);
    assert!(parse_header_only(&file).is_ok());
}

#[test]
fn tensor_past_end_by_one_byte() {
    for missing in [1, 32] {
        let file = tensors_at(&[0]).data(32 - missing).build();
        refused(&file, "tensor-past-end", OFFSET_FIELD, &["bytes 64 to 96", &(96 - missing).to_string()]);
    }
}

#[test]
fn missing_padding_after_the_last_tensor_is_accepted() {
    let i8 = TensorType::I8.id();
    let file = parse(&Builder::new().tensor("a", &[33], i8, 0).data(33).build()).unwrap();
    assert_eq!(file.data_bytes(), 33);
    let followed_by_nothing = Builder::new().tensor("a", &[33], i8, 0).tensor("b", &[0], i8, 64).data(33);
    assert!(parse(&followed_by_nothing.build()).is_ok());
}

#[test]
fn bytes_after_the_last_tensor_are_accepted() {
    assert!(parse(&tensors_at(&[0]).data(1000).build()).is_ok());
}
