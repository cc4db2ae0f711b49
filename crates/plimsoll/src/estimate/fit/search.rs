//! The search itself.

use super::{
    choices::{AXES, Choice, Choices},
    configuration::Configuration,
    limits::{Excess, FitLimits},
    options::{FitAxis, FitOptions},
    outcome::Fit,
    trades::{Neighbour, grouped, trades},
};
use crate::{
    error::{Error, Result},
    estimate::{
        estimator::{Companions, Estimator},
        kv_type::KvType,
        model_memory::ModelMemoryEstimate,
        options::EstimateOptions,
    },
    units::format_bytes,
};

/// Caches grow by so many cells.
const STEP: u64 = 256;

/// Tokens that a slot must have where nobody says.
const MIN_CONTEXT: u64 = 2048;

/// Steps that are looked beyond the longest context found: packing may make a longer one a little smaller.
const STEPS_BEYOND: u64 = 2;

/// The best configuration of a model within limits.
///
/// # Errors
///
/// As of [`estimate`](crate::estimate::estimate), and [`Error::InvalidArgument`] for an empty list, a context out of order, or
/// no type of the cache that suits the model. That nothing fits is no error: see [`Fit::fits`].
pub fn fit(
    model: &Estimator<'_>,
    companions: Companions<'_>,
    limits: &FitLimits,
    options: &FitOptions,
) -> Result<Fit> {
    let search = FitSearch::new(model, companions, limits, options)?;
    match search.best()? {
        Some(best) => search.outcome(best),
        None => search.refusal(),
    }
}

struct FitSearch<'a> {
    model: &'a Estimator<'a>,
    companions: Companions<'a>,
    limits: FitLimits,
    run: EstimateOptions,
    contexts: (u64, u64),
    choices: Choices<'a>,
}

impl<'a> FitSearch<'a> {
    fn new(
        model: &'a Estimator<'a>,
        companions: Companions<'a>,
        limits: &FitLimits,
        options: &'a FitOptions,
    ) -> Result<Self> {
        // What was not asked for gets what is left.
        let run = EstimateOptions {
            prompt_cache_bytes: options.run.prompt_cache_bytes.or(Some(0)),
            checkpoints: options.run.checkpoints.or(Some(0)),
            ..options.run
        };
        let limits = limits.within(options.run.runtime.window_bytes());
        let trained = model.trained_context_length();
        let most = options.max_context.unwrap_or(trained);
        let least = options.min_context.unwrap_or_else(|| MIN_CONTEXT.min(trained).min(most));
        if least > most {
            let expected = format!("at most maxContext, which is {most}");
            return Err(Error::invalid_argument("minContext", expected, least.to_string()));
        }
        let mut search =
            Self { model, companions, limits, run, contexts: (least, most), choices: Choices::new(options)? };
        search.choices.kv_types = search.suitable()?;
        Ok(search)
    }

    /// The types that the model's cache can have.
    fn suitable(&self) -> Result<Vec<KvType>> {
        let Some(first) = self.choices.all().first().copied() else { return Ok(Vec::new()) };
        let mut refusal = None;
        let mut suitable = Vec::new();
        for kv_type in &self.choices.kv_types {
            let choice = Choice { kv_type: *kv_type, ..first };
            match self.needs(&choice.with(self.contexts.0, self.run.gpu_layers)) {
                Ok(_) => suitable.push(*kv_type),
                Err(error @ Error::InvalidArgument { name: "kvTypeK" | "kvTypeV", .. }) => {
                    refusal = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        match refusal {
            Some(error) if suitable.is_empty() => Err(error),
            _ => Ok(suitable),
        }
    }

    /// The best configuration that fits.
    fn best(&self) -> Result<Option<Configuration>> {
        let mut best: Option<([u64; AXES], Configuration)> = None;
        let mut decided = None;
        for choice in self.choices.all() {
            let before_context = self.choices.rank_before_context(choice);
            // Whatever context it has, it is worse.
            if decided.is_some_and(|decided| before_context > decided) {
                break;
            }
            let Some(found) = self.longest(choice)? else { continue };
            decided = Some(before_context);
            let rank = self.choices.rank(&found);
            if best.as_ref().is_none_or(|(least, _)| rank < *least) {
                best = Some((rank, found));
            }
        }
        Ok(best.map(|(_, configuration)| configuration))
    }

    fn needs(&self, configuration: &Configuration) -> Result<ModelMemoryEstimate> {
        let options = EstimateOptions {
            context_length: Some(configuration.context_length),
            parallel: configuration.parallel,
            kv_type_k: configuration.kv_type,
            kv_type_v: configuration.kv_type,
            ubatch: configuration.ubatch,
            batch: self.run.batch.max(configuration.ubatch),
            gpu_layers: configuration.gpu_layers,
            mmap: configuration.mmap,
            ..self.run
        };
        self.model.estimate(&options, self.companions)
    }

    /// Why it does not fit, if it does not.
    fn excess(&self, configuration: &Configuration) -> Result<Option<Excess>> {
        Ok(self.limits.broken_by(&self.needs(configuration)?))
    }

    /// The longest context of a choice, with as many layers on the GPU as that has room for.
    fn longest(&self, choice: Choice) -> Result<Option<Configuration>> {
        let (least, most) = self.contexts;
        let gpu_layers = self.gpu_layers(choice)?;
        let at = |context_length| choice.with(context_length, gpu_layers);
        let peak_if_fits = |context_length| -> Result<(u64, bool)> {
            let needs = self.needs(&at(context_length))?;
            Ok((needs.totals.peak_bytes, self.limits.broken_by(&needs).is_none()))
        };
        let (least_peak, fits) = peak_if_fits(least)?;
        if !fits {
            return Ok(None);
        }
        let (most_peak, fits) = peak_if_fits(most)?;
        if fits {
            return Ok(Some(at(most)));
        }
        // Whole steps, the first of which is `least` itself.
        let context = |step: u64| if step == 0 { least } else { (least / STEP + step) * STEP };
        let steps = (most / STEP).saturating_sub(least / STEP);
        let (mut fitting, mut beyond) = ((0, least_peak), (steps + 1, most_peak));
        let mut halves = false;
        while beyond.0 - fitting.0 > 1 {
            let width = beyond.0 - fitting.0;
            let middle = if halves { fitting.0 + width / 2 } else { self.step_between(fitting, beyond) };
            let (peak, fits) = peak_if_fits(context(middle))?;
            if fits {
                fitting = (middle, peak);
            } else {
                beyond = (middle, peak);
            }
            // Where needs are no straight line, or another limit binds, this finds it all the same.
            halves = beyond.0 - fitting.0 > width / 2;
        }
        for step in (beyond.0 + 1)..=(beyond.0 + STEPS_BEYOND).min(steps) {
            if peak_if_fits(context(step))?.1 {
                fitting.0 = step;
            }
        }
        Ok(Some(at(context(fitting.0))))
    }

    /// The step between two at which a straight line of needs reaches the budget.
    fn step_between(&self, fitting: (u64, u64), beyond: (u64, u64)) -> u64 {
        let room = self.limits.budget_bytes.saturating_sub(fitting.1);
        let rise = beyond.1.saturating_sub(fitting.1).max(1);
        let steps = u128::from(beyond.0 - fitting.0) * u128::from(room) / u128::from(rise);
        let step = fitting.0 + u64::try_from(steps).unwrap_or(u64::MAX).min(beyond.0 - fitting.0);
        step.clamp(fitting.0 + 1, beyond.0 - 1)
    }

    /// Layers on the GPU: as many as its limit has room for with the shortest context, or as many as were asked for.
    fn gpu_layers(&self, choice: Choice) -> Result<u64> {
        let Some(limit) = self.limits.gpu_bytes else {
            return Ok(self.run.gpu_layers.min(self.model.block_count() + 1));
        };
        let on_gpu = |layers| -> Result<bool> {
            let needs = self.needs(&choice.with(self.contexts.0, layers))?;
            let gpu = needs.devices.get(1).map_or(0, |gpu| gpu.peak_bytes);
            Ok(gpu <= limit)
        };
        // The output matrix is a layer of its own; who says a number does not want more.
        let all = self.model.block_count() + 1;
        let most = if self.run.gpu_layers > 0 { self.run.gpu_layers.min(all) } else { all };
        let (mut fitting, mut beyond) = (0, most + 1);
        while beyond - fitting > 1 {
            let middle = fitting + (beyond - fitting) / 2;
            if on_gpu(middle)? {
                fitting = middle;
            } else {
                beyond = middle;
            }
        }
        Ok(fitting)
    }

    fn outcome(&self, best: Configuration) -> Result<Fit> {
        let estimate = self.needs(&best)?;
        let mut neighbours = Vec::new();
        for (axis, choice) in self.choices.others(&best) {
            let Some(configuration) = self.longest(choice)? else { continue };
            let same = Configuration { context_length: best.context_length, ..configuration };
            neighbours.push(Neighbour { axis, configuration, same_context: self.needs(&same).ok() });
        }
        let trades = trades(&best, &estimate, neighbours, &self.limits);
        Ok(Fit {
            fits: true,
            configuration: best,
            reasons: self.reasons(&best)?,
            trades,
            spare_bytes: self.limits.budget_bytes.saturating_sub(estimate.totals.peak_bytes),
            estimate,
        })
    }

    /// What keeps the best from being larger.
    fn reasons(&self, best: &Configuration) -> Result<Vec<String>> {
        let mut reasons = Vec::new();
        let (_, most) = self.contexts;
        if best.context_length >= most {
            let whose = if most == self.model.trained_context_length() {
                "the model was trained with"
            } else {
                "were asked for"
            };
            reasons.push(format!("The context has all of the {} tokens that {whose}.", grouped(most)));
        } else {
            let next = (best.context_length / STEP + 1) * STEP;
            let longer = Configuration { context_length: next.min(most), ..*best };
            if let Some(excess) = self.excess(&longer)? {
                reasons.push(format!(
                    "{} tokens would need {}.",
                    grouped(longer.context_length),
                    excess.in_words()
                ));
            }
        }
        for (axis, better) in self.better_than(best) {
            if let Some(excess) = self.excess(&better)? {
                let what = match axis {
                    FitAxis::Parallel => format!("{} slots", better.parallel),
                    FitAxis::KvType => format!("{} KV", better.kv_type.name()),
                    FitAxis::Ubatch => format!("A micro-batch of {}", better.ubatch),
                    FitAxis::Context | FitAxis::Mmap => continue,
                };
                reasons.push(format!(
                    "{what} with {} tokens would need {}.",
                    grouped(better.context_length),
                    excess.in_words()
                ));
            }
        }
        Ok(reasons)
    }

    /// The first choice on each axis that the best has not got, with the shortest context.
    fn better_than(&self, best: &Configuration) -> Vec<(FitAxis, Configuration)> {
        let short = Configuration { context_length: self.contexts.0, ..*best };
        let mut better = Vec::new();
        if let Some(parallel) = self.choices.parallel.first().filter(|it| **it != best.parallel) {
            better.push((FitAxis::Parallel, Configuration { parallel: *parallel, ..short }));
        }
        if let Some(kv_type) = self.choices.kv_types.first().filter(|it| **it != best.kv_type) {
            better.push((FitAxis::KvType, Configuration { kv_type: *kv_type, ..short }));
        }
        if let Some(ubatch) = self.choices.ubatches.first().filter(|it| **it != best.ubatch) {
            better.push((FitAxis::Ubatch, Configuration { ubatch: *ubatch, ..short }));
        }
        better
    }

    /// The smallest there is, and what it would need.
    fn refusal(&self) -> Result<Fit> {
        let mut smallest: Option<(Configuration, ModelMemoryEstimate)> = None;
        for choice in self.choices.all() {
            let configuration = choice.with(self.contexts.0, self.gpu_layers(choice)?);
            let needs = self.needs(&configuration)?;
            if smallest.as_ref().is_none_or(|(_, least)| needs.totals.peak_bytes < least.totals.peak_bytes) {
                smallest = Some((configuration, needs));
            }
        }
        let (configuration, estimate) =
            smallest.ok_or_else(|| Error::internal("a search without a choice".to_owned()))?;
        let excess = self.limits.broken_by(&estimate);
        let reasons = excess.map(|excess| {
            format!(
                "Even {} tokens in {}, with {} KV and a micro-batch of {}, need {}.",
                grouped(configuration.context_length),
                if configuration.parallel == 1 {
                    "one slot".to_owned()
                } else {
                    format!("{} slots", configuration.parallel)
                },
                configuration.kv_type.name(),
                configuration.ubatch,
                excess.in_words()
            )
        });
        Ok(Fit {
            fits: false,
            configuration,
            reasons: reasons.into_iter().collect(),
            trades: Vec::new(),
            spare_bytes: 0,
            estimate,
        })
    }
}

impl Excess {
    fn in_words(&self) -> String {
        let Self { holder, needed_bytes, limit_bytes } = self;
        format!(
            "{} of {holder}, which has {}: {} too much",
            format_bytes(*needed_bytes),
            format_bytes(*limit_bytes),
            format_bytes(needed_bytes - limit_bytes)
        )
    }
}
