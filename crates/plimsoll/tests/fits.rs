//! The search for the best configuration of a model.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use gguf_file::{GgufFile, TensorType};
use plimsoll::{
    Error,
    estimate::{
        Companions, EstimateOptions, Estimator, Fit, FitAxis, FitLimits, FitOptions, KvType, Processor,
        TypicalShape, estimate, fit,
    },
    units::GIB,
};

fn header(name: &str, tensor_type: TensorType) -> GgufFile {
    TypicalShape::find(name).unwrap().shape().header(tensor_type).unwrap()
}

fn options() -> EstimateOptions {
    EstimateOptions { context_length: Some(8192), repack: None, ..EstimateOptions::default() }
}

/// The best there is, by trying everything.
fn fit_of(budget_bytes: u64, options: &FitOptions) -> Fit {
    let file = header("llama-3.1-8b", TensorType::Q4K);
    let files = [&file];
    let model = Estimator::new(&files).unwrap();
    fit(&model, Companions::default(), &FitLimits::of_budget(budget_bytes), options).unwrap()
}

fn choices() -> FitOptions {
    FitOptions { run: options(), ..FitOptions::default() }
}

#[test]
fn the_best_is_the_longest_context_that_fits_and_not_a_step_more() {
    let file = header("llama-3.1-8b", TensorType::Q4K);
    let mut before = 0;
    for budget in (5..=24).map(|gib| gib * GIB) {
        let best = fit_of(budget, &choices());
        assert!(best.fits && best.estimate.totals.peak_bytes <= budget, "{best:?}");
        let chosen = best.configuration;
        assert!(chosen.context_length >= before, "more memory is never worse");
        before = chosen.context_length;
        assert_eq!(best.spare_bytes, budget - best.estimate.totals.peak_bytes);
        if chosen.context_length < 131_072 {
            let longer = EstimateOptions {
                context_length: Some(chosen.context_length + 256),
                kv_type_k: chosen.kv_type,
                kv_type_v: chosen.kv_type,
                ubatch: chosen.ubatch,
                ..options()
            };
            assert!(estimate(&[&file], &longer).unwrap().totals.peak_bytes > budget, "{chosen:?}");
            assert!(best.reasons[0].contains("too much"), "{:?}", best.reasons);
        }
    }
    let all = fit_of(64 * GIB, &choices());
    assert_eq!((all.configuration.context_length, all.configuration.kv_type), (131_072, KvType::F16));
    assert!(all.reasons[0].contains("131,072"), "{:?}", all.reasons);
}

#[test]
fn what_is_decided_first_is_what_the_priorities_say() {
    let by = |priorities: &[FitAxis]| {
        fit_of(7 * GIB, &FitOptions { priorities: priorities.to_vec(), ..choices() }).configuration
    };
    let usual = by(&[]);
    assert_eq!((usual.kv_type, usual.ubatch), (KvType::F16, 512));
    let longest = by(&[FitAxis::Context]);
    assert_eq!((longest.kv_type, longest.ubatch), (KvType::Q8_0, 128));
    assert!(longest.context_length > usual.context_length * 3 / 2);
}

#[test]
fn trades_say_what_another_choice_is_worth() {
    let best = fit_of(7 * GIB, &FitOptions { parallel: vec![2], ..choices() });
    let named =
        |axis| best.trades.iter().find(|trade| trade.axis == axis).unwrap_or_else(|| panic!("{best:?}"));
    let kv = named(FitAxis::KvType);
    assert!(kv.context_gain > 0 && kv.saved_bytes > 0);
    assert!(kv.description.starts_with("q8_0 KV: +"), "{}", kv.description);
    assert!(named(FitAxis::Parallel).description.starts_with("one slot fewer: +"), "{:?}", best.trades);
    assert!(named(FitAxis::Ubatch).description.starts_with("ubatch "), "{:?}", best.trades);
    assert!(best.trades.is_sorted_by(|a, b| a.context_gain >= b.context_gain));
    // Without a second copy of anything a map changes nothing.
    assert!(best.trades.iter().all(|trade| trade.axis != FitAxis::Mmap), "{:?}", best.trades);
}

#[test]
fn what_does_not_fit_says_the_least_it_would_take() {
    let none = fit_of(3 * GIB, &choices());
    assert!(!none.fits && none.trades.is_empty() && none.spare_bytes == 0);
    assert_eq!((none.configuration.kv_type, none.configuration.ubatch), (KvType::Q8_0, 128));
    assert!(none.reasons[0].contains("of the budget, which has 3.00 GiB"), "{:?}", none.reasons);
}

#[test]
fn a_largest_allocation_binds_as_a_budget_does() {
    let file = header("llama-3.1-8b", TensorType::Q4K);
    let files = [&file];
    let model = Estimator::new(&files).unwrap();
    let limits = FitLimits { largest_allocation_bytes: Some(GIB), ..FitLimits::of_budget(64 * GIB) };
    let best = fit(&model, Companions::default(), &limits, &choices()).unwrap();
    assert_eq!(best.configuration.context_length, 8192);
    assert!(best.reasons[0].contains("of one allocation"), "{:?}", best.reasons);
}

#[test]
fn layers_go_to_a_gpu_until_its_limit_and_a_refusal_names_the_device() {
    let file = header("llama-3.1-8b", TensorType::Q4K);
    let files = [&file];
    let model = Estimator::new(&files).unwrap();
    let with = |cpu, gpu| {
        let limits =
            FitLimits { cpu_bytes: Some(cpu), gpu_bytes: Some(gpu), ..FitLimits::of_budget(64 * GIB) };
        fit(&model, Companions::default(), &limits, &choices()).unwrap()
    };
    let all = with(16 * GIB, 16 * GIB);
    assert_eq!(all.configuration.gpu_layers, 33);
    let some = with(16 * GIB, 3 * GIB);
    assert!(some.fits && (1..33).contains(&some.configuration.gpu_layers), "{:?}", some.configuration);
    assert!(some.estimate.devices[1].peak_bytes <= 3 * GIB);
    let none = with(GIB, 2 * GIB);
    assert!(!none.fits && none.reasons[0].contains("of the processor"), "{:?}", none.reasons);
}

#[test]
fn choices_that_cannot_be_are_refused_by_their_names() {
    let file = header("llama-3.1-8b", TensorType::Q4K);
    let files = [&file];
    let model = Estimator::new(&files).unwrap();
    let broken = [
        ("parallel", FitOptions { parallel: vec![], ..choices() }),
        ("ubatches", FitOptions { ubatches: vec![], ..choices() }),
        ("kvTypes", FitOptions { kv_types: vec![], ..choices() }),
        ("minContext", FitOptions { min_context: Some(9), max_context: Some(8), ..choices() }),
        ("contextLength", FitOptions { min_context: Some(0), ..choices() }),
        ("parallel", FitOptions { parallel: vec![0], ..choices() }),
    ];
    for (name, options) in broken {
        let error = fit(&model, Companions::default(), &FitLimits::of_budget(GIB), &options).unwrap_err();
        assert!(
            matches!(&error, Error::InvalidArgument { name: named, .. } if *named == name),
            "{name}: {error}"
        );
    }
    // One that the run cannot have is passed over for one that it can.
    let without = FitOptions { run: EstimateOptions { flash_attention: false, ..options() }, ..choices() };
    let limits = FitLimits::of_budget(64 * GIB);
    let best = fit(
        &model,
        Companions::default(),
        &limits,
        &FitOptions { kv_types: vec![KvType::Q8_0, KvType::F16], ..without },
    );
    assert_eq!(best.unwrap().configuration.kv_type, KvType::F16);
}

#[test]
fn what_is_repacked_counts_against_the_processors_limit() {
    let file = header("llama-3.1-8b", TensorType::Q4K);
    let files = [&file];
    let model = Estimator::new(&files).unwrap();
    let run = EstimateOptions { repack: Some(Processor::Arm64), ..options() };
    let choices = FitOptions { run, mmap: vec![true], ..FitOptions::default() };
    let fits = |cpu| {
        let limits = FitLimits { cpu_bytes: Some(cpu), ..FitLimits::of_budget(64 * GIB) };
        fit(&model, Companions::default(), &limits, &choices).unwrap().fits
    };
    assert!(!fits(6 * GIB) && fits(12 * GIB));
}

#[test]
fn a_search_without_an_end_is_refused() {
    let many = FitOptions { parallel: (1..=64).collect(), ubatches: (1..=64).collect(), ..choices() };
    let file = header("llama-3.1-8b", TensorType::Q4K);
    let files = [&file];
    let model = Estimator::new(&files).unwrap();
    let error = fit(&model, Companions::default(), &FitLimits::of_budget(GIB), &many).unwrap_err();
    assert!(matches!(&error, Error::InvalidArgument { name: "options", .. }), "{error}");
    // A number of layers above those that there are means all of them.
    let run = EstimateOptions { gpu_layers: u64::MAX, ..options() };
    let best =
        fit(&model, Companions::default(), &FitLimits::of_budget(64 * GIB), &FitOptions { run, ..choices() });
    assert_eq!(best.unwrap().configuration.gpu_layers, 33);
}
