//! The catalogue of metrics.

use napi_derive::napi;
use plimsoll::monitor::{
    Metric, MetricDefinition as CoreDefinition, MetricKind, MetricMerge, metric_catalogue as core_catalogue,
};

use crate::mirror::{Cross, mirror};

mirror! {
    /// One metric of the catalogue.
    pub struct MetricDefinition of CoreDefinition {
        /// Its name in OpenTelemetry.
        pub name: Metric as "'system.memory.limit' | 'system.memory.usage' | 'system.memory.linux.available' \
            | 'system.paging.usage' | 'process.memory.usage' | 'hw.gpu.memory.limit' | 'hw.gpu.memory.usage' \
            | 'plimsoll.gpu.process.memory' | 'plimsoll.memory.dark' | 'plimsoll.memory.mapped' \
            | 'plimsoll.memory.zram' | 'plimsoll.memory.stalled' | 'plimsoll.oom.kills' | 'plimsoll.headroom' \
            | 'plimsoll.headroom.room' | 'plimsoll.headroom.pending' | 'plimsoll.budget.line' \
            | 'plimsoll.budget.term' | 'plimsoll.budget.allocated' | 'plimsoll.budget.available' \
            | 'plimsoll.budget.peak' | 'plimsoll.budget.label' | 'plimsoll.refusals' | 'plimsoll.level' \
            | 'plimsoll.queue.waiting' | 'plimsoll.queue.wanted' | 'plimsoll.queue.oldest' \
            | 'plimsoll.pool.held' | 'plimsoll.pool.used' | 'plimsoll.pool.requested' | 'plimsoll.pool.hole' \
            | 'plimsoll.pool.slabs' | 'plimsoll.pool.buffers' | 'plimsoll.pool.allocations' \
            | 'plimsoll.pool.failures' | 'plimsoll.pool.moved' | 'plimsoll.buffers.used' \
            | 'plimsoll.buffers.live' | 'plimsoll.staging.held' | 'plimsoll.staging.used' \
            | 'plimsoll.ledger.readable' | 'plimsoll.ledger.held' | 'plimsoll.ledger.pending' \
            | 'plimsoll.ledger.draining' | 'plimsoll.ledger.waiting' | 'plimsoll.ledger.wanted'" = metric,
        /// Its name in Prometheus, by the rules with which OpenTelemetry's names are translated.
        pub prometheus_name: String,
        /// Its unit, in UCUM: `By` for bytes, `s` for seconds, `{request}` for things that are counted; `''` where there is none.
        pub unit: String,
        /// What it counts like: one value, one that adds up over its attributes, or one that only grows.
        pub kind: MetricKind as "'gauge' | 'upDownCounter' | 'counter'",
        /// What it says, in a sentence.
        pub help: String,
        /// The attributes that its values may have.
        pub attributes: Vec<String> = attributes.to_vec().cross(),
        /// What becomes of the values of several things that go by the same attributes: their sum, or the greatest of them.
        pub merge: MetricMerge as "'sum' | 'greatest'",
    }
    reading { metric, attributes }
}

/// Every metric there is, in the order in which they are given.
#[napi(catch_unwind)]
pub fn metric_catalogue() -> Vec<MetricDefinition> {
    core_catalogue().cross()
}
