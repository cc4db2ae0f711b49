//! An estimate beside what a process uses.

use napi::Env;
use napi_derive::napi;
use plimsoll::{
    estimate::{
        ComponentUse, DeviceBytes, ExtraBytes, HeldParts, MeasuredBytes, MemoryUse, UseComponent, UseSignal,
        UseVerdict, Verification, VerifyOptions, verify,
    },
    system::ProcessMemory,
};

use crate::{
    error::to_js,
    mirror::{kind_of, mirror},
};

mirror! {
    pub struct NativeMeasuredBytes of MeasuredBytes {
        pub size_bytes: f64,
        pub signal: UseSignal as "'mapped-file' | 'file-pages' | 'anonymous' | 'gpu-processes' | 'nvmap' | 'headroom'",
    }
}

mirror! {
    pub struct NativeComponentUse of ComponentUse {
        pub component: UseComponent as "'mapped-weights' | 'buffers' | 'gpu' | 'all'",
        pub estimated_bytes: f64,
        pub bound_bytes: f64,
        pub measured: Option<NativeMeasuredBytes>,
        pub missing: Option<String>,
    }
}

mirror! {
    pub struct NativeVerification of Verification {
        pub components: Vec<NativeComponentUse>,
        pub verdict: UseVerdict as "'within' | 'above' | 'not-measurable'",
    }
}

/// What a device holds of an estimate.
#[napi(object, object_to_js = false)]
pub struct NativeHeldDevice {
    pub device: String,
    pub weights_bytes: f64,
    pub mapped_bytes: f64,
    pub kv_cache_bytes: f64,
    pub state_bytes: f64,
    pub compute_bound_bytes: f64,
    pub peak_bytes: f64,
}

/// What comes on top of it.
#[napi(object, object_to_js = false)]
pub struct NativeHeldExtra {
    pub kind: String,
    pub phase: String,
    pub size_bytes: f64,
    pub bound_bytes: f64,
    pub bounded: bool,
    pub gpu_bytes: f64,
}

/// The parts of an estimate that show in memory.
#[napi(object, object_to_js = false)]
pub struct NativeHeldParts {
    pub devices: Vec<NativeHeldDevice>,
    pub extras: Vec<NativeHeldExtra>,
    pub compute_bytes: f64,
    pub output_bytes: f64,
}

/// What was measured.
#[napi(object, object_to_js = false)]
pub struct NativeMemoryUse {
    pub rss_bytes: f64,
    pub anonymous_bytes: f64,
    pub file_bytes: f64,
    pub shmem_bytes: f64,
    pub mapped_bytes: Option<f64>,
    pub gpu_bytes: Option<f64>,
    pub nvmap_bytes: Option<f64>,
    pub headroom_bytes: Option<f64>,
}

impl NativeMemoryUse {
    fn core(&self) -> MemoryUse {
        let bytes = |given: Option<f64>| given.map(|bytes| bytes as u64);
        MemoryUse {
            process: ProcessMemory {
                rss_bytes: self.rss_bytes as u64,
                peak_rss_bytes: self.rss_bytes as u64,
                anonymous_bytes: self.anonymous_bytes as u64,
                file_bytes: self.file_bytes as u64,
                shmem_bytes: self.shmem_bytes as u64,
            },
            mapped_bytes: bytes(self.mapped_bytes),
            gpu_bytes: bytes(self.gpu_bytes),
            nvmap_bytes: bytes(self.nvmap_bytes),
            headroom_bytes: bytes(self.headroom_bytes),
        }
    }
}

/// Compares what a process uses with an estimate.
#[napi(catch_unwind)]
pub fn verify_use(
    env: Env,
    estimate: NativeHeldParts,
    before: Option<NativeMemoryUse>,
    after: NativeMemoryUse,
    phase: String,
    program_bytes: Option<f64>,
) -> napi::Result<NativeVerification> {
    let run = || {
        let devices = estimate.devices.iter().map(|device| {
            Ok(DeviceBytes {
                device: kind_of("device", &device.device)?,
                weights_bytes: device.weights_bytes as u64,
                mapped_bytes: device.mapped_bytes as u64,
                kv_cache_bytes: device.kv_cache_bytes as u64,
                state_bytes: device.state_bytes as u64,
                compute_bound_bytes: device.compute_bound_bytes as u64,
                peak_bytes: device.peak_bytes as u64,
            })
        });
        let extras = estimate.extras.iter().map(|extra| {
            Ok(ExtraBytes {
                kind: kind_of("kind", &extra.kind)?,
                phase: kind_of("phase", &extra.phase)?,
                size_bytes: extra.size_bytes as u64,
                bound_bytes: extra.bound_bytes as u64,
                is_bound: extra.bounded,
                gpu_bytes: extra.gpu_bytes as u64,
            })
        });
        let held = HeldParts {
            devices: &devices.collect::<plimsoll::Result<Vec<_>>>()?,
            extras: &extras.collect::<plimsoll::Result<Vec<_>>>()?,
            compute_bytes: estimate.compute_bytes as u64,
            output_bytes: estimate.output_bytes as u64,
        };
        let options = VerifyOptions {
            phase: kind_of("phase", &phase)?,
            program_bytes: program_bytes.map(|bytes| bytes as u64),
        };
        let before = before.as_ref().map(NativeMemoryUse::core);
        Ok(verify(held, before.as_ref(), &after.core(), &options).into())
    };
    run().map_err(|error| to_js(env, &error))
}
