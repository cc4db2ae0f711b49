//! Whether everything that shall run fits together.

mod input;
mod load_check;
mod report;
