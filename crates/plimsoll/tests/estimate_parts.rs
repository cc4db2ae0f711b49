//! What a run needs beside its model, its totals, models without a file, and the search for the best configuration.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod headers;

use gguf_file::{GgufFile, TensorType};
use plimsoll::{
    Error,
    estimate::{
        Companions, ComputeDevice, Draft, EstimateOptions, Estimator, ExtraKind, KvType, LlamaCppVersion,
        ModelMemoryEstimate, ModelShape, Processor, QUANTIZATIONS, Quantization, Runtime, TYPICAL_SHAPES,
        TypicalShape, estimate, rule_of_thumb_bytes,
    },
    units::{GIB, MIB},
};

fn shape(name: &str) -> ModelShape {
    TypicalShape::find(name).unwrap().shape()
}

fn header(name: &str, tensor_type: TensorType) -> GgufFile {
    shape(name).header(tensor_type).unwrap()
}

fn options() -> EstimateOptions {
    EstimateOptions { context_length: Some(8192), repack: None, ..EstimateOptions::default() }
}

fn extra(needs: &ModelMemoryEstimate, kind: ExtraKind) -> u64 {
    needs.extras.iter().find(|extra| extra.kind == kind).map_or(0, |extra| extra.bound_bytes)
}

fn bound(needs: &ModelMemoryEstimate) -> u64 {
    needs.kv_cache_bytes + needs.state_bytes + needs.compute_bound_bytes + needs.output_bytes
}

#[test]
fn the_parameters_of_typical_shapes_are_those_of_the_models_they_are_named_for() {
    for typical in TYPICAL_SHAPES {
        let file = typical.shape().header(TensorType::F16).unwrap();
        let elements: u64 = file.tensors().map(|tensor| tensor.element_count()).sum();
        // The biases of a family are not written down.
        assert!(
            elements.abs_diff(typical.parameters) < typical.parameters / 1000,
            "{}: {elements}",
            typical.name
        );
    }
}

#[test]
fn a_cpu_alone_holds_everything_and_the_totals_are_its_sums() {
    let file = header("llama-3.1-8b", TensorType::F16);
    let version = Some(LlamaCppVersion::V0_6);
    let named = estimate(&[&file], &EstimateOptions { llama_cpp_version: version, ..options() }).unwrap();
    assert!(named.is_compute_exact);
    let needs = estimate(&[&file], &options()).unwrap();
    assert_eq!(needs.devices.len(), 1);
    assert_eq!(needs.devices[0].weights_bytes, needs.weights_bytes);
    assert_eq!(needs.totals.loading_bytes, needs.weights_bytes);
    assert_eq!(needs.totals.steady_bytes, needs.weights_bytes + bound(&needs));
    assert_eq!(
        (needs.totals.full_bytes, needs.totals.peak_bytes),
        (needs.totals.steady_bytes, needs.totals.steady_bytes)
    );
    assert!(needs.extras.is_empty(), "{:?}", needs.extras);
    // A map is no allocation; the cache of 8 Ki tokens is one of 1 GiB.
    assert_eq!(needs.totals.largest_allocation_bytes, GIB);
    let read = estimate(&[&file], &EstimateOptions { mmap: false, ..options() }).unwrap();
    assert_eq!(read.totals.largest_allocation_bytes, needs.weights_bytes);
}

#[test]
fn weights_are_kept_twice_where_a_processor_has_an_order_of_its_own_for_them() {
    let with = |name, tensor_type, processor, mmap| {
        let file = header(name, tensor_type);
        let needs =
            estimate(&[&file], &EstimateOptions { repack: Some(processor), mmap, ..options() }).unwrap();
        (extra(&needs, ExtraKind::Repacked), extra(&needs, ExtraKind::ReadBuffer), needs)
    };
    let (repacked, _, needs) = with("llama-3.1-8b", TensorType::Q4K, Processor::Arm64, true);
    // All but the embeddings, which are looked up, and the norms.
    assert_eq!(repacked, needs.weights_bytes - needs.weights.token_embedding_bytes - (2 * 32 + 1) * 4096 * 4);
    assert_eq!(needs.totals.loading_bytes, needs.weights_bytes + repacked);
    assert_eq!(with("llama-3.1-8b", TensorType::Q6K, Processor::X64, true).0, 0);
    assert!(with("llama-3.1-8b", TensorType::Q6K, Processor::Arm64, true).0 > 0);
    assert_eq!(with("llama-3.1-8b", TensorType::F16, Processor::Arm64, true).0, 0);
    // The embeddings are multiplied by where they are the output matrix too.
    let (tied, _, needs) = with("llama-3.2-1b", TensorType::Q4_0, Processor::X64, true);
    assert!(tied > needs.weights_bytes * 99 / 100);
    // Without a map they are read into that order at once, through memory for the largest.
    let (twice, buffer, needs) = with("llama-3.1-8b", TensorType::Q4K, Processor::Arm64, false);
    assert_eq!((twice, buffer), (0, needs.weights.output_bytes));
    // Embeddings that are also multiplied by are looked up in the file's order all the same.
    let (second, buffer, needs) = with("llama-3.2-1b", TensorType::Q4_0, Processor::X64, false);
    assert_eq!((second, buffer), (needs.weights.token_embedding_bytes, needs.weights.token_embedding_bytes));
    assert_eq!(with("llama-3.2-1b", TensorType::Q6K, Processor::X64, false).0, 0);
    let generic = EstimateOptions { runtime: Runtime::Generic, repack: Some(Processor::Arm64), ..options() };
    assert!(estimate(&[&header("llama-3.1-8b", TensorType::Q4K)], &generic).unwrap().extras.is_empty());
}

#[test]
fn tiles_take_a_copy_of_more_types_and_something_on_top_of_each_block() {
    // Logged by llama.cpp 0.5.0 of seven matrices in each type: 2.67 MiB of 2.39 in Q8_0, 1.30 of 1.27 in Q4_K, 1.58 of 1.55 in Q5_K,
    // 1.21 of 1.20 in IQ4_XS, the others as they are.
    let blocks = [
        (TensorType::F16, 2, 2),
        (TensorType::Q4_0, 18, 18),
        (TensorType::Q4_1, 20, 20),
        (TensorType::Q8_0, 34, 38),
        (TensorType::Q4K, 144, 148),
        (TensorType::Q5K, 176, 180),
        (TensorType::Q6K, 210, 210),
        (TensorType::Iq4Xs, 136, 138),
    ];
    for (tensor_type, in_file, in_tiles) in blocks {
        let file = header("llama-3.1-8b", tensor_type);
        let with = |mmap| {
            let run = EstimateOptions { repack: Some(Processor::X64Amx), mmap, ..options() };
            estimate(&[&file], &run).unwrap()
        };
        let needs = with(true);
        let norms = (2 * 32 + 1) * 4096 * 4;
        let matrices = needs.weights_bytes - needs.weights.token_embedding_bytes - norms;
        let packed = matrices / in_file * in_tiles;
        assert_eq!(extra(&needs, ExtraKind::Repacked), packed, "{tensor_type}");
        assert_eq!(extra(&with(false), ExtraKind::Repacked), packed - matrices, "{tensor_type}, read");
    }
    let kept = header("llama-3.1-8b", TensorType::Bf16);
    let run = EstimateOptions { repack: Some(Processor::X64Amx), ..options() };
    assert_eq!(extra(&estimate(&[&kept], &run).unwrap(), ExtraKind::Repacked), 0);
}

#[test]
fn layers_of_a_gpu_take_their_caches_along_and_pass_through_the_page_cache() {
    let file = header("llama-3.2-1b", TensorType::F16);
    let with = |gpu_layers| estimate(&[&file], &EstimateOptions { gpu_layers, ..options() }).unwrap();
    let none = with(0);
    for (layers, on_gpu) in [(1, 0), (5, 4), (17, 16), (1000, 16)] {
        let needs = with(layers);
        let [cpu, gpu] = &needs.devices[..] else { panic!("{layers}: {:?}", needs.devices) };
        assert_eq!((cpu.device, gpu.device), (ComputeDevice::Cpu, ComputeDevice::Gpu));
        assert_eq!(gpu.kv_cache_bytes, none.kv_cache_bytes / 16 * on_gpu, "{layers}");
        assert_eq!(gpu.kv_cache_bytes + cpu.kv_cache_bytes, none.kv_cache_bytes);
        // The output matrix is the embeddings', and stands on both.
        assert_eq!(needs.weights_bytes, none.weights_bytes + none.weights.token_embedding_bytes, "{layers}");
        assert!(!needs.is_compute_exact);
        let mapped = extra(&needs, ExtraKind::MappedWeights);
        assert_eq!(mapped + none.weights.token_embedding_bytes, gpu.weights_bytes);
        assert_eq!(needs.totals.loading_bytes, needs.weights_bytes + mapped);
        assert!(extra(&needs, ExtraKind::CudaOverhead) > 0);
    }
}

#[test]
fn experts_stay_with_the_processor_where_that_is_said() {
    let shape = ModelShape { architecture: "qwen3moe".to_owned(), experts: (8, 2), ..shape("llama-3.2-1b") };
    let file = shape.header(TensorType::F16).unwrap();
    let with = |cpu_moe_layers| {
        let options = EstimateOptions { gpu_layers: 99, cpu_moe_layers, ..options() };
        estimate(&[&file], &options).unwrap()
    };
    let (none, some, all) = (with(0), with(4), with(u64::MAX));
    let experts = 3 * 8 * 2048 * 8192 * 2;
    assert_eq!(some.devices[0].weights_bytes, none.devices[0].weights_bytes + 4 * experts);
    assert_eq!(some.devices[1].weights_bytes, none.devices[1].weights_bytes - 4 * experts);
    assert_eq!(all.devices[0].weights_bytes, none.devices[0].weights_bytes + 16 * experts);
    assert_eq!(
        (some.weights_bytes, some.devices[1].kv_cache_bytes),
        (none.weights_bytes, none.kv_cache_bytes)
    );
    let mapped = |needs: &ModelMemoryEstimate| extra(needs, ExtraKind::MappedWeights);
    assert_eq!(mapped(&some), mapped(&none) - 4 * experts);
}

#[test]
fn single_tensors_stay_with_the_processor_where_that_is_said() {
    let file = header("llama-3.2-1b", TensorType::F16);
    let files = [&file];
    let model = Estimator::new(&files).unwrap();
    let with = |gpu_layers, cpu_tensors: &[&str]| {
        let options = EstimateOptions { gpu_layers, ..options() };
        model.estimate(&options, Companions { cpu_tensors, ..Companions::default() }).unwrap()
    };
    let bytes = |name: &str| file.tensor(name).unwrap().size_bytes();
    let weights =
        |needs: &ModelMemoryEstimate| [needs.devices[0].weights_bytes, needs.devices[1].weights_bytes];
    let none = with(99, &[]);
    // In no order, and one of a name that none has.
    let some = with(99, &["blk.3.ffn_up.weight", "blk.0.ffn_up.weight", "of nothing"]);
    let moved = bytes("blk.3.ffn_up.weight") + bytes("blk.0.ffn_up.weight");
    assert_eq!(weights(&some), [weights(&none)[0] + moved, weights(&none)[1] - moved]);
    assert_eq!(some.weights_bytes, none.weights_bytes);
    assert_eq!(some.devices[1].kv_cache_bytes, none.devices[1].kv_cache_bytes);
    let mapped = |needs: &ModelMemoryEstimate| extra(needs, ExtraKind::MappedWeights);
    assert_eq!(mapped(&some), mapped(&none) - moved);
    // The processor computes with them.
    assert!(some.devices[0].compute_bound_bytes > none.devices[0].compute_bound_bytes);
    // What is there already stays as it is: the first of seventeen layers is the processor's.
    let half = with(16, &["blk.0.ffn_up.weight"]);
    assert_eq!(weights(&half), weights(&with(16, &[])));
    // The output matrix is the token embeddings': it is not copied then.
    let tied = with(99, &["token_embd.weight"]);
    assert_eq!(weights(&tied), [weights(&none)[0], weights(&none)[1] - bytes("token_embd.weight")]);
}

#[test]
fn a_server_adds_its_prompt_cache_and_checkpoints_and_saves_logits() {
    let file = header("llama-3.1-8b", TensorType::F16);
    let server = EstimateOptions { runtime: Runtime::LlamaServer, parallel: 4, ..options() };
    let needs = estimate(&[&file], &server).unwrap();
    let one_slot = needs.kv_cache_bytes / 4;
    let cache = extra(&needs, ExtraKind::PromptCache);
    assert!((8192 * MIB + one_slot..8192 * MIB + one_slot * 101 / 100).contains(&cache), "{cache}");
    // What sees everything can be computed back: no checkpoints.
    assert_eq!(extra(&needs, ExtraKind::Checkpoints), 0);
    assert_eq!(needs.totals.full_bytes, needs.totals.steady_bytes + cache);
    let off = EstimateOptions { prompt_cache_bytes: Some(0), ..server };
    assert_eq!(estimate(&[&file], &off).unwrap().extras, []);
    let all = EstimateOptions { outputs: Some(512), ..server };
    assert!(needs.compute_bytes < estimate(&[&file], &all).unwrap().compute_bytes);

    let gemma = ModelShape { architecture: "gemma3".to_owned(), window: Some(1024), ..shape("llama-3.2-1b") };
    let gemma = gemma.header(TensorType::F16).unwrap();
    let needs = estimate(&[&gemma], &server).unwrap();
    let window: u64 =
        needs.layers.iter().filter(|it| it.slides).map(|it| it.key_bytes + it.value_bytes).sum();
    let checkpoints = extra(&needs, ExtraKind::Checkpoints);
    // One in 8 Ki tokens, and two at the end.
    assert!(
        (3 * window..3 * window * 102 / 100).contains(&checkpoints),
        "{checkpoints}, {window} a checkpoint"
    );
}

/// An adapter of rank 16, or what else its file says that it is.
fn adapter(architecture: &str, file_type: &str, adapter_type: &str) -> GgufFile {
    let keys = [("general.type", file_type), ("adapter.type", adapter_type)];
    let keys = keys.map(|(key, text)| (key.to_owned(), text.into())).into_iter().collect();
    let tensors = ["blk.0.attn_q.weight.lora_a", "blk.0.attn_q.weight.lora_b"];
    headers::header(architecture, &keys, &tensors.map(|name| (name.to_owned(), vec![16, 64])))
}

#[test]
fn files_that_are_not_what_they_are_given_as_are_refused_by_what_they_say() {
    let file = header("llama-3.1-8b", TensorType::F16);
    let files = [&file];
    let model = Estimator::new(&files).unwrap();
    let refused = |companions: Companions<'_>| match model.estimate(&options(), companions) {
        Err(Error::InvalidModel { key, expected, received }) => (key, expected, received),
        other => panic!("{other:?}"),
    };
    let as_projector =
        |file: &GgufFile| refused(Companions { projector: Some(file), ..Companions::default() });
    let (key, expected, received) = as_projector(&file);
    assert_eq!((key.as_str(), received.as_str()), ("general.architecture", "\"llama\""));
    assert!(expected.contains("clip") && expected.contains("mmproj"), "{expected}");
    let as_adapter = |file: &GgufFile| {
        let (key, expected, received) = refused(Companions { adapters: &[file], ..Companions::default() });
        assert!(expected.contains('"'), "{expected}");
        (key, received)
    };
    let said = |key: &str, received: &str| (key.to_owned(), received.to_owned());
    assert_eq!(as_adapter(&file), said("general.type", "nothing"));
    assert_eq!(as_adapter(&adapter("llama", "model", "lora")), said("general.type", "\"model\""));
    assert_eq!(as_adapter(&adapter("qwen2", "adapter", "lora")), said("general.architecture", "\"qwen2\""));
    assert_eq!(as_adapter(&adapter("llama", "adapter", "control")), said("adapter.type", "\"control\""));
    let lora = adapter("llama", "adapter", "lora");
    let Err(Error::InvalidModel { key, expected, .. }) = estimate(&[&lora], &options()) else {
        panic!("a model")
    };
    assert_eq!(key, "general.type");
    assert!(expected.contains("loras"), "{expected}");
}

#[test]
fn a_file_with_an_encoder_is_a_projector_whatever_it_calls_itself() {
    let file = header("llama-3.1-8b", TensorType::F16);
    let files = [&file];
    let model = Estimator::new(&files).unwrap();
    for (name, key, value) in
        [("clip", "vision.image_size", 224.into()), ("mtmd", "clip.has_audio_encoder", true.into())]
    {
        let keys = [(key.to_owned(), value)].into_iter().collect();
        let projector = headers::header(name, &keys, &[("v.patch_embd.weight".to_owned(), vec![64, 64])]);
        let companions = Companions { projector: Some(&projector), ..Companions::default() };
        let needs = model.estimate(&options(), companions).unwrap();
        assert_eq!(extra(&needs, ExtraKind::Projector), 64 * 64 * 4);
    }
}

#[test]
fn a_draft_and_adapters_come_on_top() {
    let (file, small) = (header("llama-3.1-8b", TensorType::F16), header("llama-3.2-1b", TensorType::F16));
    let needs_of_draft = estimate(&[&small], &options()).unwrap();
    let smalls = [&small];
    let drafter = Estimator::new(&smalls).unwrap();
    let draft = Draft {
        model: &drafter,
        context_length: None,
        kv_type_k: KvType::F16,
        kv_type_v: KvType::F16,
        gpu_layers: 0,
    };
    let files = [&file];
    let model = Estimator::new(&files).unwrap();
    let adapter = adapter("llama", "adapter", "lora");
    let adapters = [&adapter];
    let beside = Companions { draft: Some(draft), adapters: &adapters, ..Companions::default() };
    let (alone, needs) = (
        model.estimate(&options(), Companions::default()).unwrap(),
        model.estimate(&options(), beside).unwrap(),
    );
    let on_top = needs_of_draft.totals.steady_bytes + 2 * 4 * 16 * 64;
    assert_eq!(needs.totals.steady_bytes, alone.totals.steady_bytes + on_top);
}

#[test]
fn quantised_sizes_fall_with_the_level_and_are_what_the_bits_say() {
    let sizes: Vec<u64> = QUANTIZATIONS.iter().map(|level| level.size_bytes(7_000_000_000)).collect();
    assert!(sizes.is_sorted_by(|a, b| a >= b), "{sizes:?}");
    assert_eq!(Quantization::find("f32").unwrap().size_bytes(7_000_000_000), 28_000_000_000);
    assert!(matches!(Quantization::find("Q9_K"), Err(Error::InvalidArgument { name: "quant", .. })));
    assert_eq!(Quantization::find("IQ1_S").unwrap().size_bytes(u64::MAX), 4_621_370_559_066_085_419);
    assert_eq!((rule_of_thumb_bytes(3), rule_of_thumb_bytes(u64::MAX)), (5, u64::MAX));
}

#[test]
fn a_larger_model_has_no_smaller_shape() {
    let mut before = 0;
    for billions in 1..=500 {
        let typical = TypicalShape::of(billions * 1_000_000_000);
        let file = typical.shape().header(TensorType::F16).unwrap();
        let bytes = estimate(&[&file], &options()).unwrap().kv_cache_bytes;
        assert!(bytes >= before, "{billions} billion as {}", typical.name);
        before = bytes;
    }
}

#[test]
fn weights_of_another_size_keep_their_shares() {
    let file = header("llama-3.1-8b", TensorType::F16);
    let files = [&file];
    let level = Quantization::find("Q4_K_M").unwrap();
    let bytes = level.size_bytes(8_030_261_248);
    let model = Estimator::new(&files).unwrap().with_weights(bytes, level.tensor_type).unwrap();
    let needs = model.estimate(&options(), Companions::default()).unwrap();
    assert_eq!((needs.weights_bytes, needs.weights.total_bytes()), (bytes, bytes));
    assert_eq!(needs.layers.iter().map(|layer| layer.weights_bytes).sum::<u64>(), needs.weights.layers_bytes);
    let repacked = EstimateOptions { repack: Some(Processor::Arm64), ..options() };
    let repacked = model.estimate(&repacked, Companions::default()).unwrap();
    assert_eq!(extra(&repacked, ExtraKind::Repacked), bytes);
    assert!(Estimator::new(&files).unwrap().with_weights(1 << 53, level.tensor_type).is_err());
}

#[test]
fn dimensions_that_cannot_be_are_refused_by_their_names() {
    let good = shape("llama-3.1-8b");
    let broken = [
        ("layers", ModelShape { layers: 0, ..good.clone() }),
        ("layers", ModelShape { layers: 513, ..good.clone() }),
        ("embedding", ModelShape { embedding: 0, ..good.clone() }),
        ("kvHeads", ModelShape { kv_heads: 1 << 60, ..good.clone() }),
        ("vocabulary", ModelShape { vocabulary: 0, ..good.clone() }),
        ("experts", ModelShape { experts: (8, 0), ..good.clone() }),
        ("experts", ModelShape { experts: (2, 4), ..good.clone() }),
        ("shape", ModelShape { embedding: u32::MAX.into(), vocabulary: u32::MAX.into(), ..good.clone() }),
    ];
    for (name, shape) in broken {
        let error = shape.header(TensorType::F16).unwrap_err();
        assert!(
            matches!(&error, Error::InvalidArgument { name: named, .. } if *named == name),
            "{name}: {error}"
        );
    }
    assert!(TypicalShape::find("gpt-9").is_err());
}

/// A draft as large as its model, both where `gpu_layers` says.
fn with_draft(name: &str, gpu_layers: u64, mmap: bool) -> (ModelMemoryEstimate, ModelMemoryEstimate) {
    let file = header(name, TensorType::F16);
    let files = [&file];
    let model = Estimator::new(&files).unwrap();
    let run = EstimateOptions { gpu_layers, mmap, ..options() };
    let draft = Draft {
        model: &model,
        context_length: None,
        kv_type_k: KvType::F16,
        kv_type_v: KvType::F16,
        gpu_layers,
    };
    let alone = model.estimate(&run, Companions::default()).unwrap();
    (alone, model.estimate(&run, Companions { draft: Some(draft), ..Companions::default() }).unwrap())
}

#[test]
fn a_draft_is_loaded_beside_a_model_that_has_its_context() {
    let (alone, both) = with_draft("llama-3.2-1b", 99, true);
    assert_eq!(both.totals.loading_bytes, alone.totals.steady_bytes + alone.totals.loading_bytes);
    assert!(both.totals.peak_bytes >= both.totals.loading_bytes);
}

#[test]
fn what_a_draft_allocates_counts_for_devices_and_for_the_largest_allocation() {
    let (alone, both) = with_draft("llama-3.2-1b", 0, false);
    assert_eq!(both.totals.largest_allocation_bytes, alone.weights_bytes);
    let (alone, both) = with_draft("llama-3.2-1b", 99, true);
    let gpu = |needs: &ModelMemoryEstimate| needs.devices[1].peak_bytes;
    assert_eq!(gpu(&both), 2 * gpu(&alone));
    let cuda = extra(&alone, ExtraKind::CudaOverhead);
    assert!(cuda > 0 && gpu(&alone) > alone.devices[1].weights_bytes + alone.kv_cache_bytes + cuda);
}

#[test]
fn one_slot_may_fill_a_cache_that_all_share() {
    let file = header("llama-3.1-8b", TensorType::F16);
    let cache = |parallel, unified_kv| {
        let run = EstimateOptions {
            context_length: Some(32_768 / parallel),
            runtime: Runtime::LlamaServer,
            parallel,
            unified_kv,
            ..options()
        };
        extra(&estimate(&[&file], &run).unwrap(), ExtraKind::PromptCache)
    };
    assert_eq!(cache(4, true), cache(1, false));
    assert!(cache(4, false) < cache(1, false));
}
