//! Groups 6 to 17: keys, values, arrays, and the keys the container depends on.

use gguf_file::{Limits, Options, Value, ValueType};

use crate::{
    common::{Builder, array, find, nested_arrays, string},
    parse, parse_with, refused, refused_by, unlimited,
};

const HUGE_LENGTHS: [u64; 4] = [u64::MAX, i64::MAX as u64, (1 << 30) + 1, (1 << 30) - 1];

/// A length that its bytes do not follow.
fn announced(length: u64) -> Vec<u8> {
    length.to_le_bytes().to_vec()
}

#[test]
fn key_too_long() {
    for length in HUGE_LENGTHS.into_iter().chain([65_536]) {
        let file = Builder::new().raw_entry(&announced(length)).data(100).build();
        refused(&file, "key-too-long", 24, &[&length.to_string(), "65535"]);
    }
}

#[test]
fn truncated_in_a_key() {
    // After the length come 100 bytes, of which the type and the value need 5.
    let file = Builder::new().raw_entry(&announced(96)).data(100).build();
    refused(&file, "truncated", 32, &["key", "96 bytes", "95 are left"]);
}

#[test]
fn string_too_long() {
    for length in HUGE_LENGTHS.into_iter().chain([(64 << 20) + 1]) {
        let file = Builder::new().entry("k", ValueType::String.id(), announced(length)).data(100).build();
        refused(&file, "string-too-long", 37, &["\"k\"", &length.to_string(), "67108864"]);
        let file = Builder::new().entry("k", ValueType::Array.id(), array(8, 1, announced(length))).data(100);
        refused(&file.build(), "string-too-long", 49, &["\"k\"", &length.to_string(), "67108864"]);
    }
}

#[test]
fn truncated_in_a_string() {
    let file = Builder::new().entry("k", ValueType::String.id(), announced(101)).data(100).build();
    refused(&file, "truncated", 45, &["string", "101 bytes", "100 are left"]);
    let elements = [string("first"), announced(101)].concat();
    let file = Builder::new().entry("k", ValueType::Array.id(), array(8, 2, elements)).data(100).build();
    refused(&file, "truncated", 70, &["string", "101 bytes", "100 are left"]);
}

/// However much somebody allows, the file has to be there for it.
#[test]
fn truncated_under_raised_limits() {
    for length in [(1 << 30) + 1, (1 << 30) - 1, u64::from(u32::MAX)] {
        let values = [&format!("{length} bytes")[..]];
        let key = Builder::new().raw_entry(&announced(length)).data(100).build();
        refused_by(parse_with(&key, &unlimited()), "truncated", 32, &values);
        let value = Builder::new().entry("k", ValueType::String.id(), announced(length)).data(100).build();
        refused_by(parse_with(&value, &unlimited()), "truncated", 45, &values);
        let name = Builder::new().raw_tensor(&announced(length)).data(100).build();
        refused_by(parse_with(&name, &unlimited()), "truncated", 32, &values);
    }
}

#[test]
fn as_many_elements_as_fit_are_accepted_and_one_more_is_not() {
    for (element_type, size) in [(ValueType::U8, 1), (ValueType::U64, 8), (ValueType::String, 8)] {
        let count = 96 / size;
        let with = |count| array(element_type.id(), count, [0; 96]);
        let entry = |count| Builder::new().entry("k", ValueType::Array.id(), with(count)).build();
        let file = parse(&entry(count)).unwrap();
        assert_eq!(file.metadata().get("k").unwrap().as_array().unwrap().len() as u64, count);
        let values = [&format!("{} array elements", count + 1)[..], "96 bytes"];
        refused(&entry(count + 1), "count-exceeds-file", 41, &values);
    }
}

#[test]
fn count_exceeds_file_in_an_array() {
    for element_type in [ValueType::U8, ValueType::U64, ValueType::String, ValueType::Array, ValueType::Bool]
    {
        for count in HUGE_LENGTHS.into_iter().chain([101, 1 << 61]) {
            let file = Builder::new().entry("k", ValueType::Array.id(), array(element_type.id(), count, []));
            refused(
                &file.data(100).build(),
                "count-exceeds-file",
                41,
                &[&format!("{count} array elements"), "100 bytes"],
            );
        }
    }
}

#[test]
fn unknown_value_type() {
    for type_id in [13, 0xffff_ffff] {
        let file = Builder::new().entry("some.key", type_id, [0; 8]).build();
        refused(&file, "unknown-value-type", 40, &["some.key", &type_id.to_string()]);
    }
}

#[test]
fn unknown_element_type() {
    for type_id in [13, 0xffff_ffff] {
        let file = Builder::new().entry("some.key", ValueType::Array.id(), array(type_id, 1, [0; 8])).build();
        refused(&file, "unknown-element-type", 44, &["some.key", &type_id.to_string()]);
    }
}

#[test]
fn arrays_of_arrays_are_accepted_to_the_depth_of_the_limit() {
    for depth in [1, 2, 4] {
        let file = Builder::new().entry("k", ValueType::Array.id(), nested_arrays(depth)).build();
        let file = parse(&file).unwrap();
        let mut array = file.metadata().get("k").unwrap().as_array().unwrap();
        for _ in 1..depth {
            assert_eq!(array.len(), 1);
            array = array.get(0).unwrap().as_array().unwrap();
        }
        assert!(array.is_empty());
    }
}

#[test]
fn array_too_deep() {
    for depth in [5, 65, 100_000, 2_000_000] {
        let file = Builder::new().entry("k", ValueType::Array.id(), nested_arrays(depth)).build();
        refused(&file, "array-too-deep", 37 + 4 * 12, &["5 deep", "limit is 4"]);
    }
}

#[test]
fn array_too_deep_whatever_the_limit() {
    let limits = Limits { array_depth: u32::MAX, ..Limits::default() };
    let options = Options { limits, ..Options::default() };
    for depth in [65, 2_000_000] {
        let file = Builder::new().entry("k", ValueType::Array.id(), nested_arrays(depth)).build();
        let result = parse_with(&file, &options);
        refused_by(result, "array-too-deep", 37 + 64 * 12, &["65 deep", "limit is 64"]);
    }
    let deepest = Builder::new().entry("k", ValueType::Array.id(), nested_arrays(64)).build();
    assert!(parse_with(&deepest, &options).is_ok());
}

#[test]
fn a_hundred_thousand_empty_arrays_in_one_are_accepted() {
    let empty = array(ValueType::U8.id(), 0, []);
    let value = array(ValueType::Array.id(), 100_000, empty.repeat(100_000));
    let file = parse(&Builder::new().entry("k", ValueType::Array.id(), value).build()).unwrap();
    let array = file.metadata().get("k").unwrap().as_array().unwrap();
    assert!(array.iter().all(|element| element.as_array().is_some_and(|element| element.is_empty())));
    assert_eq!(array.iter().count(), 100_000);
}

#[test]
fn empty_key() {
    refused(&Builder::new().entry("", 0, [1; 9]).build(), "empty-key", 24, &[]);
}

#[test]
fn duplicate_key() {
    let file = Builder::new().u32("twice", 1).u32("once", 1).u32("twice", 2).build();
    refused(&file, "duplicate-key", 32 + 21 + 20, &["twice", "byte 32"]);
}

#[test]
fn key_has_nul() {
    refused(&Builder::new().entry("a\0b", 0, [1]).build(), "key-has-nul", 32, &["a\\x00b"]);
}

#[test]
fn key_not_utf8() {
    refused(&Builder::new().entry(b"a\xffb", 0, [1]).build(), "key-not-utf8", 32, &["a\\xffb"]);
}

#[test]
fn string_values_that_are_not_utf8_are_kept_as_bytes() {
    let file = Builder::new().entry("k", ValueType::String.id(), string(b"\xff\xfe\0")).build();
    let file = parse(&file).unwrap();
    let string = file.metadata().get("k").unwrap().as_string().unwrap();
    assert_eq!(string.as_bytes(), b"\xff\xfe\0");
    assert!(string.to_str().is_err());
    assert_eq!(string.to_string_lossy(), "\u{fffd}\u{fffd}\0");
    assert_eq!(file.metadata().str_of("k").unwrap_err().rule(), "value-not-utf8");
}

#[test]
fn invalid_bool() {
    let alone = Builder::new().entry("k", ValueType::Bool.id(), [2]).build();
    refused(&alone, "invalid-bool", 37, &["boolean 2"]);
    let elements = [0, 1, 1, 255, 0];
    let among = Builder::new().entry("k", ValueType::Array.id(), array(7, 5, elements)).build();
    refused(&among, "invalid-bool", 49 + 3, &["boolean 255"]);
}

#[test]
fn a_hundred_thousand_keys_are_accepted_and_found() {
    let file = (0..100_000_u32).fold(Builder::new(), |file, index| file.u32(&format!("key.{index}"), index));
    let file = parse(&file.build()).unwrap();
    assert_eq!(file.metadata().len(), 100_000);
    for index in [0, 1, 77_777, 99_999] {
        assert_eq!(file.metadata().u64_of(&format!("key.{index}")).unwrap(), index);
    }
    assert!(!file.metadata().contains("key.100000"));
}

#[test]
fn alignment_not_power_of_two() {
    for alignment in [0, 3, 13, 24, 0xffff_ffff] {
        let file = Builder::new().u32("general.alignment", alignment).build();
        refused(&file, "alignment-not-power-of-two", 53, &[&format!("is {alignment} ")]);
    }
}

#[test]
fn alignment_too_large() {
    for alignment in [1 << 31, 1 << 21] {
        let file = Builder::new().u32("general.alignment", alignment).build();
        refused(&file, "alignment-too-large", 53, &[&alignment.to_string(), "1048576"]);
    }
}

#[test]
fn alignment_type() {
    let values: [(ValueType, Vec<u8>); 4] = [
        (ValueType::I32, 32_i32.to_le_bytes().to_vec()),
        (ValueType::U64, 32_u64.to_le_bytes().to_vec()),
        (ValueType::String, string("32")),
        (ValueType::Array, array(4, 1, 32_u32.to_le_bytes())),
    ];
    for (value_type, value) in values {
        let file = Builder::new().entry("general.alignment", value_type.id(), value).build();
        refused(&file, "alignment-type", 53, &["u32", value_type.name()]);
    }
}

#[test]
fn alignments_of_1_and_8_are_accepted() {
    for alignment in [1, 8] {
        let file = Builder::new().aligned(alignment).tensor("t", &[2], 24, 0).data(2).build();
        let file = parse(&file).unwrap();
        assert_eq!(file.alignment_bytes(), u64::from(alignment));
        assert_eq!(file.data_offset_bytes(), file.header_bytes().next_multiple_of(alignment.into()));
    }
}

#[test]
fn split_count_limit() {
    let file = Builder::new().u16("split.count", 65_535).build();
    refused(&file, "split-count-limit", 24 + 8 + 11 + 4, &["65535", "1024"]);
}

#[test]
fn split_number() {
    let file = Builder::new().u16("split.count", 2).u16("split.no", 2).build();
    refused(&file, "split-number", find(&file, b"split.no") + 8 + 4, &["split.no is 2", "is 2"]);
}

#[test]
fn split_tensor_count() {
    for (count, declared) in [(1, 2), (2, 0)] {
        let file = Builder::new()
            .u16("split.count", count)
            .i32("split.tensors.count", declared)
            .tensor("t", &[], 0, 0)
            .data(4)
            .build();
        let offset = find(&file, b"split.tensors.count") + 19 + 4;
        refused(&file, "split-tensor-count", offset, &[&format!("is {declared} "), "1 tensors"]);
    }
}

#[test]
fn negative_value() {
    let file = Builder::new().u16("split.count", 2).i32("split.tensors.count", -1).build();
    refused(&file, "negative-value", find(&file, b"split.tensors.count") + 19 + 4, &["-1"]);
}

#[test]
fn wrong_value_type() {
    let file = Builder::new().u32("general.architecture", 1).build();
    refused(&file, "wrong-value-type", 56, &["general.architecture", "a string", "u32"]);
    let file = Builder::new().text("general.file_type", "15").build();
    refused(&file, "wrong-value-type", 53, &["general.file_type", "an integer", "string"]);
}

#[test]
fn value_not_utf8() {
    let file = Builder::new().entry("general.architecture", 8, string(b"ll\xffma")).build();
    refused(&file, "value-not-utf8", 56, &["general.architecture"]);
}

#[test]
fn the_scores_of_a_tokenizer_come_in_the_type_the_file_declares() {
    let value = array(ValueType::I8.id(), 3, [0xff, 0, 1]);
    let file = Builder::new().entry("tokenizer.ggml.scores", ValueType::Array.id(), value).build();
    let file = parse(&file).unwrap();
    let scores = file.metadata().get("tokenizer.ggml.scores").unwrap().as_array().unwrap();
    assert_eq!(scores.element_type(), ValueType::I8);
    assert_eq!(scores.iter().collect::<Vec<_>>(), [Value::I8(-1), Value::I8(0), Value::I8(1)]);
}
