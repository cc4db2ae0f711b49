//! The NPU's back end on a board that is played under its system calls.

// A test fails by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod as_a_back_end;
mod domains;
mod exports;
mod failures;
#[path = "../fake_rknpu/mod.rs"]
mod fake_rknpu;
mod imports;
mod refusals;
#[path = "../suite/mod.rs"]
mod suite;
mod syncs;
mod the_board_itself;
mod the_lock;
mod the_node;
mod the_window;

use std::fs::File;

use fake_rknpu::Model;
use plimsoll::{
    Error, Result,
    device::{Backend, DeviceMemory, Request, RknpuBackend, rknpu::DomainId},
};
use rustix::fs::MemfdFlags;

/// Where the unit of a board's version ends the rule by sizes.
fn model(version: u32) -> Model {
    Model { version, ..Model::default() }
}

fn take(backend: &RknpuBackend, bytes: u64) -> Result<Box<dyn DeviceMemory>> {
    backend.take(&Request::new(bytes, "a test"))
}

/// As many slabs as there are.
fn fill(backend: &RknpuBackend, bytes: u64) -> Vec<Box<dyn DeviceMemory>> {
    std::iter::from_fn(|| take(backend, bytes).ok()).collect()
}

fn domain(id: u8) -> DomainId {
    DomainId::new(id).unwrap()
}

#[track_caller]
fn hole_of(refusal: &Error) -> u64 {
    let Error::InsufficientMemory { largest_free_bytes, .. } = refusal else { panic!("{refusal}") };
    *largest_free_bytes
}

fn foreign_buffer(bytes: u64) -> File {
    let file = File::from(rustix::fs::memfd_create("dma-buf", MemfdFlags::CLOEXEC).unwrap());
    file.set_len(bytes).unwrap();
    file
}
