//! An estimate beside what a process really uses.

use super::{
    extras::{ExtraBytes, ExtraKind, Phase},
    model_memory::ModelMemoryEstimate,
    placement::{ComputeDevice, DeviceBytes},
};
use crate::{
    system::ProcessMemory,
    units::{KIB, MIB},
};

/// What a process, and the machine it runs on, have in use at one moment. What nobody tells is `None`, not 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemoryUse {
    /// What the process has resident.
    pub process: ProcessMemory,
    /// Of that, pages of the model's files.
    pub mapped_bytes: Option<u64>,
    /// What the process holds on GPUs, where the driver tells it.
    pub gpu_bytes: Option<u64>,
    /// What all processes hold of a Jetson's GPU and engines (`NvMapMemUsed`).
    pub nvmap_bytes: Option<u64>,
    /// What the machine can give.
    pub headroom_bytes: Option<u64>,
}

/// A part of an estimate that shows by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UseComponent {
    /// Weights that are pages of the mapped file.
    MappedWeights,
    /// Memory of the process's own: all that is neither mapped nor on a GPU.
    Buffers,
    /// What is on a GPU.
    Gpu,
    /// All of it.
    All,
}

names!(UseComponent {
    MappedWeights => "mapped-weights",
    Buffers => "buffers",
    Gpu => "gpu",
    All => "all",
});

/// What a figure was measured by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UseSignal {
    /// Resident pages of the model's files, in the maps of the process.
    MappedFile,
    /// Resident pages of all files, those of programs and libraries among them.
    FilePages,
    /// Anonymous and shared memory of the process.
    Anonymous,
    /// What a driver says of each process.
    GpuProcesses,
    /// `NvMapMemUsed`, of all processes together.
    Nvmap,
    /// How far the headroom of the machine has fallen, whoever took it.
    Headroom,
}

names!(UseSignal {
    MappedFile => "mapped-file",
    FilePages => "file-pages",
    Anonymous => "anonymous",
    GpuProcesses => "gpu-processes",
    Nvmap => "nvmap",
    Headroom => "headroom",
});

/// A figure, and what says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeasuredBytes {
    /// What was measured.
    pub size_bytes: u64,
    /// By what.
    pub signal: UseSignal,
}

/// One component, estimated and measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ComponentUse {
    /// Which it is.
    pub component: UseComponent,
    /// As near as the estimate knows it.
    pub estimated_bytes: u64,
    /// What it may take at most: its bound in the estimate, and what the program takes beside the model where the signal shows
    /// that too.
    pub bound_bytes: u64,
    /// What it takes.
    pub measured: Option<MeasuredBytes>,
    /// Why that is not known.
    pub missing: Option<&'static str>,
}

/// Whether a process uses what its estimate says at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UseVerdict {
    /// It uses no more.
    Within,
    /// It uses more.
    Above,
    /// A part of it cannot be measured, and nothing stands for it.
    NotMeasurable,
}

names!(UseVerdict {
    Within => "within",
    Above => "above",
    NotMeasurable => "not-measurable",
});

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// The components of which the model has something.
    pub components: Vec<ComponentUse>,
    /// Whether it is what the estimate says at most.
    pub verdict: UseVerdict,
}

/// The parts of an estimate that show in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldParts<'a> {
    /// What each device holds.
    pub devices: &'a [DeviceBytes],
    /// What comes on top.
    pub extras: &'a [ExtraBytes],
    /// The compute buffer, as near as it is known.
    pub compute_bytes: u64,
    /// Logits and embeddings that a caller may read.
    pub output_bytes: u64,
}

impl<'a> From<&'a ModelMemoryEstimate> for HeldParts<'a> {
    fn from(estimate: &'a ModelMemoryEstimate) -> Self {
        Self {
            devices: &estimate.devices,
            extras: &estimate.extras,
            compute_bytes: estimate.compute_bytes,
            output_bytes: estimate.output_bytes,
        }
    }
}

/// How an estimate is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifyOptions {
    /// When the use was measured. Default: [`Phase::Steady`], with a context.
    pub phase: Phase,
    /// What the program takes beside the model: its heap, the vocabulary, stacks of threads. Default: 64 MiB on top of what it had
    /// before the model was loaded, 128 MiB where that was not measured.
    pub program_bytes: Option<u64>,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self { phase: Phase::Steady, program_bytes: None }
    }
}

const PROGRAM_GROWTH_BYTES: u64 = 64 * MIB;
const PROGRAM_BYTES: u64 = 128 * MIB;

/// A map begins and ends on whole pages, of 64 KiB at most.
const MAP_ENDS_BYTES: u64 = 2 * 64 * KIB;

/// Compares what a process uses now with an estimate. With what it used `before` the model was loaded, growth is compared, else
/// all that it has.
///
/// The kernel gives pages when they are touched, so less than the estimate shows until a whole micro-batch was computed at the end
/// of a full context. A verdict is about more.
#[must_use]
pub fn verify<'a>(
    estimate: impl Into<HeldParts<'a>>,
    before: Option<&MemoryUse>,
    after: &MemoryUse,
    options: &VerifyOptions,
) -> Verification {
    let otherwise = if before.is_some() { PROGRAM_GROWTH_BYTES } else { PROGRAM_BYTES };
    let program_bytes = options.program_bytes.unwrap_or(otherwise);
    let [mapped, buffers, gpu] = expected(&estimate.into(), options.phase);
    let with_program = |(estimated, bound): Expected| (estimated, bound.saturating_add(program_bytes));
    let all = [mapped, buffers, gpu].into_iter().fold((0, 0), plus);
    // Who was not listed before had nothing.
    let growth =
        |of: fn(&MemoryUse) -> Option<u64>| Some(of(after)?.saturating_sub(before.and_then(of).unwrap_or(0)));

    let mut components = Vec::new();
    let mapped_bytes = growth(|seen| seen.mapped_bytes);
    let by_file = mapped_bytes.map(by(UseSignal::MappedFile));
    let by_pages = growth(|seen| parts(seen).map(|process| process.file_bytes));
    let measured = by_file.or(by_pages.map(by(UseSignal::FilePages)));
    let bound = if by_file.is_some() { plus(mapped, (0, MAP_ENDS_BYTES)) } else { with_program(mapped) };
    if mapped.1 > 0 {
        components.push(row(UseComponent::MappedWeights, bound, measured, NO_PARTS));
    }
    let own =
        growth(|seen| parts(seen).map(|process| process.anonymous_bytes.saturating_add(process.shmem_bytes)));
    let own = own.map(by(UseSignal::Anonymous));
    components.push(row(UseComponent::Buffers, with_program(buffers), own, NO_PARTS));
    if gpu.1 > 0 {
        let by_process = growth(|seen| seen.gpu_bytes).map(by(UseSignal::GpuProcesses));
        // That is of all processes: without a figure from before nobody's.
        let by_driver = before
            .and_then(|before| before.nvmap_bytes)
            .and(growth(|seen| seen.nvmap_bytes))
            .map(by(UseSignal::Nvmap));
        components.push(row(UseComponent::Gpu, gpu, by_process.or(by_driver), NO_GPU));
    }
    let of_process = verdict(&components);
    let fall = before.and_then(|before| Some(before.headroom_bytes?.saturating_sub(after.headroom_bytes?)));
    let fall = fall.map(by(UseSignal::Headroom));
    let no_fall = if before.is_some() { NO_HEADROOM } else { NO_BEFORE };
    components.push(row(UseComponent::All, with_program(all), fall, no_fall));
    let verdict = match of_process {
        // What no process shows, the machine lacks all the same.
        UseVerdict::NotMeasurable => components.last().map_or(of_process, |all| verdict(&[*all])),
        known => known,
    };
    Verification { components, verdict }
}

const NO_PARTS: &str = "the kernel does not tell the parts of resident memory";
const NO_GPU: &str =
    "no driver tells what a process holds on the GPU, and NvMapMemUsed is not there from before and after";
const NO_HEADROOM: &str = "the headroom of the machine is not known";
const NO_BEFORE: &str = "nothing was measured before the model was loaded";

/// The best figure, and the bound.
type Expected = (u64, u64);

const fn plus(a: Expected, b: Expected) -> Expected {
    (a.0.saturating_add(b.0), a.1.saturating_add(b.1))
}

/// A figure of that signal.
fn by(signal: UseSignal) -> impl Fn(u64) -> MeasuredBytes {
    move |size_bytes| MeasuredBytes { size_bytes, signal }
}

/// Mapped weights, buffers, and what is on a GPU.
fn expected(estimate: &HeldParts<'_>, phase: Phase) -> [Expected; 3] {
    let find = |device| estimate.devices.iter().find(|found| found.device == device);
    let (cpu, gpu) = (find(ComputeDevice::Cpu), find(ComputeDevice::Gpu));
    let has_context = phase != Phase::Loading;
    let exact = |bytes: u64| (bytes, bytes);
    let of_device = |device: &DeviceBytes, best_bytes: u64| {
        let weights = exact(device.weights_bytes.saturating_sub(device.mapped_bytes));
        if !has_context {
            return weights;
        }
        let caches = exact(device.kv_cache_bytes.saturating_add(device.state_bytes));
        plus(plus(weights, caches), (best_bytes, device.compute_bound_bytes))
    };
    let mut mapped = exact(cpu.map_or(0, |cpu| cpu.mapped_bytes));
    let mut buffers = cpu.map_or((0, 0), |cpu| {
        // On a GPU the best figure is that of its own buffer.
        of_device(cpu, if gpu.is_some() { cpu.compute_bound_bytes } else { estimate.compute_bytes })
    });
    if has_context {
        buffers = plus(buffers, exact(estimate.output_bytes));
    }
    let mut on_gpu = gpu.map_or((0, 0), |gpu| of_device(gpu, estimate.compute_bytes));
    for extra in estimate.extras {
        let bytes = (extra.size_bytes, extra.bound_bytes);
        let most = (0, extra.bound_bytes);
        let is_in_use = match (extra.phase, phase) {
            (Phase::Steady, _) | (Phase::Loading, Phase::Loading) | (Phase::Full, Phase::Full) => true,
            (Phase::Loading | Phase::Full, _) => false,
        };
        match extra.kind {
            // Its pages stay until the kernel needs them for something else.
            ExtraKind::MappedWeights => mapped = plus(mapped, most),
            _ if !is_in_use => {}
            ExtraKind::CudaOverhead => on_gpu = plus(on_gpu, bytes),
            // They are on either side, wholly or in part.
            ExtraKind::Projector
            | ExtraKind::ImageBuffer
            | ExtraKind::Draft
            | ExtraKind::Mtp
            | ExtraKind::Adapters
                if gpu.is_some() =>
            {
                buffers = plus(buffers, most);
                on_gpu = plus(on_gpu, bytes);
            }
            _ => buffers = plus(buffers, bytes),
        }
    }
    [mapped, buffers, on_gpu]
}

/// The parts of resident memory; `None` of a kernel that does not tell them.
fn parts(seen: &MemoryUse) -> Option<ProcessMemory> {
    let process = seen.process;
    let has_parts = process.anonymous_bytes | process.file_bytes | process.shmem_bytes > 0;
    (has_parts || process.rss_bytes == 0).then_some(process)
}

fn row(
    component: UseComponent,
    (estimated_bytes, bound_bytes): Expected,
    measured: Option<MeasuredBytes>,
    missing: &'static str,
) -> ComponentUse {
    ComponentUse {
        component,
        estimated_bytes,
        bound_bytes,
        measured,
        missing: measured.is_none().then_some(missing),
    }
}

fn verdict(components: &[ComponentUse]) -> UseVerdict {
    let is_above =
        |found: &ComponentUse| found.measured.is_some_and(|measured| measured.size_bytes > found.bound_bytes);
    if components.iter().any(is_above) {
        return UseVerdict::Above;
    }
    // A process that has none of the model's pages does not run it.
    let is_other = |found: &ComponentUse| {
        let has_none = found.measured.is_some_and(|measured| measured.size_bytes == 0);
        found.component == UseComponent::MappedWeights && found.estimated_bytes > 0 && has_none
    };
    let is_complete = components.iter().all(|found| found.measured.is_some() && !is_other(found));
    if is_complete { UseVerdict::Within } else { UseVerdict::NotMeasurable }
}
