//! Calls that fail, and devices that are lost.

use plimsoll::{
    Error, Result,
    budget::Promised,
    device::{Backend, CudaBackend, CudaChunks, CudaKind, CudaOptions, CudaStaging, DeviceMemory, Request},
    units::{GIB, MIB},
};

use crate::fake::Fake;

/// Everything that a program may do with a device, of a few sizes.
fn use_device(options: CudaOptions) -> Result<()> {
    let back_end = CudaBackend::open(options)?;
    let slabs = [MIB, 65 * MIB, 4096].map(|bytes| back_end.take(&Request::new(bytes, "slab")));
    let used: Vec<_> = slabs.iter().flatten().map(|slab| use_slab(&back_end, &**slab)).collect();
    let failed = slabs.iter().any(Result::is_err) || used.iter().any(Result::is_err);
    let counted: u64 = slabs.iter().flatten().map(|slab| slab.size_bytes()).sum();
    assert_eq!(back_end.usage().used_bytes, counted);
    let mut slabs = slabs.into_iter().flatten().collect::<Vec<_>>();
    drop(slabs.pop());
    drop(back_end);
    drop(slabs);
    if failed { Err(Error::Cancelled) } else { Ok(()) }
}

fn use_slab(back_end: &CudaBackend, slab: &dyn DeviceMemory) -> Result<()> {
    let bytes = [7; 512];
    let mut read = [0; 512];
    slab.write(100, &bytes)?;
    slab.read(100, &mut read)?;
    assert_eq!(read, bytes);
    slab.fill(0..100, 9)?;
    slab.copy_to(100..612, slab, 1000)?;
    slab.read(1000, &mut read)?;
    assert_eq!(read, bytes);
    slab.populate(Promised::NOTHING)?;
    let _view = slab.view();
    let _descriptor = slab.export_fd();
    let mut staging = CudaStaging::new(back_end, 4096)?;
    for part in 0..3 {
        staging.window(1024)?.fill(part + 1);
        staging.flush(slab, u64::from(part) * 1024)?;
    }
    staging.finish()?;
    slab.read(2048, &mut read)?;
    assert_eq!(read, [3; 512]);
    Ok(())
}

fn all_options(fake: &Fake) -> [CudaOptions; 4] {
    let chunked = CudaOptions { chunks: CudaChunks::Preferred, ..fake.options(CudaKind::Device) };
    let [device, pinned, managed] =
        [CudaKind::Device, CudaKind::Pinned, CudaKind::Managed].map(|kind| fake.options(kind));
    [device, pinned, managed, chunked]
}

#[test]
fn nothing_leaks_whichever_call_fails() {
    for fake in [Fake::new(), Fake::orin()] {
        for options in all_options(&fake) {
            use_device(options.clone()).unwrap();
            for code in [2, 719, 12345] {
                let mut call = 0;
                loop {
                    fake.reset();
                    fake.fail_after(call, code);
                    let _ = use_device(options.clone());
                    if fake.get("injected") == 0 {
                        break;
                    }
                    fake.assert_clean();
                    call += 1;
                }
                assert!(call > 50, "{call} calls were made to fail");
            }
            fake.reset();
            use_device(options).unwrap();
        }
    }
}

#[test]
fn nothing_leaks_in_two_hundred_runs_of_random_failures() {
    let (discrete, orin) = (Fake::new(), Fake::orin());
    let mut injected = 0;
    for seed in 0..200 {
        let fake = if seed % 2 == 0 { &discrete } else { &orin };
        for options in all_options(fake) {
            fake.reset();
            fake.fail_randomly(seed, 1 + seed % 60);
            let _ = use_device(options);
            injected += fake.get("injected");
            fake.assert_clean();
        }
    }
    assert!(injected > 500, "{injected} failures in all");
    for fake in [discrete, orin] {
        fake.reset();
        for options in all_options(&fake) {
            use_device(options).unwrap();
        }
        fake.assert_clean();
    }
}

#[test]
fn a_lost_device_is_an_error_everywhere_and_a_crash_nowhere() {
    for code in [700, 719] {
        let fake = Fake::new();
        for options in all_options(&fake) {
            let back_end = CudaBackend::open(options.clone()).unwrap();
            let slab = back_end.take(&Request::new(MIB, "slab")).unwrap();
            let mut staging = CudaStaging::new(&back_end, 4096).unwrap();
            staging.window(100).unwrap().fill(1);
            staging.flush(&*slab, 0).unwrap();
            fake.lose(code);
            let refusals = [
                slab.fill(0..10, 1),
                slab.read(0, &mut [0]),
                slab.write(0, &[0]),
                slab.copy_to(0..10, &*slab, 20),
                slab.populate(Promised::NOTHING),
                slab.view().map(drop),
                slab.export_fd().map(drop),
                staging.window(1).map(drop),
                staging.finish(),
                back_end.take(&Request::new(MIB, "slab")).map(drop),
                CudaStaging::new(&back_end, 4096).map(drop),
            ];
            // Whether a call that needs no driver is the first to know is no matter; from the first that does on, all
            // are.
            let lost = |refusal: &Result<()>| match refusal {
                Err(Error::Device { errno, meaning, .. }) => {
                    *errno == Some(code) && meaning.contains("device lost")
                }
                _ => false,
            };
            let pinned = back_end.memory_kind() == CudaKind::Pinned;
            for (at, refusal) in refusals.iter().enumerate() {
                let host_alone =
                    (pinned && at < 10) || (at == 6 && back_end.memory_kind() == CudaKind::Managed);
                assert!(lost(refusal) || host_alone, "{at} of {}: {refusal:?}", back_end.name());
            }
            drop((staging, slab));
            assert_eq!(back_end.usage().used_bytes, 0);
            drop(back_end);
            fake.assert_clean();
            use_device(options).unwrap();
        }
    }
}

#[test]
fn a_refused_slab_is_counted_as_refused_and_as_nothing_else() {
    let fake = Fake::new();
    let back_end = fake.open(CudaKind::Device);
    fake.fail_after(1, 2);
    assert_eq!(back_end.take(&Request::new(GIB, "slab")).unwrap_err().code(), "ERR_INSUFFICIENT_MEMORY");
    let usage = back_end.usage();
    assert_eq!(
        (usage.used_bytes, usage.slab_count, usage.refused_count, usage.allocated_count),
        (0, 0, 1, 0)
    );
}
