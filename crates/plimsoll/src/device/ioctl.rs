//! Calls of drivers, with the C structs they take.

use std::os::fd::BorrowedFd;

use rustix::io::{Errno, Result};
use zerocopy::{FromBytes, IntoBytes};

use super::kernel::Kernel;

/// Makes one call with a C struct, again where the kernel says so, and returns what the call returns. The driver sees
/// and changes the bytes of `argument`, which are as given at every try.
///
/// # Errors
///
/// The driver's errno, except those by which it asks to be called again.
///
/// # Safety
///
/// `T` must be the struct of `request` (`#[repr(C)]`), and pointers in it must be valid for what the driver does with
/// them.
pub(super) unsafe fn call<T: FromBytes + IntoBytes + Copy>(
    kernel: &dyn Kernel,
    fd: BorrowedFd<'_>,
    request: u32,
    argument: &mut T,
) -> Result<i32> {
    let given = *argument;
    loop {
        *argument = given;
        // SAFETY: as the caller vouches.
        match unsafe { kernel.ioctl(fd, request, argument.as_mut_bytes()) } {
            Err(Errno::INTR | Errno::AGAIN) => {}
            result => return result,
        }
    }
}
