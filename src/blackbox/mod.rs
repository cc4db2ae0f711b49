//! The black box.

mod native_black_box;
mod reading;
