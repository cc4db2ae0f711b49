//! Models whose headers say anything: any bytes become hyperparameters, tensors and options, and what is estimated of them has
//! to add up. The fuzz target `estimate` and the test `estimate_hostile` go through it.

mod tables;

use gguf_file::{GgufFile, Options};
use plimsoll::{
    estimate::{
        Companions, ComputeDevice, EstimateOptions, Estimator, FitLimits, FitOptions, KvType,
        LlamaCppVersion, MemoryUse, ModelMemoryEstimate, Phase, Processor, Runtime, UseComponent,
        VerifyOptions, fit, verify,
    },
    units::MAX_BYTES,
};

use tables::{FAMILIES, KEYS, NAMES, ODD, PARTS, TYPES, usual_shape};

/// Bytes as a sequence of choices; 0 when they are over.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn one_of(&mut self, number: usize) -> usize {
        usize::from(u16::from_le_bytes([self.byte(), self.byte()])) % number.max(1)
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.one_of(all.len())]
    }

    /// One in so many.
    fn seldom(&mut self, number: u8) -> bool {
        self.byte() % number == 1
    }

    fn number(&mut self) -> u64 {
        match self.byte() % 4 {
            0 => u64::from(self.byte()),
            1 => u64::from(u32::from_le_bytes([self.byte(), self.byte(), self.byte(), self.byte()])),
            _ => self.of(&ODD),
        }
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

/// A value for a key that wants a number: the usual one, or one in so many times what should not be there.
fn put_value(out: &mut Vec<u8>, choices: &mut Choices<'_>, usual: u64, blocks: u64, odd_in: u8) {
    let typed = |out: &mut Vec<u8>, id: u32| out.extend(id.to_le_bytes());
    let kind = if choices.seldom(odd_in) { choices.byte() % 13 } else { u8::MAX };
    match kind {
        0 => {
            typed(out, 4);
            out.extend((choices.number() as u32).to_le_bytes());
        }
        1 => {
            typed(out, 10);
            out.extend(choices.number().to_le_bytes());
        }
        2 => {
            typed(out, 5);
            out.extend((choices.number() as i32).to_le_bytes());
        }
        3 => {
            typed(out, 6);
            out.extend((choices.number() as f32).to_le_bytes());
        }
        4 => {
            typed(out, 8);
            put_text(out, "512");
        }
        5 => {
            typed(out, 7);
            out.push(choices.byte() & 1);
        }
        kind @ (6..=12) => {
            typed(out, 9);
            // A list as it should be, one too long, or an empty one; of numbers or of truths.
            let length = match choices.byte() % 8 {
                0 => 0,
                1 => blocks + 1,
                _ => blocks,
            };
            typed(out, if kind == 6 { 7 } else { 4 });
            out.extend(length.to_le_bytes());
            for _ in 0..length {
                if kind == 6 {
                    out.push(choices.byte() & 1);
                } else {
                    let number = match choices.byte() % 8 {
                        0 => choices.number() as u32,
                        1 | 2 => 0,
                        _ => usual as u32,
                    };
                    out.extend(number.to_le_bytes());
                }
            }
        }
        _ => {
            typed(out, 4);
            out.extend((usual as u32).to_le_bytes());
        }
    }
}

/// How tensors and hyperparameters go together: what contradicts is refused before anything is estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Match {
    /// Keys and shapes are the usual ones.
    Usual,
    /// No tensor has a shape that keys speak of.
    Unspoken,
    /// Nothing is looked after.
    Any,
}

/// A header out of choices.
fn header(choices: &mut Choices<'_>) -> Vec<u8> {
    let family = choices.of(&FAMILIES);
    let blocks = if choices.seldom(8) {
        choices.of(&[1, 64, 256, 511, 512, 513])
    } else {
        1 + u64::from(choices.byte() % 12)
    };
    let matched = choices.of(&[Match::Usual, Match::Unspoken, Match::Unspoken, Match::Any]);
    let odd_in = if matched == Match::Usual { 255 } else { choices.of(&[2, 8, 32, 128]) };
    let (mut keys, mut key_count) = (Vec::new(), 2_u64);
    put_text(&mut keys, "general.architecture");
    keys.extend(8_u32.to_le_bytes());
    put_text(&mut keys, family);
    put_text(&mut keys, &format!("{family}.block_count"));
    keys.extend(4_u32.to_le_bytes());
    keys.extend((blocks as u32).to_le_bytes());
    for (index, (key, usual)) in KEYS.into_iter().enumerate() {
        // Without the first few there is no estimate at all.
        let left_out_in = if index < 5 { 64 } else { 3 };
        if choices.seldom(if matched == Match::Usual { 255 } else { left_out_in }) {
            continue;
        }
        put_text(&mut keys, &format!("{family}.{key}"));
        put_value(&mut keys, choices, usual, blocks, odd_in);
        key_count += 1;
    }
    let (mut tensors, mut count, mut end) = (Vec::new(), 0_u64, 0_u64);
    let mut tensor = |choices: &mut Choices<'_>, name: &str, rows: u64| {
        let (id, block) = choices.of(&TYPES);
        let width = block
            * if choices.seldom(16) {
                choices.of(&[1, 1 << 20, 1 << 30])
            } else {
                1 + u64::from(choices.byte() % 4)
            };
        let dims = match choices.byte() % 8 {
            // As wide as `embedding_length` usually says, or there is no estimate.
            _ if name == "token_embd.weight" && !choices.seldom(16) => vec![256, rows],
            _ if usual_shape(name).is_some() && matched == Match::Usual => {
                usual_shape(name).unwrap_or_default().to_vec()
            }
            0 => vec![width],
            1 => vec![width, rows, 8],
            2 => vec![width, 0],
            _ => vec![width, rows],
        };
        put_text(&mut tensors, name);
        tensors.extend((dims.len() as u32).to_le_bytes());
        for dim in &dims {
            tensors.extend(dim.to_le_bytes());
        }
        tensors.extend(id.to_le_bytes());
        tensors.extend(end.to_le_bytes());
        // Too far apart rather than one in the other: the bytes of a block are fewer than five for each element.
        let elements = dims.iter().fold(1_u64, |product, dim| product.saturating_mul(*dim));
        end = end.saturating_add(elements.saturating_mul(5)).checked_next_multiple_of(32).unwrap_or(end);
        count += 1;
    };
    if !choices.seldom(8) {
        tensor(choices, "token_embd.weight", 1000);
    }
    if choices.byte() & 1 == 0 {
        tensor(choices, "output.weight", 1000);
    }
    if choices.seldom(6) {
        let name = choices.of(&NAMES);
        tensor(choices, name, 8);
    }
    let of_blocks = if choices.seldom(3) { 0 } else { blocks };
    for block in 0..of_blocks {
        for (index, part) in PARTS.into_iter().enumerate() {
            // A block without a tensor is one too many.
            if matched == Match::Unspoken && usual_shape(part).is_some() {
                continue;
            }
            if index == 0 || choices.seldom(4) {
                let rows = choices.of(&[1, 8, 63, 64, 256, 1000]);
                tensor(choices, &format!("blk.{block}.{part}"), rows);
            }
        }
    }
    let mut bytes = b"GGUF\x03\0\0\0".to_vec();
    bytes.extend(count.to_le_bytes());
    bytes.extend(key_count.to_le_bytes());
    bytes.extend(keys);
    bytes.extend(tensors);
    bytes
}

fn options(choices: &mut Choices<'_>) -> EstimateOptions {
    let number = |choices: &mut Choices<'_>, usual: u64| {
        if choices.seldom(6) { choices.number() } else { usual }
    };
    let (context, parallel) = (choices.of(&[1, 256, 4096, 131_072]), choices.of(&[1, 1, 2, 3, 16, 256]));
    EstimateOptions {
        context_length: (!choices.seldom(4)).then(|| number(choices, context)),
        parallel: number(choices, parallel),
        kv_type_k: choices.of(KvType::ALL),
        kv_type_v: choices.of(KvType::ALL),
        flash_attention: choices.byte() & 1 == 0,
        batch: number(choices, 2048),
        ubatch: number(choices, 512),
        outputs: choices.seldom(3).then(|| number(choices, 4)),
        swa_full: choices.seldom(4),
        unified_kv: choices.byte() & 1 == 0,
        embeddings: choices.seldom(4),
        runtime: choices.of(Runtime::ALL),
        llama_cpp_version: choices.seldom(2).then(|| choices.of(LlamaCppVersion::ALL)),
        gpu_layers: if choices.seldom(2) { number(choices, 3) } else { 0 },
        cpu_moe_layers: if choices.seldom(4) { number(choices, 2) } else { 0 },
        mmap: choices.byte() & 1 == 0,
        repack: (choices.byte() & 1 == 0).then(|| choices.of(Processor::ALL)),
        prompt_cache_bytes: choices.seldom(3).then(|| number(choices, 1 << 30)),
        checkpoints: choices.seldom(3).then(|| number(choices, 32)),
        widened: choices.seldom(8),
    }
}

/// How far an input came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// It is no file.
    Nothing,
    /// It is one, and no model.
    File,
    /// A model, but no options of that could be.
    Model,
    /// An estimate.
    Estimate,
}

/// Estimates a model out of these bytes, and panics where a figure does not add up.
pub fn estimate_hostile(bytes: &[u8]) -> Reached {
    let mut choices = Choices(bytes);
    let header = header(&mut choices);
    let open = Options { header_only: true, ..Options::default() };
    let Ok(file) = GgufFile::from_bytes(&header, &open) else { return Reached::Nothing };
    let files = [&file];
    let model = match Estimator::new(&files) {
        Ok(model) => model,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return Reached::File;
        }
    };
    let mut reached = Reached::Model;
    let mut options = options(&mut choices);
    for _ in 0..2 {
        if let Ok(needs) = model.estimate(&options, Companions::default()) {
            check(&needs, options.gpu_layers > 0);
            reached = Reached::Estimate;
        }
        // What most models can have.
        options = EstimateOptions {
            context_length: Some(1024),
            parallel: 2,
            kv_type_k: KvType::F16,
            kv_type_v: KvType::F16,
            ubatch: 64,
            ..EstimateOptions::default()
        };
    }
    let limits = FitLimits {
        budget_bytes: choices.number().min(MAX_BYTES),
        largest_allocation_bytes: choices.seldom(3).then(|| choices.number()),
        cpu_bytes: choices.seldom(4).then(|| choices.number()),
        gpu_bytes: choices.seldom(4).then(|| choices.number()),
    };
    let choice = FitOptions {
        max_context: Some(u64::from(choices.byte()) * 64 + 1),
        parallel: vec![2, 1],
        ubatches: vec![64],
        ..FitOptions::default()
    };
    if let Ok(found) = fit(&model, Companions::default(), &limits, &choice) {
        check(&found.estimate, limits.gpu_bytes.is_some());
        assert!(!found.fits || found.estimate.totals.peak_bytes <= limits.budget_bytes);
    }
    reached
}

/// A sum that does not wrap.
fn sum(bytes: impl IntoIterator<Item = u64>) -> u64 {
    bytes.into_iter().fold(0, |sum, bytes| sum.checked_add(bytes).expect("a sum below 2^64"))
}

fn check(needs: &ModelMemoryEstimate, has_gpu: bool) {
    let ModelMemoryEstimate { devices, layers, extras, totals, weights, .. } = needs;
    assert_eq!(sum(devices.iter().map(|device| device.weights_bytes)), needs.weights_bytes);
    assert_eq!(sum(devices.iter().map(|device| device.kv_cache_bytes)), needs.kv_cache_bytes);
    assert_eq!(sum(devices.iter().map(|device| device.state_bytes)), needs.state_bytes);
    assert_eq!(sum(devices.iter().map(|device| device.compute_bound_bytes)), needs.compute_bound_bytes);
    assert_eq!(sum(layers.iter().map(|layer| layer.weights_bytes)), weights.layers_bytes);
    assert_eq!(
        sum(layers.iter().flat_map(|layer| [layer.key_bytes, layer.value_bytes])),
        needs.kv_cache_bytes
    );
    assert_eq!(sum(layers.iter().map(|layer| layer.state_bytes)), needs.state_bytes);
    assert!(needs.weights_bytes >= weights.total_bytes());
    assert!(needs.compute_bound_bytes >= needs.compute_bytes);
    assert!(devices.iter().all(|device| device.mapped_bytes <= device.weights_bytes));
    let parts = [
        needs.weights_bytes,
        needs.kv_cache_bytes,
        needs.state_bytes,
        needs.compute_bound_bytes,
        needs.output_bytes,
    ];
    let of = |phase| sum(extras.iter().filter(|extra| extra.phase == phase).map(|extra| extra.bound_bytes));
    assert_eq!(totals.steady_bytes, sum(parts) + of(Phase::Steady));
    assert_eq!(totals.full_bytes, totals.steady_bytes + of(Phase::Full));
    assert_eq!(totals.peak_bytes, totals.full_bytes.max(totals.loading_bytes));
    assert!(totals.peak_bytes <= MAX_BYTES && totals.loading_bytes >= needs.weights_bytes);
    assert!(totals.largest_allocation_bytes <= totals.peak_bytes);
    assert!(extras.iter().all(|extra| extra.bound_bytes >= extra.size_bytes && extra.bound_bytes > 0));
    assert!(!needs.is_compute_exact || needs.compute_bytes == needs.compute_bound_bytes);
    assert!(has_gpu || devices.iter().all(|device| device.device == ComputeDevice::Cpu));
    for (phase, bytes) in [
        (Phase::Loading, totals.loading_bytes),
        (Phase::Steady, totals.steady_bytes),
        (Phase::Full, totals.full_bytes),
    ] {
        let nothing_more = VerifyOptions { phase, program_bytes: Some(0) };
        let found = verify(needs, None, &MemoryUse::default(), &nothing_more);
        let all = found.components.iter().find(|row| row.component == UseComponent::All).expect("it is last");
        assert!(
            all.bound_bytes >= bytes && all.bound_bytes >= all.estimated_bytes,
            "{phase:?}: {all:?}, {bytes}"
        );
    }
}
