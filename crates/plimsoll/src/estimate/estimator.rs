//! A model that was read once, and what it needs by this or that option.

use gguf_file::{GgufFile, TensorType};

use super::{
    cache,
    companion_files::{check_adapter, check_projector},
    compute::{Subject, compute_bytes},
    extras::{Assumed, Beside, ExtraBytes, ExtraKind, Parts, Phase, extras},
    further_caches,
    hyperparameters::Hyperparameters,
    keys::Keys,
    kv_type::KvType,
    layers::Layers,
    model_memory::{LayerBytes, ModelMemoryEstimate, output_bytes, total},
    mtp::{self, MtpDraft},
    options::{EstimateOptions, Run},
    placement::{ComputeDevice, Offload, Shares, devices},
    replay::BlockShapes,
    tensor_shapes,
    totals::{Addends, peak_bytes, totals},
    weights::{BlockBytes, WeightBytes, weights},
};
use crate::{
    error::{Error, Result},
    units::MAX_BYTES,
};

/// Other files that are loaded beside the model, their headers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Companions<'a> {
    /// A projector for images or sound (`mmproj`).
    pub projector: Option<&'a GgufFile>,
    /// A draft model.
    pub draft: Option<Draft<'a>>,
    /// Whether the model drafts for itself, with its blocks that predict further tokens. Not with a draft model.
    pub mtp: Option<MtpDraft>,
    /// Adapters (`LoRA`).
    pub adapters: &'a [&'a GgufFile],
    /// Names of the model's tensors that stay with the processor though their layer is on the GPU, in any order (`--override-tensor`).
    /// Others are passed over.
    pub cpu_tensors: &'a [&'a str],
}

/// A model that drafts tokens for another. Its slots, batches and attention are those of the run that it drafts for.
#[derive(Debug, Clone, Copy)]
pub struct Draft<'a> {
    /// The model.
    pub model: &'a Estimator<'a>,
    /// Tokens of its slots. Default: as many as the other's.
    pub context_length: Option<u64>,
    /// How its keys are stored.
    pub kv_type_k: KvType,
    /// How its values are stored.
    pub kv_type_v: KvType,
    /// Its layers on the GPU.
    pub gpu_layers: u64,
}

/// A model whose header was read and checked, for as many estimates as are wanted.
#[derive(Debug, Clone)]
pub struct Estimator<'a> {
    files: &'a [&'a GgufFile],
    keys: Keys<'a>,
    model: Hyperparameters<'a>,
    layers: Layers,
    shapes: BlockShapes,
    weights: WeightBytes,
    block_weights: Vec<BlockBytes>,
    /// How the matrices are stored, where that is all that is known of them.
    stored_as: Option<TensorType>,
}

impl<'a> Estimator<'a> {
    /// Reads the headers: of all files of a model that is split, or of the one there is.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidModel`] with the key that is missing, zero, absurd or contradicts another; [`Error::InvalidArgument`]
    /// for no file.
    pub fn new(files: &'a [&'a GgufFile]) -> Result<Self> {
        let model = Self::of_dimensions(files)?;
        tensor_shapes::check(files, &model.keys, &model.model, &model.layers)?;
        Ok(model)
    }

    /// As [`new`](Self::new) for a header whose tensors stand for those of any family, in other shapes than its own.
    pub(super) fn of_dimensions(files: &'a [&'a GgufFile]) -> Result<Self> {
        let first: &'a GgufFile = files
            .iter()
            .min_by_key(|file| file.split().map_or(0, |split| split.number))
            .ok_or_else(|| Error::invalid_argument("files", "at least one header", "none"))?;
        let model = Hyperparameters::read(first)?;
        let keys = Keys::new(first.metadata(), model.name);
        let layers = Layers::read(&keys, &model)?;
        let (weights, block_weights) = weights(files, &model, false)?;
        let shapes = BlockShapes::of(files, model.blocks);
        Ok(Self { files, keys, model, layers, shapes, weights, block_weights, stored_as: None })
    }

    /// Tokens of the context that the model was trained with.
    #[must_use]
    pub const fn trained_context_length(&self) -> u64 {
        self.model.context_length
    }

    /// The same model with weights of another size, each part in its share, most of them stored as this type.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for more bytes than a size may have.
    pub fn with_weights(mut self, weights_bytes: u64, stored_as: TensorType) -> Result<Self> {
        if weights_bytes > MAX_BYTES {
            let expected = format!("so few that their weights stay below {MAX_BYTES} bytes");
            return Err(Error::invalid_argument(
                "parameters",
                expected,
                format!("{weights_bytes} bytes of them"),
            ));
        }
        let all = self.weights.total_bytes().max(1);
        let share = |bytes: u64| (u128::from(bytes) * u128::from(weights_bytes) / u128::from(all)) as u64;
        for block in &mut self.block_weights {
            block.all_bytes = share(block.all_bytes);
            block.expert_bytes = share(block.expert_bytes);
        }
        self.weights.scale(weights_bytes, &self.block_weights, share);
        self.stored_as = Some(stored_as);
        Ok(self)
    }

    /// What was read.
    pub(super) const fn reading(&self) -> mtp::MtpSubject<'_> {
        let Self { keys, files, model, layers, shapes, .. } = self;
        mtp::MtpSubject { keys, files, model, layers, shapes }
    }

    /// Blocks of the file, those that predict further tokens included.
    pub(super) fn block_count(&self) -> u64 {
        self.model.blocks as u64
    }

    /// Whether this can be loaded beside the model.
    fn check(&self, companions: &Companions<'_>) -> Result<()> {
        if let Some(projector) = companions.projector {
            check_projector(projector)?;
        }
        for adapter in companions.adapters {
            check_adapter(adapter, self.model.name)?;
        }
        match (&companions.mtp, &companions.draft) {
            (Some(_), Some(_)) => Err(Error::invalid_argument("mtp", "no draft model beside it", "both")),
            (Some(mtp), None) => mtp::check(self.reading(), mtp),
            (None, _) => Ok(()),
        }
    }

    /// What the model needs with these options and beside these files.
    ///
    /// # Errors
    ///
    /// As of [`estimate`](super::estimate).
    pub fn estimate(
        &self,
        options: &EstimateOptions,
        companions: Companions<'_>,
    ) -> Result<ModelMemoryEstimate> {
        let Self { files, keys, model, layers, shapes, weights, block_weights, stored_as } = self;
        let Companions { projector, draft, mtp, adapters, cpu_tensors } = companions;
        let mut cpu_tensors = cpu_tensors.to_vec();
        cpu_tensors.sort_unstable();
        self.check(&companions)?;
        let of_mtp = self.reading();
        // Those blocks are loaded then.
        let with_mtp = mtp.map(|_| super::weights::weights(files, model, true)).transpose()?;
        let (weights, block_weights) =
            with_mtp.as_ref().map_or((weights, block_weights), |(all, of_blocks)| (all, of_blocks));
        let run = Run::new(options, model, layers)?;
        let mut kept = cache::kept(keys, model, layers, &run)?;
        further_caches::add(keys, model, layers, &run, &mut kept)?;
        let compute =
            compute_bytes(Subject { keys, files, model, layers, shapes, run: &run, from_block: 0 }, &kept)?;
        let widened = if options.widened { compute.bound_bytes / 2 } else { 0 };
        let bound_bytes = compute.bound_bytes.saturating_add(widened);
        let output_bytes = output_bytes(model, &run);
        let loaded_blocks = if mtp.is_some() { model.blocks } else { model.layers };
        let offload = Offload::new(&run, model, loaded_blocks, &cpu_tensors);
        let mut devices = devices(
            Shares { model, weights, block_weights, files, kept: &kept, run: &run, bound_bytes },
            offload,
        );
        let cpu_weights = devices.first().map_or(0, |device| device.weights_bytes);
        let assumed = stored_as.map(|tensor_type| Assumed {
            tensor_type,
            cpu_bytes: cpu_weights,
            gpu_bytes: weights.total_bytes().saturating_sub(cpu_weights),
            tied_bytes: if weights.output_bytes > 0 { 0 } else { weights.token_embedding_bytes },
        });
        let parts = Parts {
            files,
            architecture: model.architecture,
            layers,
            run: &run,
            kept: &kept,
            offload,
            assumed,
        };
        let state_bytes = total(&kept, |kept| kept.state_bytes)?;
        let mtp = mtp.map(|mtp| mtp::mtp_bytes(of_mtp, &mtp, options, (&kept, offload))).transpose()?;
        let drafted = draft.map(|draft| draft_needs(draft, options, run.context_length)).transpose()?;
        let beside = Beside { projector, draft: drafted.as_ref().map(draft_bytes), mtp, adapters };
        let extras = extras(parts, beside)?;
        let maps = run.maps();
        let addends = Addends {
            devices: &devices,
            extras: &extras,
            kept: &kept,
            layers,
            offload,
            output_bytes,
            maps,
            draft: drafted.map(|draft| draft.totals),
        };
        let totals = totals(addends);
        let peaks: Vec<u64> = devices.iter().map(|device| peak_bytes(addends, device)).collect();
        for (device, peak_bytes) in devices.iter_mut().zip(peaks) {
            device.peak_bytes = peak_bytes;
        }
        if totals.peak_bytes > MAX_BYTES {
            let expected = format!("of so little that all of it together stays below {MAX_BYTES} bytes");
            let received = format!("{} bytes with all that was asked for", totals.peak_bytes);
            return Err(Error::invalid_argument("options", expected, received));
        }
        let layer = |(block, ((weights, kept), kind)): (
            usize,
            ((&BlockBytes, &cache::KeptBytes), &super::layers::LayerKind),
        )| { LayerBytes::of(weights, kept, *kind, &run, offload.block(block)) };
        Ok(ModelMemoryEstimate {
            architecture: model.name.to_owned(),
            is_known: model.is_known,
            context_length: run.context_length,
            parallel: run.slots,
            weights_bytes: devices.iter().map(|device| device.weights_bytes).sum(),
            kv_cache_bytes: total(&kept, |kept| kept.key_bytes)?
                .saturating_add(total(&kept, |kept| kept.value_bytes)?),
            state_bytes,
            compute_bytes: compute.best_bytes,
            compute_bound_bytes: devices.iter().map(|device| device.compute_bound_bytes).sum(),
            // Of a GPU's graph no figure was measured.
            is_compute_exact: compute.is_exact && !offload.is_used() && !options.widened,
            output_bytes,
            weights: weights.clone(),
            layers: block_weights.iter().zip(&kept).zip(&layers.kinds).enumerate().map(layer).collect(),
            devices,
            extras,
            totals,
            npu_domains: options
                .runtime
                .window_bytes()
                .map_or(0, |window| totals.steady_bytes.div_ceil(window)),
        })
    }
}

/// What a draft model needs: with its context, and without servers' caches of its own.
fn draft_needs(draft: Draft<'_>, run: &EstimateOptions, context_length: u64) -> Result<ModelMemoryEstimate> {
    let options = EstimateOptions {
        context_length: Some(draft.context_length.unwrap_or(context_length)),
        kv_type_k: draft.kv_type_k,
        kv_type_v: draft.kv_type_v,
        gpu_layers: draft.gpu_layers,
        prompt_cache_bytes: Some(0),
        checkpoints: Some(0),
        ..*run
    };
    draft.model.estimate(&options, Companions::default())
}

/// The same as a part of the run.
fn draft_bytes(needs: &ModelMemoryEstimate) -> ExtraBytes {
    let bound_bytes = needs.totals.steady_bytes;
    let gpu = needs.devices.iter().find(|device| device.device == ComputeDevice::Gpu);
    ExtraBytes {
        kind: ExtraKind::Draft,
        phase: Phase::Steady,
        size_bytes: bound_bytes - needs.compute_bound_bytes.saturating_sub(needs.compute_bytes),
        bound_bytes,
        is_bound: needs.is_known,
        gpu_bytes: gpu.map_or(0, |gpu| gpu.peak_bytes.min(bound_bytes)),
    }
}

/// What the model in these files needs: all files of one that is split, or the one there is. Headers suffice.
///
/// [`Estimator`] does the same for several options, and for files that are loaded beside the model. The sources of every rule
/// are in the [module](crate::estimate)'s page.
///
/// ```no_run
/// use gguf_file::{GgufFile, Options};
/// use plimsoll::estimate::{EstimateOptions, estimate};
///
/// let file = GgufFile::open("model.gguf", &Options::default())?;
/// let options = EstimateOptions { context_length: Some(8192), parallel: 4, ..EstimateOptions::default() };
/// let needs = estimate(&[&file], &options)?;
/// println!("{} bytes of weights, {} of cache", needs.weights_bytes, needs.kv_cache_bytes);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`Error::InvalidModel`] with the key that is missing, zero, absurd or contradicts another; [`Error::InvalidArgument`] for an
/// option out of its range, a type of the cache that the model cannot have, no file, or more of it together than a size may be.
pub fn estimate(files: &[&GgufFile], options: &EstimateOptions) -> Result<ModelMemoryEstimate> {
    Estimator::new(files)?.estimate(options, Companions::default())
}
