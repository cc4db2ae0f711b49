//! Whose turn it is.

mod native_admission;
