//! What the driver's result codes mean. They stay plain integers: a newer driver has codes that no list knows.

/// A result of the driver, 0 for success.
pub(super) type CuResult = i32;

pub(super) const SUCCESS: CuResult = 0;
pub(super) const INVALID_VALUE: CuResult = 1;
pub(super) const OUT_OF_MEMORY: CuResult = 2;

/// Whether a code means that the context, and every address in it, is gone for good. CUDA calls these errors sticky.
pub(super) const fn loses_device(code: CuResult) -> bool {
    matches!(code, 4 | 214 | 220 | 226 | 700 | 702 | 709 | 710 | 714..=719 | 721)
}

/// What to do about a code, where that is known.
pub(super) const fn advice(code: CuResult) -> Option<&'static str> {
    Some(match code {
        3 => "a process that was forked from one that uses CUDA cannot use it: start a new program instead",
        4 => "the process is ending, and the driver has already shut down",
        34 => {
            "this libcuda is the toolkit's stub and not a driver: install the driver, or take the folder `stubs` out \
             of LD_LIBRARY_PATH"
        }
        46 => "another process holds the device in exclusive mode",
        100 => "no GPU is there for this process: in a container, docker run --runtime nvidia ...",
        101 => "there is no device of that number: see nvidia-smi -L and CUDA_VISIBLE_DEVICES",
        201 => "the context belongs to another process, or was destroyed by a cudaDeviceReset",
        800 => "the system does not let this process do that: see its user's groups (video, render)",
        801 => "this device, or its driver, has no such feature",
        802 => "the GPU is not ready yet: see that nvidia-fabricmanager runs",
        803 => {
            "libcuda and the kernel's driver are of different versions: restart after an update; in a container, \
             mount the host's library"
        }
        804 => "the library in the folder `compat` does not serve this GPU: take it out of LD_LIBRARY_PATH",
        999 => {
            "see dmesg; on Jetson, whether this user is in the groups video and render; elsewhere, whether nvidia-uvm \
             is loaded (nvidia-modprobe -u)"
        }
        code if loses_device(code) => {
            "device lost: a fault ended this process's context on the GPU, and all memory in it is gone; start the \
             process anew"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_of_a_kernel_lose_the_device_and_plain_refusals_do_not() {
        for code in [700, 709, 715, 719] {
            assert!(loses_device(code) && advice(code).unwrap().contains("device lost"), "{code}");
        }
        for code in [SUCCESS, INVALID_VALUE, OUT_OF_MEMORY, 34, 100, 201, 600, 801, 999, 12345, -1] {
            assert!(!loses_device(code), "{code}");
        }
    }
}
