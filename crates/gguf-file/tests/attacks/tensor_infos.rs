//! Groups 18 to 25 and 28: names, shapes and types.

use gguf_file::{Limits, MAX_EXACT, Options, TensorType};

use crate::{
    common::{Builder, string},
    parse, parse_with, refused, refused_by,
};

const F32: u32 = 0;
const I8: u32 = 24;
const Q4_0: u32 = 2;
const Q4_K: u32 = 12;
/// Where the parts of the first tensor info stand, if there is no metadata and the name has one byte.
const DIMENSION_COUNT: u64 = 33;
const DIMS: u64 = 37;

#[test]
fn too_many_dimensions() {
    for count in [5_u32, 0xffff_ffff] {
        let info = [&string("t")[..], &count.to_le_bytes(), &[0; 60]].concat();
        let file = Builder::new().raw_tensor(&info).build();
        refused(&file, "too-many-dimensions", DIMENSION_COUNT, &["\"t\"", &count.to_string(), "at most 4"]);
    }
}

#[test]
fn as_many_dimensions_as_are_allowed_are_accepted() {
    let allowing =
        |dimensions| Options { limits: Limits { dimensions, ..Limits::default() }, ..Options::default() };
    let dims = [2, 3, 4, 5, 6, 7, 8, 9];
    let bytes = 4 * dims.iter().product::<u64>() as usize;
    let file = Builder::new().tensor("t", &dims, F32, 0).data(bytes).build();
    refused(&file, "too-many-dimensions", DIMENSION_COUNT, &["\"t\"", "8", "at most 4"]);
    refused_by(parse_with(&file, &allowing(7)), "too-many-dimensions", DIMENSION_COUNT, &["at most 7"]);
    let file = parse_with(&file, &allowing(8)).unwrap();
    let tensor = file.tensor("t").unwrap();
    assert_eq!((&*tensor.dims(), tensor.size_bytes()), (&dims[..], bytes as u64));
    let nine = Builder::new().tensor("t", &[1; 9], F32, 0).data(64).build();
    refused_by(
        parse_with(&nine, &allowing(u32::MAX)),
        "too-many-dimensions",
        DIMENSION_COUNT,
        &["at most 8"],
    );
}

#[test]
fn names_as_long_as_allowed_are_accepted() {
    let name = "model.diffusion_model.output_blocks.11.1.transformer_blocks.0.attn2.to_out.0.weight";
    assert!(name.len() > 64);
    let file = Builder::new().tensor(name, &[8], F32, 0).data(32).build();
    refused(&file, "tensor-name-too-long", 24, &[&name.len().to_string(), "64"]);
    let limits = Limits { name_bytes: name.len() as u32, ..Limits::default() };
    let file = parse_with(&file, &Options { limits, ..Options::default() }).unwrap();
    assert_eq!(file.tensor(name).unwrap().size_bytes(), 32);
    let name = "n".repeat(200);
    let limits = Limits { name_bytes: 200, ..Limits::default() };
    let file = Builder::new().tensor(&name, &[8], F32, 0).data(32).build();
    let file = parse_with(&file, &Options { limits, ..Options::default() }).unwrap();
    assert_eq!(file.tensor(&name).unwrap().name(), name);
}

/// Rows that the removed type can have, rows that it cannot, and a family that never had it.
#[test]
fn a_removed_type_that_is_a_forks_is_named_as_what_it_can_be() {
    let file = |rows| Builder::new().tensor("t", &[rows], 36, 0).data(4096);
    refused(&file(256).build(), "removed-tensor-type", DIMS + 8, &["IQ4_NL_4_4", "or I2_S of bitnet.cpp"]);
    refused(&file(68).build(), "removed-tensor-type", DIMS + 8, &["I2_S of bitnet.cpp (and not IQ4_NL_4_4"]);
    let error = parse(&file(256).text("general.architecture", "bitnet-b1.58").build()).unwrap_err();
    assert!(error.to_string().contains("I2_S of bitnet.cpp (and not"), "{error}");
}

#[test]
fn an_unknown_type_that_is_a_forks_says_whose() {
    for (type_id, whose) in [(142, "PQ2_0 of PrismML"), (137, "a type of ik_llama.cpp")] {
        let file = Builder::new().tensor("t", &[256], type_id, 0).data(4096).build();
        refused(&file, "unknown-tensor-type", DIMS + 8, &["ids up to 42 are known, and", whose]);
    }
}

#[test]
fn a_tensor_without_dimensions_is_one_element() {
    let file = parse(&Builder::new().tensor("t", &[], F32, 0).data(4).build()).unwrap();
    let tensor = file.tensor("t").unwrap();
    assert_eq!((&*tensor.dims(), tensor.element_count(), tensor.size_bytes()), (&[][..], 1, 4));
}

#[test]
fn dimension_too_large() {
    for dimension in [u64::MAX, 1 << 63, i64::MAX as u64, 1 << 62, MAX_EXACT + 1] {
        let file = Builder::new().tensor("t", &[1, dimension], F32, 0).data(64).build();
        let limit = MAX_EXACT.to_string();
        refused(&file, "dimension-too-large", DIMS + 8, &["dimension 1", &dimension.to_string(), &limit]);
    }
    // Q4_0 of 2^62 elements aborts ggml; F32 of 2^62 - 1 wraps its rounded size to zero.
    for (dimension, type_id) in [(1 << 62, Q4_0), ((1 << 62) - 1, F32)] {
        let file = Builder::new().tensor("t", &[dimension], type_id, 0).data(64).build();
        refused(&file, "dimension-too-large", DIMS, &[&dimension.to_string()]);
    }
    // Their product wraps to 1.
    let file = Builder::new().tensor("t", &[u64::MAX, u64::MAX], F32, 0).data(64).build();
    refused(&file, "dimension-too-large", DIMS, &["dimension 0", &u64::MAX.to_string()]);
    // Two tensors of 2^63 - 64 bytes, whose sum wraps.
    let dimension = (1 << 63) - 64;
    let file = Builder::new()
        .tensor("a", &[dimension], I8, 0)
        .tensor("b", &[dimension], I8, dimension)
        .data(64)
        .build();
    refused(&file, "dimension-too-large", DIMS, &["\"a\"", &dimension.to_string()]);
}

#[test]
fn element_count_too_large() {
    for dims in [&[1 << 31, 1 << 31, 4][..], &[1 << 32, 1 << 32], &[1 << 31, 1 << 31], &[1 << 27, 1 << 26]] {
        for type_id in [F32, I8, TensorType::I64.id()] {
            let file = Builder::new().tensor("t", dims, type_id, 0).data(64).build();
            refused(&file, "element-count-too-large", DIMS, &["\"t\"", &format!("{dims:?}")]);
        }
    }
}

#[test]
fn tensor_size_too_large() {
    let file = Builder::new().tensor("t", &[1 << 51], F32, 0).data(64).build();
    refused(&file, "tensor-size-too-large", DIMS, &["\"t\"", "F32", &(1_u64 << 51).to_string()]);
    let file = Builder::new().tensor("t", &[1 << 31, 1 << 21], TensorType::I64.id(), 0).data(64).build();
    refused(&file, "tensor-size-too-large", DIMS, &["\"t\"", "I64", &(1_u64 << 52).to_string()]);
}

#[test]
fn a_dimension_of_zero_makes_no_bytes_however_large_the_others_are() {
    for dims in [&[0][..], &[256, 0], &[0, MAX_EXACT, MAX_EXACT], &[MAX_EXACT - 255, MAX_EXACT, 0, MAX_EXACT]]
    {
        let file = parse(&Builder::new().tensor("t", dims, Q4_K, 0).build()).unwrap();
        let tensor = file.tensor("t").unwrap();
        assert_eq!((tensor.element_count(), tensor.size_bytes()), (0, 0), "{dims:?}");
        assert!(tensor.file_range().is_empty());
    }
}

#[test]
fn dimension_too_large_beside_one_of_zero() {
    for dims in [[0, 1 << 63], [1 << 63, 0], [0, u64::MAX]] {
        let file = Builder::new().tensor("t", &dims, F32, 0).data(64).build();
        let axis = u64::from(dims[0] == 0);
        refused(&file, "dimension-too-large", DIMS + 8 * axis, &["\"t\"", &format!("dimension {axis}")]);
    }
}

#[test]
fn every_type_that_there_is_is_accepted() {
    assert!([39, 40, 41, 42].iter().all(|id| TensorType::from_id(*id).is_some()));
    for tensor_type in TensorType::ALL {
        let file = Builder::new().tensor("t", &[tensor_type.block_elements()], tensor_type.id(), 0);
        let file = parse(&file.data(tensor_type.block_bytes() as usize).build()).unwrap();
        let tensor = file.tensor("t").unwrap();
        assert_eq!((tensor.tensor_type(), tensor.size_bytes()), (*tensor_type, tensor_type.block_bytes()));
    }
}

#[test]
fn removed_tensor_type() {
    for type_id in [4, 5, 31, 32, 33, 36, 37, 38] {
        let file = Builder::new().tensor("t", &[256], type_id, 0).data(64).build();
        let name = TensorType::removed_name(type_id).unwrap();
        refused(&file, "removed-tensor-type", DIMS + 8, &["\"t\"", &type_id.to_string(), name]);
    }
}

#[test]
fn unknown_tensor_type() {
    for type_id in [43, 0xffff_ffff] {
        let file = Builder::new().tensor("t", &[256], type_id, 0).data(64).build();
        refused(&file, "unknown-tensor-type", DIMS + 8, &["\"t\"", &type_id.to_string()]);
    }
}

#[test]
fn partial_block() {
    for dims in [&[100][..], &[128, 2], &[]] {
        let file = Builder::new().tensor("t", dims, Q4_K, 0).data(288).build();
        let row = dims.first().copied().unwrap_or(1).to_string();
        refused(&file, "partial-block", DIMS, &["\"t\"", &row, "256", "Q4_K"]);
    }
}

#[test]
fn duplicate_tensor_name() {
    let file = Builder::new().tensor("t", &[8], F32, 0).tensor("t", &[8], F32, 32).data(64).build();
    refused(&file, "duplicate-tensor-name", 24 + 33 + 8, &["\"t\"", "byte 32"]);
}

#[test]
fn empty_tensor_name() {
    let file = Builder::new().tensor("", &[8], F32, 0).data(32).build();
    refused(&file, "empty-tensor-name", 24, &[]);
}

#[test]
fn a_tensor_name_of_64_bytes_is_accepted() {
    let name = "n".repeat(64);
    let file = parse(&Builder::new().tensor(&name, &[8], F32, 0).data(32).build()).unwrap();
    assert_eq!(file.tensor(&name).unwrap().name(), name);
}

#[test]
fn tensor_name_too_long() {
    for length in [65, 200] {
        let file = Builder::new().tensor("n".repeat(length), &[8], F32, 0).data(32).build();
        refused(&file, "tensor-name-too-long", 24, &[&length.to_string(), "64"]);
    }
    for length in [u64::MAX, i64::MAX as u64, (1 << 30) + 1, (1 << 30) - 1] {
        let file = Builder::new().raw_tensor(&length.to_le_bytes()).data(100).build();
        refused(&file, "tensor-name-too-long", 24, &[&length.to_string(), "64"]);
    }
}

#[test]
fn truncated_in_a_tensor_name() {
    let info = [&60_u64.to_le_bytes()[..], &[b'n'; 75]].concat();
    let file = Builder { alignment: 1, ..Builder::new() }.raw_tensor(&info).build();
    refused(&file, "truncated", 32, &["tensor name", "60 bytes", "59 are left"]);
}

#[test]
fn truncated_in_the_dimensions() {
    let info = [&string("t")[..], &4_u32.to_le_bytes(), &[0; 43]].concat();
    let file = Builder { alignment: 1, ..Builder::new() }.raw_tensor(&info).build();
    refused(&file, "truncated", DIMS, &["dimensions", "32 bytes", "31 are left"]);
}

#[test]
fn tensor_name_not_utf8() {
    let file = Builder::new().tensor(b"a\xff", &[8], F32, 0).data(32).build();
    refused(&file, "tensor-name-not-utf8", 32, &["a\\xff"]);
}

#[test]
fn tensor_name_has_nul() {
    let file = Builder::new().tensor(b"a\0b", &[8], F32, 0).data(32).build();
    refused(&file, "tensor-name-has-nul", 32, &["a\\x00b"]);
}
