//! A child of this process.

unsafe extern "C" {
    fn fork() -> i32;
    fn waitpid(pid: i32, status: *mut i32, options: i32) -> i32;
    fn _exit(status: i32) -> !;
}

/// Runs `body` in a forked child, to which `held` comes as a copy of the whole process does. Gives it back with what
/// the child ended with: 0 to 255, or a signal's number times -1.
pub fn in_child<T>(held: T, body: impl FnOnce(T) -> u8) -> (T, i32) {
    // SAFETY: the child runs the body and leaves without the handlers of its parent.
    let child = unsafe { fork() };
    if child == 0 {
        let status = body(held);
        // SAFETY: ends the child.
        unsafe { _exit(status.into()) };
    }
    let mut status = 0;
    // SAFETY: waits for the child just made.
    assert_eq!(unsafe { waitpid(child, &raw mut status, 0) }, child);
    let signal = status & 0x7f;
    (held, if signal == 0 { status >> 8 } else { -signal })
}
