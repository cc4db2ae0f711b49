//! Groups 26, 27 and 29: where tensor data lies.

use gguf_file::{ForkType, MAX_EXACT, TensorType};

use crate::{common::Builder, parse, parse_header_only, parse_strict, refused, refused_by};

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

/// Where tensors may begin anywhere, nothing but the sum is wrong.
#[test]
fn tensor_end_too_large_where_every_offset_is_aligned() {
    let entry_bytes = 8 + 17 + 4 + 4;
    for offset in [u64::MAX, u64::MAX - 31, MAX_EXACT] {
        let file = Builder::new().aligned(1).tensor("a", &[8], F32, offset).data(96).build();
        let values = ["\"a\"", &offset.to_string()];
        refused(&file, "tensor-end-too-large", OFFSET_FIELD + entry_bytes, &values);
    }
}

/// Neither is too large by itself.
#[test]
fn tensor_end_too_large_for_the_second_of_two() {
    let (half, i8) = (1_u64 << 52, TensorType::I8.id());
    let file = Builder::new().tensor("a", &[half], i8, 0).tensor("b", &[half], i8, half).data(96).build();
    for result in [parse(&file), parse_header_only(&file), parse_strict(&file)] {
        let values = ["\"b\"", &half.to_string()];
        refused_by(result, "tensor-end-too-large", OFFSET_FIELD + INFO_BYTES, &values);
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
    let bytes = followed_by_nothing.build();
    let file = parse(&bytes).unwrap();
    let nothing = file.tensor("b").unwrap().file_range();
    assert!(
        nothing.is_empty() && nothing.start > bytes.len() as u64,
        "it stands in the padding that is not there"
    );
}

#[test]
fn bytes_after_the_last_tensor_are_accepted() {
    assert!(parse(&tensors_at(&[0]).data(1000).build()).is_ok());
}

const Q2_0: u32 = 42;

/// A tensor of a type whose id a fork gives to larger or smaller blocks, something behind it, and another of the type at the
/// end of the file.
fn forked(type_id: u32, elements: u64, bytes: u64) -> Builder {
    let padded = bytes.next_multiple_of(32);
    Builder::new()
        .tensor("first", &[elements], type_id, 0)
        .tensor("norm", &[8], F32, padded)
        .tensor("last", &[elements], type_id, padded + 32)
        .data((padded + 32 + bytes) as usize)
}

#[test]
fn fork_layout() {
    // First's type id stands behind its name, the number of its dimensions and the one that it has.
    const TYPE_FIELD: u64 = 24 + 8 + 5 + 4 + 8;
    for fork in ForkType::ALL.iter().filter(|fork| TensorType::from_id(fork.id).is_some()) {
        let ours = TensorType::from_id(fork.id).unwrap();
        let elements = 2048;
        let bytes = fork.size_bytes(elements, elements).unwrap();
        let file = forked(fork.id, elements, bytes).build();
        let values =
            ["\"first\"", ours.name(), fork.name, fork.fork, &bytes.next_multiple_of(32).to_string()];
        refused(&file, "fork-layout", TYPE_FIELD, &values);
        refused_by(parse_strict(&file), "fork-layout", TYPE_FIELD, &values);
        refused_by(parse_header_only(&file), "fork-layout", TYPE_FIELD, &values);
        // ggml's own layout is right, also where the padding at the end is there.
        let bytes = ours.row_bytes(elements).unwrap();
        let mut file = forked(fork.id, elements, bytes);
        assert!(parse(&file.build()).is_ok());
        file = file.data((bytes.next_multiple_of(32) * 2 + 32) as usize);
        assert!(parse(&file.build()).unwrap().gaps().is_empty());
    }
}

#[test]
fn fork_layout_of_the_last_tensor() {
    let file = Builder::new().tensor("t", &[128], Q2_0, 0).data(34).build();
    refused(&file, "fork-layout", 24 + 8 + 1 + 4 + 8, &["34 further", "PrismML"]);
    let file = Builder::new().tensor("t", &[128], Q2_0, 0).data(36).build();
    assert!(parse(&file).is_ok());
    let file = Builder::new().tensor("t", &[2048], Q2_0, 0).data(2048 / 128 * 34).build();
    refused(&file, "fork-layout", 24 + 8 + 1 + 4 + 8, &["576 bytes", "544 further", "PrismML"]);
    // Of no known size: cut off.
    let file = Builder::new().tensor("t", &[2048], Q2_0, 0).data(500).build();
    refused(&file, "tensor-past-end", OFFSET_FIELD, &["\"t\""]);
}

/// What lies between tensors and is no padding can be anything: it is shown, and refused only where a fork explains it.
#[test]
fn gaps_are_accepted_and_told() {
    let gaps = |file: &Builder| {
        let file = parse(&file.build()).unwrap();
        let at = |bytes| bytes - file.data_offset_bytes();
        file.gaps().iter().map(|gap| (at(gap.offset_bytes), gap.size_bytes, gap.after)).collect::<Vec<_>>()
    };
    assert_eq!(gaps(&tensors_at(&[0, 32, 64]).data(96)), []);
    assert_eq!(gaps(&tensors_at(&[64, 0]).data(96)), [(32, 32, Some(1))]);
    assert_eq!(gaps(&tensors_at(&[96]).data(300)), [(0, 96, None), (128, 172, Some(0))]);
    assert_eq!(gaps(&Builder::new().data(300)), [], "without tensors there is no data section");
    let padded = Builder::new().tensor("t", &[10], F32, 0).tensor("u", &[8], F32, 64).data(96);
    assert_eq!(gaps(&padded), [], "padding is none");
    assert_eq!(
        gaps(&Builder::new().tensor("e", &[0], F32, 64).tensor("t", &[8], F32, 0).data(64)),
        [(32, 32, Some(1))]
    );
    // Where the data is elsewhere, nobody knows what lies behind it.
    let file = parse_header_only(&tensors_at(&[0]).data(300).build()).unwrap();
    assert_eq!(file.gaps(), []);
}
