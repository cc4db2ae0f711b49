//! The Node.js addon as it is loaded: all of it is `src/`.

extern crate plimsoll_addon as _;
