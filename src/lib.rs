//! The Node.js addon: convert, call the core, convert back. A folder for each room of the core, a file for each class.
//!
//! Nothing here is public API: `lib/` wraps it. Arguments are checked there, once, so that errors are of the
//! caller's realm; here a size is a number that fits.

// The macros of napi-derive generate public items of their own.
#![allow(missing_docs)]
// Exported functions take what JavaScript passes: owned values.
#![allow(clippy::needless_pass_by_value)]
// napi methods return plain values; JavaScript has no use for `#[must_use]`.
#![allow(clippy::must_use_candidate)]
// `f64` is JavaScript's number; sizes are checked to be whole and in range before they come here.
#![allow(clippy::cast_sign_loss)]
// Their text becomes that of `index.d.ts`, where no Markdown code marks are wanted around every name.
#![allow(clippy::doc_markdown)]
// JavaScript reads sizes by the suffix `Bytes`.
#![allow(clippy::struct_field_names)]

mod about;
mod accounts;
mod admission;
mod blackbox;
mod budget;
mod device;
mod error;
mod estimate;
mod js_memory;
mod lease;
mod ledger;
mod loader;
mod mirror;
mod monitor;
mod plan;
mod pool;
mod profile;
mod sync;
mod system;
mod tokens;
mod units;
mod work;
