//! The ledger that processes share.

mod holders;
mod options;

pub use options::NativeLedgerOptions;
