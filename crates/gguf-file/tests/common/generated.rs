//! Files of every kind, for properties.

#![allow(dead_code, reason = "each test binary uses its share")]

use std::ops::Range;

use gguf_file::{ForkType, TensorType};
use proptest::{collection::vec, prelude::*};

use crate::common::{Builder, array, string};

/// A value: its type id and its bytes.
pub fn value() -> impl Strategy<Value = (u32, Vec<u8>)> {
    let number = prop_oneof![
        any::<u8>().prop_map(|number| (0, vec![number])),
        any::<i16>().prop_map(|number| (3, number.to_le_bytes().to_vec())),
        any::<u32>().prop_map(|number| (4, number.to_le_bytes().to_vec())),
        any::<bool>().prop_map(|truth| (7, vec![u8::from(truth)])),
        any::<f64>().prop_map(|number| (12, number.to_le_bytes().to_vec())),
        vec(any::<u8>(), 0..20).prop_map(|bytes| (8, string(bytes))),
    ];
    number.prop_recursive(3, 30, 6, |element| {
        (element, 0..6_usize)
            .prop_map(|((type_id, bytes), count)| (9, array(type_id, count as u64, bytes.repeat(count))))
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

/// A right file, and what it is made of.
#[derive(Debug)]
pub struct Generated {
    pub bytes: Vec<u8>,
    pub values: Vec<(u32, Vec<u8>)>,
    pub shapes: Vec<(TensorType, Vec<u64>)>,
    /// Where each tensor lies in the data section.
    pub ranges: Vec<Range<u64>>,
}

pub fn file() -> impl Strategy<Value = Generated> {
    let alignment = (0..8_u32).prop_map(|power| 1 << power);
    (vec(value(), 0..8), vec(shape(), 0..8), alignment, 0..3_u64)
        .prop_map(|(values, shapes, alignment, gap)| written(values, shapes, alignment, gap))
}

fn written(
    values: Vec<(u32, Vec<u8>)>,
    shapes: Vec<(TensorType, Vec<u64>)>,
    alignment: u32,
    gap: u64,
) -> Generated {
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
    Generated { bytes: file.data(end as usize).build(), values, shapes, ranges }
}
