//! A `libcuda.so.1` without a GPU: the driver's functions over a model of its documented behaviour.
//!
//! It has devices' attributes, a limit of memory, contexts that must be current, streams that work late, and memory
//! that knows its size. What a program does wrong (a double free, work without a context, memory left in a released
//! context) is an error where the driver documents one, and is written down. Calls can be told to fail.
//!
//! One library is one driver. A test that wants a driver of its own opens a copy of the file.

// The driver's interface: raw pointers from the caller, which it answers for, and the driver's names.
#![allow(unsafe_code, non_snake_case, clippy::missing_safety_doc, missing_docs)]

mod control;
mod driver;
mod entry;
mod memory;
mod nvml;
mod settings;
mod stream;
