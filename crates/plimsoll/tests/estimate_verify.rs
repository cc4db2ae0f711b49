//! An estimate beside what a process uses: which part shows where, and when it is too much.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use gguf_file::TensorType;
use plimsoll::{
    estimate::{
        ComponentUse, EstimateOptions, ExtraKind, LlamaCppVersion, MemoryUse, ModelMemoryEstimate, Phase,
        Processor, Runtime, TypicalShape, UseComponent, UseSignal, UseVerdict, Verification, VerifyOptions,
        estimate, verify,
    },
    system::ProcessMemory,
    units::MIB,
};

fn needs(name: &str, options: EstimateOptions) -> ModelMemoryEstimate {
    let file = TypicalShape::find(name).unwrap().shape().header(TensorType::Q4K).unwrap();
    // Of one version the guess is what the bound is.
    let version = Some(LlamaCppVersion::V0_5);
    let options = EstimateOptions { context_length: Some(4096), llama_cpp_version: version, ..options };
    estimate(&[&file], &options).unwrap()
}

fn packed() -> EstimateOptions {
    EstimateOptions { repack: Some(Processor::X64), ..EstimateOptions::default() }
}

fn using(anonymous_bytes: u64, mapped_bytes: u64) -> MemoryUse {
    let process = ProcessMemory {
        rss_bytes: anonymous_bytes + mapped_bytes + 50 * MIB,
        peak_rss_bytes: anonymous_bytes + mapped_bytes + 50 * MIB,
        anonymous_bytes,
        file_bytes: mapped_bytes + 50 * MIB,
        shmem_bytes: 0,
    };
    MemoryUse { process, mapped_bytes: Some(mapped_bytes), ..MemoryUse::default() }
}

fn row(found: &Verification, component: UseComponent) -> ComponentUse {
    *found.components.iter().find(|row| row.component == component).unwrap()
}

fn bytes(row: &ComponentUse) -> Option<u64> {
    row.measured.map(|measured| measured.size_bytes)
}

fn extra(needs: &ModelMemoryEstimate, kind: ExtraKind) -> u64 {
    needs.extras.iter().find(|extra| extra.kind == kind).map_or(0, |extra| extra.bound_bytes)
}

#[test]
fn mapped_weights_show_as_pages_of_the_file_and_the_rest_as_anonymous_memory() {
    let needs = needs("llama-3.2-1b", packed());
    let own = extra(&needs, ExtraKind::Repacked)
        + needs.kv_cache_bytes
        + needs.compute_bound_bytes
        + needs.output_bytes;
    let found =
        verify(&needs, Some(&using(0, 0)), &using(own, needs.weights_bytes), &VerifyOptions::default());
    assert_eq!(found.verdict, UseVerdict::Within);
    let mapped = row(&found, UseComponent::MappedWeights);
    assert_eq!((mapped.estimated_bytes, bytes(&mapped)), (needs.weights_bytes, Some(needs.weights_bytes)));
    assert_eq!(mapped.measured.unwrap().signal, UseSignal::MappedFile);
    let buffers = row(&found, UseComponent::Buffers);
    assert_eq!((buffers.estimated_bytes, bytes(&buffers)), (own, Some(own)));
    assert_eq!(buffers.bound_bytes, own + 64 * MIB);
    let all = row(&found, UseComponent::All);
    assert_eq!((all.estimated_bytes, bytes(&all)), (needs.totals.steady_bytes, None));
    assert!(all.missing.is_some());
}

#[test]
fn more_than_the_bound_is_too_much_whatever_another_part_leaves() {
    let needs = needs("llama-3.2-1b", packed());
    let bound = |found: &Verification| row(found, UseComponent::Buffers).bound_bytes;
    let options = VerifyOptions { program_bytes: Some(0), ..VerifyOptions::default() };
    let with = |before: &MemoryUse, own| verify(&needs, Some(before), &using(own, 1), &options);
    let most = bound(&with(&using(0, 0), 0));
    assert_eq!(with(&using(0, 0), most).verdict, UseVerdict::Within);
    assert_eq!(with(&using(0, 0), most + 1).verdict, UseVerdict::Above);
    assert_eq!(with(&using(10, 0), most + 10).verdict, UseVerdict::Within);
    // A process that has no page of the model runs another.
    let other = verify(&needs, Some(&using(0, 0)), &using(0, 0), &options);
    assert_eq!(other.verdict, UseVerdict::NotMeasurable);
    // Without a figure from before, all that the process has counts, and a program is given more.
    let alone = |own| verify(&needs, None, &using(own, 1), &VerifyOptions::default());
    assert_eq!(bound(&alone(0)), most + 128 * MIB);
    assert_eq!(alone(most + 128 * MIB + 1).verdict, UseVerdict::Above);
    // A file that is read and not mapped is memory of the process's own.
    assert_eq!(with(&using(0, 0), most + needs.weights_bytes).verdict, UseVerdict::Above);
}

#[test]
fn the_phases_have_what_is_in_use_in_them() {
    let server = EstimateOptions { runtime: Runtime::LlamaServer, mmap: false, ..packed() };
    let needs = needs("llama-3.2-1b", server);
    let of = |phase| {
        let options = VerifyOptions { phase, program_bytes: Some(0) };
        row(&verify(&needs, None, &using(0, 0), &options), UseComponent::All).bound_bytes
    };
    assert_eq!(of(Phase::Loading), needs.totals.loading_bytes);
    assert_eq!(of(Phase::Steady), needs.totals.steady_bytes);
    assert_eq!(of(Phase::Full), needs.totals.full_bytes);
    let found = verify(&needs, None, &using(0, 0), &VerifyOptions::default());
    assert!(found.components.iter().all(|row| row.component != UseComponent::MappedWeights));
}

#[test]
fn what_no_process_shows_the_machine_lacks() {
    let needs = needs("llama-3.2-1b", EstimateOptions { gpu_layers: 99, ..packed() });
    let options = VerifyOptions::default();
    let headroom = |bytes| MemoryUse { headroom_bytes: Some(bytes), ..using(0, 0) };
    let nothing_tells = verify(&needs, None, &using(0, 0), &options);
    assert_eq!(nothing_tells.verdict, UseVerdict::NotMeasurable);
    assert!(row(&nothing_tells, UseComponent::Gpu).missing.is_some());
    let fallen = |bytes| verify(&needs, Some(&headroom(bytes)), &headroom(0), &options).verdict;
    assert_eq!(fallen(needs.totals.steady_bytes), UseVerdict::Within);
    assert_eq!(fallen(2 * needs.totals.steady_bytes), UseVerdict::Above);
    // By the driver's word for the process, else by that for all of them.
    let gpu = MemoryUse { gpu_bytes: Some(5), nvmap_bytes: Some(9), ..using(0, 0) };
    let (before, all) =
        (MemoryUse { nvmap_bytes: Some(2), ..using(0, 0) }, MemoryUse { gpu_bytes: None, ..gpu });
    let by = |before: Option<&MemoryUse>, after: &MemoryUse| {
        let row = row(&verify(&needs, before, after, &options), UseComponent::Gpu);
        row.measured.map(|measured| (measured.signal, measured.size_bytes))
    };
    assert_eq!(by(None, &gpu), Some((UseSignal::GpuProcesses, 5)));
    assert_eq!(by(Some(&before), &gpu), Some((UseSignal::GpuProcesses, 5)));
    assert_eq!(by(Some(&before), &all), Some((UseSignal::Nvmap, 7)));
    assert_eq!(by(None, &all), None);
}

#[test]
fn pages_of_all_files_stand_for_those_of_a_model_that_nobody_looked_for() {
    let needs = needs("llama-3.2-1b", packed());
    let seen = |bytes| MemoryUse { mapped_bytes: None, ..using(0, bytes) };
    let found = verify(&needs, Some(&seen(0)), &seen(needs.weights_bytes), &VerifyOptions::default());
    let mapped = row(&found, UseComponent::MappedWeights);
    assert_eq!(
        (mapped.measured.map(|measured| measured.signal), bytes(&mapped)),
        (Some(UseSignal::FilePages), Some(needs.weights_bytes))
    );
    // Kernels before 4.5 do not tell the parts.
    let old = MemoryUse {
        process: ProcessMemory { rss_bytes: MIB, ..ProcessMemory::default() },
        ..MemoryUse::default()
    };
    let found = verify(&needs, Some(&old), &old, &VerifyOptions::default());
    assert_eq!(found.verdict, UseVerdict::NotMeasurable);
}
