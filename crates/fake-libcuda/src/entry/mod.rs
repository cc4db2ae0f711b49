//! The driver's functions, by the names of its library's symbols.

mod address;
mod allocation;
mod copy;
mod device;
mod errors;

use crate::{
    driver::{Answer, Driver, INVALID_DEVICE, INVALID_VALUE, OUT_OF_MEMORY},
    memory::Kind,
};

/// Puts an answer where the caller wants it.
unsafe fn put<T>(place: *mut T, value: T) -> Answer {
    if place.is_null() {
        return Err(INVALID_VALUE);
    }
    // SAFETY: the caller's promise: a live place for such a value.
    unsafe { place.write(value) };
    Ok(())
}

fn check_device(driver: &Driver, device: i32) -> Answer {
    let known = (0..driver.settings.number("devices", 1)).contains(&i64::from(device));
    if known { Ok(()) } else { Err(INVALID_DEVICE) }
}

fn is_integrated(driver: &Driver) -> bool {
    driver.settings.attributes.get(&18) == Some(&1)
}

fn total_bytes(driver: &Driver) -> u64 {
    driver.settings.bytes("total_bytes", 8 << 30)
}

/// An integrated GPU's memory is the machine's, so that all kinds eat from it.
fn free_bytes(driver: &Driver) -> u64 {
    let used = driver.memory.used_bytes(|kind| is_integrated(driver) || kind != Kind::Pinned);
    total_bytes(driver).saturating_sub(used)
}

fn check_room(driver: &Driver, bytes: u64) -> Answer {
    if bytes == 0 {
        return Err(INVALID_VALUE);
    }
    if bytes > free_bytes(driver) { Err(OUT_OF_MEMORY) } else { Ok(()) }
}

/// What a driver refuses in one piece though it has room for it, as that of Linux for Tegra 36.4.7 does.
fn check_one_piece(driver: &Driver, bytes: u64) -> Answer {
    let largest = driver.settings.bytes("largest_alloc_bytes", u64::MAX);
    if bytes > largest { Err(OUT_OF_MEMORY) } else { Ok(()) }
}

/// Records a refused call that frees as a mistake: no correct program makes one.
fn blamed(driver: &mut Driver, what: &str, body: impl FnOnce(&mut Driver) -> Answer) -> Answer {
    let answer = body(driver);
    if let Err(code) = answer {
        driver.wrong(format!("{what} of what is not there: error {code}"));
    }
    answer
}
