//! What a right file gives.

mod common;

use common::{Builder, array, parse, parse_header_only, string};
use gguf_file::{FileType, GgufFile, Limits, Options, TensorType, Value, ValueType};

#[test]
fn both_versions_are_read_alike() {
    for version in [2, 3] {
        let file = Builder { version, ..Builder::new() }.u32("a", 7).tensor("t", &[8], 0, 0).data(32).build();
        let file = parse(&file).unwrap();
        assert_eq!(file.version(), version);
        assert_eq!(file.metadata().u64_of("a").unwrap(), 7);
        assert_eq!(file.tensor("t").unwrap().size_bytes(), 32);
    }
}

/// One value of each type: its id, its bytes, and what must come out.
fn one_of_each() -> Vec<(u32, Vec<u8>, Value<'static>)> {
    vec![
        (0, vec![200], Value::U8(200)),
        (1, vec![200], Value::I8(-56)),
        (2, 40_000_u16.to_le_bytes().into(), Value::U16(40_000)),
        (3, (-2_i16).to_le_bytes().into(), Value::I16(-2)),
        (4, 3_000_000_000_u32.to_le_bytes().into(), Value::U32(3_000_000_000)),
        (5, (-3_i32).to_le_bytes().into(), Value::I32(-3)),
        (6, 1.5_f32.to_le_bytes().into(), Value::F32(1.5)),
        (7, vec![1], Value::Bool(true)),
        (10, u64::MAX.to_le_bytes().into(), Value::U64(u64::MAX)),
        (11, i64::MIN.to_le_bytes().into(), Value::I64(i64::MIN)),
        (12, (-2.5_f64).to_le_bytes().into(), Value::F64(-2.5)),
    ]
}

#[test]
fn every_type_of_number_comes_out_as_it_went_in() {
    for (type_id, bytes, expected) in one_of_each() {
        let file = parse(&Builder::new().entry("k", type_id, bytes).build()).unwrap();
        let value = file.metadata().get("k").unwrap();
        assert_eq!(value, expected);
        assert_eq!(value.value_type().id(), type_id);
    }
}

#[test]
fn arrays_of_every_type_of_number_come_out_as_they_went_in() {
    for (type_id, bytes, expected) in one_of_each() {
        let elements = bytes.repeat(3);
        let value = array(type_id, 3, &elements);
        let file = parse(&Builder::new().entry("k", 9, value).u32("after", 5).build()).unwrap();
        let array = file.metadata().get("k").unwrap().as_array().unwrap();
        assert_eq!(array.element_type().id(), type_id);
        assert_eq!(array.as_le_bytes(), Some(&elements[..]));
        assert_eq!(array.iter().collect::<Vec<_>>(), [expected; 3]);
        assert_eq!((array.get(2), array.get(3), array.get(usize::MAX)), (Some(expected), None, None));
        assert_eq!(file.metadata().u64_of("after").unwrap(), 5);
    }
}

#[test]
fn arrays_of_strings_are_walked_and_indexed() {
    let texts: Vec<String> = (0..1000).map(|index| "x".repeat(index % 40)).collect();
    let elements: Vec<u8> = texts.iter().flat_map(string).collect();
    let file = parse(&Builder::new().entry("k", 9, array(8, 1000, elements)).build()).unwrap();
    let array = file.metadata().get("k").unwrap().as_array().unwrap();
    assert_eq!(array.as_le_bytes(), None);
    assert!(array.iter().map(|value| value.as_str().unwrap()).eq(texts.iter().map(String::as_str)));
    assert_eq!(array.get(39).unwrap().as_str(), Some(&texts[39][..]));
    assert_eq!(array.iter().skip(998).count(), 2);
    assert!(array.get(1000).is_none());
}

#[test]
fn metadata_keeps_the_order_of_the_file() {
    let file = parse(&Builder::new().u32("z", 1).u32("a", 2).text("Upper.Case", "yes").build()).unwrap();
    let keys: Vec<_> = file.metadata().iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["z", "a", "Upper.Case"]);
    assert!(file.metadata().contains("z") && !file.metadata().contains("zz"));
}

#[test]
fn integers_of_any_width_are_read_as_u64() {
    for (type_id, bytes) in
        [(0, vec![7]), (3, vec![7, 0]), (5, vec![7, 0, 0, 0]), (11, vec![7, 0, 0, 0, 0, 0, 0, 0])]
    {
        let file = parse(&Builder::new().entry("k", type_id, bytes).build()).unwrap();
        assert_eq!(file.metadata().u64_of("k").unwrap(), 7);
    }
}

#[test]
fn asking_for_what_is_not_there_names_key_and_type() {
    let file = parse(&Builder::new().text("name", "x").i32("below", -4).build()).unwrap();
    for (key, rule, text) in [
        ("nothing", "missing-key", "nothing"),
        ("name", "wrong-value-type", "an integer, found string"),
        ("below", "negative-value", "-4"),
    ] {
        let error = file.metadata().u64_of(key).unwrap_err();
        assert_eq!(error.rule(), rule);
        assert!(error.to_string().contains(text), "{error}");
    }
    assert_eq!(file.metadata().str_of("below").unwrap_err().rule(), "wrong-value-type");
    assert_eq!(file.metadata().str_of("name").unwrap(), "x");
}

#[test]
fn every_tensor_type_has_the_size_its_blocks_make() {
    for &tensor_type in TensorType::ALL {
        let row = tensor_type.block_elements() * 3;
        let size_bytes = tensor_type.block_bytes() * 3 * 5;
        let file =
            Builder::new().tensor("t", &[row, 5], tensor_type.id(), 0).data(size_bytes as usize).build();
        let file = parse(&file).unwrap();
        let tensor = file.tensor("t").unwrap();
        assert_eq!((tensor.tensor_type(), tensor.size_bytes()), (tensor_type, size_bytes));
        assert_eq!(tensor.element_count(), row * 5);
    }
}

#[test]
fn a_tensor_knows_its_shape_and_place() {
    let file = Builder::new()
        .aligned(64)
        .tensor("first", &[3], 24, 0)
        .tensor("second", &[4, 3, 2, 1], 1, 64)
        .data(112)
        .build();
    let file = parse(&file).unwrap();
    let second = file.tensor("second").unwrap();
    assert_eq!((second.name(), second.index(), &*second.dims()), ("second", 1, &[4, 3, 2, 1][..]));
    assert_eq!((second.offset_bytes(), second.size_bytes()), (64, 48));
    assert_eq!(second.file_offset_bytes(), file.data_offset_bytes() + 64);
    assert_eq!(second.file_range(), file.file_bytes() - 48..file.file_bytes());
    assert_eq!((file.alignment_bytes(), file.data_offset_bytes() % 64, file.data_bytes()), (64, 0, 112));
    assert_eq!(file.tensors().rev().map(|tensor| tensor.name()).collect::<Vec<_>>(), ["second", "first"]);
    assert_eq!(file.tensors().len(), 2);
    assert!(file.tensor("third").is_none() && file.tensor_at(2).is_none());
}

#[test]
fn architecture_and_file_type_are_named() {
    let file = Builder::new().text("general.architecture", "qwen3").u32("general.file_type", 15).build();
    let file = parse(&file).unwrap();
    assert_eq!(file.architecture(), Some("qwen3"));
    assert_eq!(file.file_type(), Some(FileType::from_id(15)));
    assert_eq!(file.file_type().unwrap().to_string(), "Q4_K_M");
    let bare = parse(&Builder::new().build()).unwrap();
    assert_eq!((bare.architecture(), bare.file_type(), bare.split()), (None, None, None));
    assert_eq!(bare.alignment_bytes(), 32);
}

#[test]
fn one_file_of_a_split_model_knows_its_place() {
    let file =
        Builder::new().u16("split.no", 2).u16("split.count", 9).i32("split.tensors.count", 300).build();
    let split = parse(&file).unwrap().split().unwrap();
    assert_eq!((split.number, split.count, split.tensor_count), (2, 9, Some(300)));
}

#[test]
fn a_split_count_of_zero_means_merged_again() {
    let file =
        Builder::new().u16("split.no", 0).u16("split.count", 0).i32("split.tensors.count", 300).build();
    assert_eq!(parse(&file).unwrap().split(), None);
}

#[test]
fn header_only_accepts_a_file_whose_data_is_elsewhere() {
    let header = Builder::new().tensor("t", &[1 << 40], 0, 0).header();
    let file = parse_header_only(&header).unwrap();
    assert!(file.is_header_only());
    assert_eq!(file.tensor("t").unwrap().size_bytes(), 1 << 42);
    assert!(!parse(&Builder::new().build()).unwrap().is_header_only());
}

#[test]
fn limits_can_be_moved() {
    let file = Builder::new().text("key", "12345").tensor("t".repeat(70), &[], 0, 0).data(4).build();
    let defaults = Limits::default();
    let with = |limits| GgufFile::from_bytes(&file, &Options { limits, ..Options::default() });
    assert!(with(Limits { name_bytes: 70, ..defaults.clone() }).is_ok());
    for (limits, rule) in [
        (Limits { key_bytes: 2, ..defaults.clone() }, "key-too-long"),
        (Limits { string_bytes: 4, ..defaults.clone() }, "string-too-long"),
        (Limits { metadata_entries: 0, ..defaults.clone() }, "metadata-count-limit"),
        (Limits { tensors: 0, ..defaults.clone() }, "tensor-count-limit"),
        (Limits { header_bytes: 50, ..defaults.clone() }, "header-too-large"),
        (defaults, "tensor-name-too-long"),
    ] {
        assert_eq!(with(limits).unwrap_err().rule(), rule);
    }
}

#[test]
fn a_header_as_large_as_its_limit_is_accepted_and_one_byte_more_is_not() {
    let file = Builder::new().entry("k", 9, array(ValueType::U8.id(), 5000, [7; 5000])).build();
    let with = |header_bytes| {
        let limits = Limits { header_bytes, ..Limits::default() };
        GgufFile::from_bytes(&file, &Options { limits, ..Options::default() })
    };
    assert!(with(file.len() as u32).is_ok());
    let error = with(file.len() as u32 - 1).unwrap_err();
    assert_eq!(error.rule(), "header-too-large");
    assert!(error.to_string().contains(&file.len().to_string()), "{error}");
}
