//! Loads into memory of the caller.

use std::sync::mpsc;

use plimsoll::{
    Error, MemoryBudget,
    loader::{Destination, Output, Reader, Selection, SliceDestination, UnitStream},
    pool::{StagingPool, StagingPoolOptions},
    units::MIB,
};
use zerocopy::IntoBytes;

use crate::{common::TensorSpec, from_bytes, options, pool};

/// A destination that lends memory and reports every window once it is filled.
struct Reporting {
    memory: Vec<f32>,
    lent: std::ops::Range<usize>,
    filled: mpsc::Sender<(usize, Vec<u8>)>,
}

impl Destination for Reporting {
    fn capacity_bytes(&self) -> u64 {
        self.memory.len() as u64 * 4
    }

    fn window(&mut self, offset_bytes: u64, len: usize) -> plimsoll::Result<&mut [u8]> {
        self.lent = offset_bytes as usize..offset_bytes as usize + len;
        Ok(&mut self.memory.as_mut_bytes()[self.lent.clone()])
    }

    fn filled(&mut self) -> plimsoll::Result<()> {
        self.filled.send((self.lent.start, self.memory.as_bytes()[self.lent.clone()].to_vec())).unwrap();
        Ok(())
    }
}

#[test]
fn a_destination_gets_every_tensor_one_after_the_other_without_padding() {
    let tensors = [TensorSpec::floats("a", 70_001), TensorSpec::floats("b", 3), TensorSpec::floats("c", 500)];
    let model = from_bytes(&tensors, 64);
    let selection = Selection::new(&model, &options(Output::F32, 1000)).unwrap();
    let (filled, windows) = mpsc::channel();
    let destination = Reporting { memory: vec![0.0; 70_504], lent: 0..0, filled };
    let reader = Reader::into_destination(model, selection, pool(), Box::new(destination)).unwrap();
    assert!(UnitStream::new(reader).all(|unit| unit.unwrap().unit().buffer.is_none()));
    let mut written = Vec::new();
    for (start, bytes) in windows {
        assert_eq!(start, written.len());
        written.extend(bytes);
    }
    assert!(written == tensors.map(|tensor| tensor.data).concat());
}

#[test]
fn a_destination_too_small_is_refused_before_anything_is_read() {
    let model = from_bytes(&[TensorSpec::floats("a", 100)], 0);
    let selection = Selection::new(&model, &options(Output::F32, MIB)).unwrap();
    let destination = Box::new(SliceDestination(vec![0_u8; 399]));
    let error = Reader::into_destination(model, selection, pool(), destination).err().unwrap();
    assert_eq!(error.to_string(), "expected into to be at least 400 bytes long, got 399 bytes");
}

/// There is no room for stored bytes until the test makes some: what was refused must be tried again, not skipped.
#[test]
fn a_refused_read_into_a_destination_is_tried_again_and_skips_nothing() {
    let tensors = [TensorSpec::floats("small", 16), TensorSpec::floats("large", 600_000)];
    let model = from_bytes(&tensors, 0);
    let budget = MemoryBudget::new(4 * MIB, 0).unwrap();
    let pool = StagingPool::new(StagingPoolOptions {
        budget: Some(budget.clone()),
        ..StagingPoolOptions::default()
    });
    let selection = Selection::new(&model, &options(Output::F32, 4 * MIB)).unwrap();
    let (filled, windows) = mpsc::channel();
    let destination = Reporting { memory: vec![0.0; 600_016], lent: 0..0, filled };
    let mut reader = Reader::into_destination(model, selection, pool, Box::new(destination)).unwrap();
    let elsewhere = budget.allocate(budget.available_bytes(), "elsewhere").unwrap();
    assert!(matches!(reader.next_unit(), Err(Error::InsufficientMemory { .. })));
    drop(elsewhere);
    while reader.next_unit().unwrap().is_some() {}
    drop(reader);
    let written: Vec<u8> = windows.into_iter().flat_map(|(_, bytes)| bytes).collect();
    assert!(written == tensors.map(|tensor| tensor.data).concat());
}
