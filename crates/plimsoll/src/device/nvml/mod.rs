//! What each process holds on a GPU, by NVIDIA's management library: `libnvidia-ml.so.1`, opened when asked for and never
//! linked. It is for the boards on which nvmap tells nothing (Thor, GB10, any PC), and it may be missing everywhere.
//!
//! The library tells ids as the kernel's first namespace has them: in a container they are other processes' or nobody's.

mod holders;
mod process;
mod table;

pub use holders::{GpuProcess, gpu_processes, nvml_processes};
