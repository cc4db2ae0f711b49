//! What holds for all files.

mod common;

use common::{Builder, parse, parse_header_only, read_everything, string};
use gguf_file::{ForkType, TensorType};
use proptest::{collection::vec, prelude::*};

/// A value: its type id and its bytes.
fn value() -> impl Strategy<Value = (u32, Vec<u8>)> {
    let number = prop_oneof![
        any::<u8>().prop_map(|number| (0, vec![number])),
        any::<i16>().prop_map(|number| (3, number.to_le_bytes().to_vec())),
        any::<u32>().prop_map(|number| (4, number.to_le_bytes().to_vec())),
        any::<bool>().prop_map(|truth| (7, vec![u8::from(truth)])),
        any::<f64>().prop_map(|number| (12, number.to_le_bytes().to_vec())),
        vec(any::<u8>(), 0..20).prop_map(|bytes| (8, string(bytes))),
    ];
    number.prop_recursive(3, 30, 6, |element| {
        (element, 0..6_usize).prop_map(|((type_id, bytes), count)| {
            (9, common::array(type_id, count as u64, bytes.repeat(count)))
        })
    })
}

/// Shapes small enough to be followed by their data.
fn shape() -> impl Strategy<Value = (TensorType, Vec<u64>)> {
    (proptest::sample::select(TensorType::ALL), 0..4_u64, vec(0..4_u64, 0..=3)).prop_map(
        |(tensor_type, blocks, mut dims)| {
            dims.insert(0, blocks * tensor_type.block_elements());
            (tensor_type, dims)
        },
    )
}

proptest! {
    // A file found to fail belongs among the tests by name, not in a list of seeds.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_written_is_what_is_read(
        values in vec(value(), 0..8),
        shapes in vec(shape(), 0..8),
        alignment in (0..8_u32).prop_map(|power| 1 << power),
        gap in 0..3_u64,
    ) {
        // A gap behind a type whose id a fork uses may be as large as that fork's type would have it.
        let forked = |(kind, _): &(TensorType, _)| ForkType::with_id(kind.id()).next().is_some();
        let gap = if shapes.iter().any(forked) { 0 } else { gap };
        let mut file = Builder::new().aligned(alignment);
        for (index, (type_id, bytes)) in values.iter().enumerate() {
            file = file.entry(format!("key.{index}"), *type_id, bytes);
        }
        let (mut ranges, mut end) = (Vec::new(), 0_u64);
        for (index, (tensor_type, dims)) in shapes.iter().enumerate() {
            let offset = end.next_multiple_of(alignment.into()) + gap * u64::from(alignment);
            file = file.tensor(format!("tensor.{index}"), dims, tensor_type.id(), offset);
            let blocks = dims.iter().product::<u64>() / tensor_type.block_elements();
            end = offset + blocks * tensor_type.block_bytes();
            ranges.push(offset..end);
        }
        let bytes = file.data(end as usize).build();
        let file = parse(&bytes).unwrap();
        read_everything(&file);
        prop_assert_eq!(file.metadata().len(), values.len() + 1);
        for (index, (type_id, _)) in values.iter().enumerate() {
            let value = file.metadata().get(&format!("key.{index}")).unwrap();
            prop_assert_eq!(value.value_type().id(), *type_id);
        }
        prop_assert_eq!(file.tensor_count(), shapes.len());
        for ((tensor, (tensor_type, dims)), range) in file.tensors().zip(&shapes).zip(&ranges) {
            prop_assert_eq!((tensor.tensor_type(), &*tensor.dims()), (*tensor_type, &dims[..]));
            prop_assert_eq!((tensor.offset_bytes(), tensor.size_bytes()), (range.start, range.end - range.start));
        }
        let with_data = file.tensors().filter(|tensor| tensor.size_bytes() > 0);
        if let Some(needed) = with_data.map(|tensor| tensor.file_range().end).max() {
            prop_assert!(parse(&bytes[..needed as usize - 1]).is_err());
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..400)) {
        let mut file = Builder::new().header();
        file[8] = bytes.len() as u8 % 4;
        file[16] = bytes.len() as u8 % 5;
        file.extend(&bytes);
        for result in [parse(&bytes), parse(&file), parse_header_only(&file)] {
            let _ = result.map(|file| read_everything(&file));
        }
    }
}
