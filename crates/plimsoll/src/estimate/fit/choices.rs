//! What there is to choose from, and which of it is better.

use super::{
    configuration::Configuration,
    options::{FitAxis, FitOptions},
};
use crate::sorting::sort_by_key;
use crate::{
    error::{Error, Result},
    estimate::kv_type::KvType,
};

/// How many axes there are.
pub(super) const AXES: usize = FitAxis::ALL.len();

/// The most choices that are searched: each takes some milliseconds at worst.
const MOST_CHOICES: usize = 256;

/// A choice on all axes but the context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) parallel: u64,
    pub(super) kv_type: KvType,
    pub(super) ubatch: u64,
    pub(super) mmap: bool,
}

impl Choice {
    pub(super) const fn with(self, context_length: u64, gpu_layers: u64) -> Configuration {
        let Self { parallel, kv_type, ubatch, mmap } = self;
        Configuration { context_length, parallel, kv_type, ubatch, gpu_layers, mmap }
    }

    pub(super) const fn of(configuration: &Configuration) -> Self {
        let Configuration { parallel, kv_type, ubatch, mmap, .. } = *configuration;
        Self { parallel, kv_type, ubatch, mmap }
    }
}

/// The values of each axis but the context, the best first, and what is decided first.
pub(super) struct Choices<'a> {
    pub(super) parallel: &'a [u64],
    /// Those that the model's cache can have.
    pub(super) kv_types: Vec<KvType>,
    pub(super) ubatches: &'a [u64],
    pub(super) mmap: &'a [bool],
    axes: Vec<FitAxis>,
}

impl<'a> Choices<'a> {
    pub(super) fn new(options: &'a FitOptions) -> Result<Self> {
        for (name, is_empty) in [
            ("parallel", options.parallel.is_empty()),
            ("kvTypes", options.kv_types.is_empty()),
            ("ubatches", options.ubatches.is_empty()),
            ("mmap", options.mmap.is_empty()),
        ] {
            if is_empty {
                return Err(Error::invalid_argument(name, "at least one value", "none"));
            }
        }
        let lists =
            [options.parallel.len(), options.kv_types.len(), options.ubatches.len(), options.mmap.len()];
        let choices = lists.into_iter().fold(1, usize::saturating_mul);
        if choices > MOST_CHOICES {
            let expected = format!("lists that make at most {MOST_CHOICES} choices together");
            return Err(Error::invalid_argument("options", expected, choices.to_string()));
        }
        let mut axes = options.priorities.clone();
        axes.extend(FitAxis::ALL.iter().filter(|axis| !options.priorities.contains(axis)));
        Ok(Self {
            parallel: &options.parallel,
            kv_types: options.kv_types.clone(),
            ubatches: &options.ubatches,
            mmap: &options.mmap,
            axes,
        })
    }

    /// Every choice, those first that are better on what is decided before the context.
    pub(super) fn all(&self) -> Vec<Choice> {
        let mut all = Vec::new();
        for parallel in self.parallel {
            for kv_type in &self.kv_types {
                for ubatch in self.ubatches {
                    let of = |mmap: &bool| Choice {
                        parallel: *parallel,
                        kv_type: *kv_type,
                        ubatch: *ubatch,
                        mmap: *mmap,
                    };
                    all.extend(self.mmap.iter().map(of));
                }
            }
        }
        sort_by_key(&mut all, |choice| self.rank_before_context(*choice));
        all
    }

    /// How good it is: the places of its values, in the order of the priorities; the smallest is the best.
    pub(super) fn rank(&self, configuration: &Configuration) -> [u64; AXES] {
        let choice = Choice::of(configuration);
        let mut rank = [u64::MAX; AXES];
        for (rank, axis) in rank.iter_mut().zip(&self.axes) {
            *rank = match axis {
                FitAxis::Context => u64::MAX - configuration.context_length,
                axis => self.place(*axis, choice),
            };
        }
        rank
    }

    /// The same up to the context, of which nothing is known yet.
    pub(super) fn rank_before_context(&self, choice: Choice) -> [u64; AXES] {
        let mut rank = [0; AXES];
        let before = self.axes.iter().take_while(|axis| **axis != FitAxis::Context);
        for (rank, axis) in rank.iter_mut().zip(before) {
            *rank = self.place(*axis, choice);
        }
        rank
    }

    /// The place of a choice's value among those of an axis.
    fn place(&self, axis: FitAxis, choice: Choice) -> u64 {
        fn place_in<T: PartialEq>(list: &[T], value: &T) -> u64 {
            list.iter().position(|it| it == value).map_or(u64::MAX, |place| place as u64)
        }
        match axis {
            FitAxis::Parallel => place_in(self.parallel, &choice.parallel),
            FitAxis::KvType => place_in(&self.kv_types, &choice.kv_type),
            FitAxis::Ubatch => place_in(self.ubatches, &choice.ubatch),
            FitAxis::Mmap => place_in(self.mmap, &choice.mmap),
            FitAxis::Context => 0,
        }
    }

    /// What differs from the best on one axis: the other values of each, and one slot fewer.
    pub(super) fn others(&self, best: &Configuration) -> Vec<(FitAxis, Choice)> {
        let chosen = Choice::of(best);
        let fewer = Some(best.parallel - 1).filter(|slots| *slots > 0 && !self.parallel.contains(slots));
        let slots = self.parallel.iter().copied().chain(fewer).filter(|it| *it != chosen.parallel);
        let kv_types = self.kv_types.iter().filter(|it| **it != chosen.kv_type);
        let ubatches = self.ubatches.iter().filter(|it| **it != chosen.ubatch);
        let maps = self.mmap.iter().filter(|it| **it != chosen.mmap);
        let mut others: Vec<_> =
            slots.map(|parallel| (FitAxis::Parallel, Choice { parallel, ..chosen })).collect();
        others.extend(kv_types.map(|kv_type| (FitAxis::KvType, Choice { kv_type: *kv_type, ..chosen })));
        others.extend(ubatches.map(|ubatch| (FitAxis::Ubatch, Choice { ubatch: *ubatch, ..chosen })));
        others.extend(maps.map(|mmap| (FitAxis::Mmap, Choice { mmap: *mmap, ..chosen })));
        others
    }
}
