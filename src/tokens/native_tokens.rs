//! The native half of `TokenBudget`.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard},
};

use napi::Env;
use napi_derive::napi;
use plimsoll::{
    Error as CoreError,
    tokens::{
        Growth, PrunePolicy, Sequence, SequenceInfo as CoreInfo, TokenBudget, TokenCost,
        TokenLayer as CoreLayer, TokenLimits, TokenUsage as CoreUsage, top_k,
    },
};

use crate::{
    error::to_js,
    mirror::{Cross, kind_of, mirror},
    sync::lock,
};

/// What one layer keeps for tokens and sequences.
#[napi(object, object_to_js = false)]
pub struct NativeTokenLayer {
    pub bytes_per_token: f64,
    pub window_tokens: Option<f64>,
    pub bytes_per_sequence: f64,
    #[napi(ts_type = "'cpu' | 'gpu'")]
    pub device: String,
}

/// What tokens must stay within.
#[napi(object, object_to_js = false)]
pub struct NativeTokenLimits {
    pub max_cache_tokens: Option<f64>,
    pub max_cpu_bytes: Option<f64>,
    pub max_gpu_bytes: Option<f64>,
}

impl From<NativeTokenLimits> for TokenLimits {
    fn from(limits: NativeTokenLimits) -> Self {
        let whole = |number: Option<f64>| number.map(|number| number as u64);
        Self {
            max_cache_tokens: whole(limits.max_cache_tokens),
            max_cpu_bytes: whole(limits.max_cpu_bytes),
            max_gpu_bytes: whole(limits.max_gpu_bytes),
        }
    }
}

/// A growth: the key of the sequence where it was done, else what is lacking.
#[napi(object, object_from_js = false)]
pub struct NativeGrowth {
    pub key: Option<u32>,
    pub bytes: f64,
    pub least_bytes: f64,
}

impl From<Growth<u32>> for NativeGrowth {
    fn from(growth: Growth<u32>) -> Self {
        match growth {
            Growth::Done(key) => Self { key: Some(key), bytes: 0.0, least_bytes: 0.0 },
            Growth::Lacks { bytes, least_bytes } => {
                Self { key: None, bytes: bytes as f64, least_bytes: least_bytes as f64 }
            }
        }
    }
}

mirror! {
    /// What tokens are in use.
    pub struct TokenUsage of CoreUsage {
        /// Tokens of all sequences, those that are shared counted once.
        pub tokens: f64,
        /// The most that there ever were.
        pub peak_tokens: f64,
        /// Sequences that have a token.
        pub sequences: f64,
        /// What they cost, in bytes.
        pub used_bytes: f64 = bytes as f64,
        /// Of these on the processor, in bytes.
        pub cpu_bytes: f64,
        /// Of these on the GPU, in bytes.
        pub gpu_bytes: f64,
        /// What is reserved for them, in bytes; absent without a grant.
        pub reserved_bytes: Option<f64>,
        /// Tokens that could be added to a sequence now, by the limits and what is reserved; absent where nothing limits them.
        pub free_tokens: Option<f64>,
    }
    reading { bytes }
}

mirror! {
    pub struct NativeSequenceInfo of CoreInfo {
        pub key: u32 = id.number(),
        pub label: String,
        pub tokens: f64,
        pub own_tokens: f64,
        pub score: f64,
    }
    reading { id }
}

/// The places of the `k` highest scores, the highest first.
#[napi(catch_unwind)]
pub fn top_scores(env: Env, scores: Vec<f64>, k: u32) -> napi::Result<Vec<u32>> {
    top_k(&scores, k as usize).map_err(|error| to_js(env, &error))
}

/// A budget of tokens with the sequences that JavaScript has there, by their keys.
#[napi]
pub struct NativeTokens {
    budget: TokenBudget,
    sequences: Mutex<HashMap<u32, Sequence>>,
}

#[napi]
impl NativeTokens {
    #[napi(factory, catch_unwind)]
    pub fn create(env: Env, layers: Vec<NativeTokenLayer>, limits: NativeTokenLimits) -> napi::Result<Self> {
        let layer = |layer: NativeTokenLayer| {
            Ok(CoreLayer {
                bytes_per_token: layer.bytes_per_token as u64,
                window_tokens: layer.window_tokens.map(|tokens| tokens as u64),
                bytes_per_sequence: layer.bytes_per_sequence as u64,
                device: kind_of("device", &layer.device)?,
            })
        };
        let layers = layers.into_iter().map(layer).collect::<plimsoll::Result<Vec<_>>>();
        let cost = layers.and_then(TokenCost::new).map_err(|error| to_js(env, &error))?;
        Ok(Self { budget: TokenBudget::new(cost, limits.into()), sequences: Mutex::default() })
    }

    fn sequences(&self) -> MutexGuard<'_, HashMap<u32, Sequence>> {
        lock(&self.sequences)
    }

    fn with<T>(
        &self,
        env: Env,
        key: u32,
        act: impl FnOnce(&Sequence) -> plimsoll::Result<T>,
    ) -> napi::Result<T> {
        let sequences = self.sequences();
        let sequence = sequences.get(&key).ok_or(CoreError::Released { what: "the sequence of tokens" });
        sequence.and_then(act).map_err(|error| to_js(env, &error))
    }

    #[napi(catch_unwind)]
    pub fn set_limits(&self, limits: NativeTokenLimits) {
        self.budget.set_limits(limits.into());
    }

    #[napi(catch_unwind)]
    pub fn set_reserved_bytes(&self, bytes: f64) {
        self.budget.set_reserved_bytes(bytes as u64);
    }

    #[napi(catch_unwind)]
    pub fn open(&self, label: String) -> u32 {
        self.insert(self.budget.open(label))
    }

    fn insert(&self, sequence: Sequence) -> u32 {
        let key = sequence.id().number();
        self.sequences().insert(key, sequence);
        key
    }

    #[napi(catch_unwind)]
    pub fn extend(&self, env: Env, key: u32, tokens: f64) -> napi::Result<NativeGrowth> {
        let growth = self.with(env, key, |sequence| sequence.extend(tokens as u64))?;
        Ok(match growth {
            Growth::Done(()) => Growth::Done(key),
            Growth::Lacks { bytes, least_bytes } => Growth::Lacks { bytes, least_bytes },
        }
        .into())
    }

    #[napi(catch_unwind)]
    pub fn fork(&self, env: Env, key: u32, label: String) -> napi::Result<NativeGrowth> {
        let growth = self.with(env, key, |sequence| sequence.fork(label))?;
        Ok(match growth {
            Growth::Done(sequence) => Growth::Done(self.insert(sequence)),
            Growth::Lacks { bytes, least_bytes } => Growth::Lacks { bytes, least_bytes },
        }
        .into())
    }

    #[napi(catch_unwind)]
    pub fn truncate(&self, env: Env, key: u32, tokens: f64) -> napi::Result<()> {
        self.with(env, key, |sequence| sequence.truncate(tokens as u64))
    }

    #[napi(catch_unwind)]
    pub fn touch(&self, env: Env, key: u32, score: Option<f64>) -> napi::Result<()> {
        self.with(env, key, |sequence| sequence.touch(score))
    }

    #[napi(catch_unwind)]
    pub fn tokens(&self, env: Env, key: u32) -> napi::Result<f64> {
        self.with(env, key, |sequence| Ok(sequence.tokens()? as f64))
    }

    /// Frees a sequence, if it is there still.
    #[napi(catch_unwind)]
    pub fn free(&self, key: u32) {
        // Dropped after the lock.
        let _sequence = self.sequences().remove(&key);
    }

    #[napi(catch_unwind)]
    pub fn usage(&self) -> TokenUsage {
        self.budget.usage().into()
    }

    /// Whether so many tokens more would fit if all others had gone, with `bytes` for them.
    #[napi(catch_unwind)]
    pub fn could_extend(&self, key: u32, tokens: f64, bytes: f64) -> bool {
        let id = self.sequences().get(&key).map(Sequence::id);
        id.is_some_and(|id| self.budget.could_extend(id, tokens as u64, bytes as u64))
    }

    #[napi(catch_unwind)]
    pub fn layer_bytes(&self) -> Vec<f64> {
        self.budget.layer_bytes().cross()
    }

    #[napi(catch_unwind)]
    pub fn list(&self) -> Vec<NativeSequenceInfo> {
        self.budget.sequences().into_iter().map(Into::into).collect()
    }

    /// Frees the tokens of the one that goes first, and returns its key.
    #[napi(catch_unwind)]
    pub fn prune(&self, env: Env, policy: String, except: Option<u32>) -> napi::Result<Option<u32>> {
        let policy: PrunePolicy = kind_of("prune", &policy).map_err(|error| to_js(env, &error))?;
        let except = except.and_then(|key| self.sequences().get(&key).map(Sequence::id));
        let first = self.budget.next_to_prune(policy, except);
        if let Some(id) = first {
            self.budget.prune(id);
        }
        Ok(first.map(plimsoll::tokens::SequenceId::number))
    }
}
