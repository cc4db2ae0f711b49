//! One budget for several processes: who holds how much of the board, in a file in RAM that all of them share.
//!
//! A process takes a [`Seat`]; a budget that [shares](crate::budget::Sharers) by it grants nothing that others hold. No total
//! is stored: each counts what stands in the slots, after it has written what it asks for. So no lock is held while anything is
//! granted, and a process that is stopped or killed at any instruction holds up nobody. A slot lives as long as the lock of its
//! process, which the kernel drops with it. The bytes of the dead count until the machine has them back.
//!
//! ```no_run
//! use plimsoll::{ledger::{LedgerOptions, Seat}, system::available_bytes};
//!
//! let seat = Seat::take_in(&LedgerOptions::default(), "llama-server", Box::new(available_bytes))?;
//! for holder in seat.holders()? {
//!     println!("{holder}");
//! }
//! # Ok::<(), plimsoll::Error>(())
//! ```

mod asks;
mod cell;
mod drain;
mod file;
mod fork;
mod header;
mod holder;
mod identity;
mod layout;
mod listing;
mod locks;
mod low_descriptor;
mod map;
mod notice;
mod options;
mod orphans;
mod place;
mod points;
mod process_seats;
mod queues;
mod seat;
mod seat_queue;
mod seated;
mod share;
mod slots;
mod state;
mod survey;

pub use holder::LedgerHolder;
pub(crate) use identity::{boot_id, now_ns};
pub use layout::SLOT_COUNT;
pub(crate) use locks::{Lock, is_locked, try_lock, unlock};
pub use low_descriptor::reserve_descriptor;
pub use options::LedgerOptions;
pub use points::Point;
#[cfg(debug_assertions)]
#[doc(hidden)] // For tests.
pub use points::on_reach;
pub use process_seats::process_seat;
pub use seat::{Measure, Seat};
pub use share::{LedgerWaiting, Loads, SlotShare};
pub use survey::survey;
