//! The metrics there are, as every program names them that shows them elsewhere: Prometheus and OpenTelemetry.

/// What a metric counts like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// One value.
    Gauge,
    /// A value that adds up over its attributes.
    UpDownCounter,
    /// A value that adds up, and only grows.
    Counter,
}

names!(MetricKind {
    Gauge => "gauge",
    UpDownCounter => "upDownCounter",
    Counter => "counter",
});

/// What becomes of the values of several things that go by the same attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricMerge {
    /// Their sum.
    Sum,
    /// The greatest of them.
    Greatest,
}

names!(MetricMerge {
    Sum => "sum",
    Greatest => "greatest",
});

/// What is known of a metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricDefinition {
    /// Which it is, by its name in OpenTelemetry.
    pub metric: Metric,
    /// Its name in Prometheus, by the rules with which OpenTelemetry's names are translated.
    pub prometheus_name: String,
    /// Its unit, in UCUM: `By` for bytes, `s` for seconds, `{request}` for things that are counted; empty where there is none.
    pub unit: &'static str,
    /// What it counts like.
    pub kind: MetricKind,
    /// What it says, in a sentence.
    pub help: &'static str,
    /// The attributes that its values may have.
    pub attributes: &'static [&'static str],
    /// What becomes of values with the same attributes.
    pub merge: MetricMerge,
}

/// One list of all that is known: the comment of each is its help.
macro_rules! metrics {
    ($(
        #[doc = $help:literal]
        $metric:ident = $name:literal: $kind:ident, $unit:literal, [$($attribute:literal),*] $(, $merge:ident)?;
    )+) => {
        /// A metric. Names are those of OpenTelemetry's conventions where these have one, all others begin with `plimsoll.`.
        ///
        /// Source: OpenTelemetry Semantic Conventions, "System Metrics", "Process Metrics" and "Hardware Metrics".
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Metric {
            $(
                #[doc = $help]
                $metric,
            )+
        }

        names!(Metric { $($metric => $name),+ });

        impl Metric {
            /// What is known of it.
            #[must_use]
            pub fn definition(self) -> MetricDefinition {
                match self {
                    $(Self::$metric => MetricDefinition {
                        metric: self,
                        prometheus_name: prometheus_name($name, $unit, MetricKind::$kind),
                        unit: $unit,
                        kind: MetricKind::$kind,
                        help: $help.trim_ascii_start(),
                        attributes: &[$($attribute),*],
                        merge: metrics!(@merge $($merge)?),
                    },)+
                }
            }
        }
    };
    (@merge) => { MetricMerge::Sum };
    (@merge $merge:ident) => { MetricMerge::$merge };
}

metrics! {
    // By OpenTelemetry's conventions.
    /// RAM that the kernel manages.
    SystemMemoryLimit = "system.memory.limit": UpDownCounter, "By", [];
    /// RAM by state: used and available.
    SystemMemoryUsage = "system.memory.usage": UpDownCounter, "By", ["system.memory.state"];
    /// RAM that programs could take without swapping.
    SystemMemoryLinuxAvailable = "system.memory.linux.available": UpDownCounter, "By", [];
    /// Swap by state: used and free.
    SystemPagingUsage = "system.paging.usage": UpDownCounter, "By", ["system.paging.state"];
    /// What a process has resident.
    ProcessMemoryUsage = "process.memory.usage": UpDownCounter, "By", ["process.pid", "process.executable.name"];
    /// All the memory of a GPU.
    HwGpuMemoryLimit = "hw.gpu.memory.limit": UpDownCounter, "By", ["hw.id", "hw.name"];
    /// Memory of a GPU that is in use, whoever uses it.
    HwGpuMemoryUsage = "hw.gpu.memory.usage": UpDownCounter, "By", ["hw.id", "hw.name"];
    // The machine, as a budget sees it.
    /// Memory of a GPU that a process holds.
    GpuProcessMemory = "plimsoll.gpu.process.memory": UpDownCounter, "By", ["hw.id", "process.pid", "process.executable.name"];
    /// RAM that no counter of the kernel owns.
    MemoryDark = "plimsoll.memory.dark": UpDownCounter, "By", [];
    /// Pages of files that live processes have mapped.
    MemoryMapped = "plimsoll.memory.mapped": UpDownCounter, "By", [];
    /// RAM that compressed swap takes.
    MemoryZram = "plimsoll.memory.zram": UpDownCounter, "By", [];
    /// Time that tasks stood still for want of memory.
    MemoryStalled = "plimsoll.memory.stalled": Counter, "s", ["plimsoll.stall"];
    /// Kills by the OOM killer since the start.
    OomKills = "plimsoll.oom.kills": Counter, "{kill}", [];
    /// What the system can give now, less what is granted and not yet taken.
    Headroom = "plimsoll.headroom": Gauge, "By", [];
    /// Room of each bound of headroom.
    HeadroomRoom = "plimsoll.headroom.room": Gauge, "By", ["plimsoll.bound", "plimsoll.path"], Greatest;
    /// What was granted and not yet taken.
    HeadroomPending = "plimsoll.headroom.pending": UpDownCounter, "By", [];
    // A budget.
    /// The line: what may be used at most.
    BudgetLine = "plimsoll.budget.line": Gauge, "By", [];
    /// Every bound that was weighed to draw the line.
    BudgetTerm = "plimsoll.budget.term": Gauge, "By", ["plimsoll.bound"];
    /// What is granted under the line.
    BudgetAllocated = "plimsoll.budget.allocated": UpDownCounter, "By", [];
    /// What could be granted now.
    BudgetAvailable = "plimsoll.budget.available": Gauge, "By", [];
    /// The most that was ever granted at once.
    BudgetPeak = "plimsoll.budget.peak": Gauge, "By", [];
    /// What is granted under each label.
    BudgetLabel = "plimsoll.budget.label": UpDownCounter, "By", ["plimsoll.label"];
    /// Requests that were refused, in all threads, since the first budget of that memory was made.
    Refusals = "plimsoll.refusals": Counter, "{request}", ["error.type"];
    /// The level of the monitor: 0 normal, 1 warning, 2 critical.
    Level = "plimsoll.level": Gauge, "", [];
    // The queue.
    /// Requests that wait for their turn.
    QueueWaiting = "plimsoll.queue.waiting": UpDownCounter, "{request}", [];
    /// What those ask for together.
    QueueWanted = "plimsoll.queue.wanted": UpDownCounter, "By", [];
    /// How long the oldest of them has waited.
    QueueOldest = "plimsoll.queue.oldest": Gauge, "s", [];
    // Pools and families of buffers.
    /// Slabs that a pool has taken from its device.
    PoolHeld = "plimsoll.pool.held": UpDownCounter, "By", ["plimsoll.pool", "plimsoll.device"];
    /// Blocks of a pool that buffers have.
    PoolUsed = "plimsoll.pool.used": UpDownCounter, "By", ["plimsoll.pool", "plimsoll.device"];
    /// What those buffers asked for.
    PoolRequested = "plimsoll.pool.requested": UpDownCounter, "By", ["plimsoll.pool", "plimsoll.device"];
    /// The largest buffer that a pool has room for.
    PoolHole = "plimsoll.pool.hole": Gauge, "By", ["plimsoll.pool", "plimsoll.device"], Greatest;
    /// Slabs of a pool.
    PoolSlabs = "plimsoll.pool.slabs": UpDownCounter, "{slab}", ["plimsoll.pool", "plimsoll.device"];
    /// Buffers of a pool that are handed out.
    PoolBuffers = "plimsoll.pool.buffers": UpDownCounter, "{buffer}", ["plimsoll.pool", "plimsoll.device"];
    /// Buffers of a pool ever handed out.
    PoolAllocations = "plimsoll.pool.allocations": Counter, "{buffer}", ["plimsoll.pool", "plimsoll.device"];
    /// Requests that found no place in the slabs of a pool.
    PoolFailures = "plimsoll.pool.failures": Counter, "{request}", ["plimsoll.pool", "plimsoll.device"];
    /// What defragmentation has moved in a pool.
    PoolMoved = "plimsoll.pool.moved": Counter, "By", ["plimsoll.pool", "plimsoll.device"];
    /// What buffers of a family asked for.
    BuffersUsed = "plimsoll.buffers.used": UpDownCounter, "By", ["plimsoll.family"];
    /// Live buffers of a family.
    BuffersLive = "plimsoll.buffers.live": UpDownCounter, "{buffer}", ["plimsoll.family"];
    /// What the staging pool keeps idle.
    StagingHeld = "plimsoll.staging.held": UpDownCounter, "By", [];
    /// What of the staging pool is in use.
    StagingUsed = "plimsoll.staging.used": UpDownCounter, "By", [];
    // The ledger.
    /// Whether the ledger can be read: 1, or 0, and then nothing can be granted by it.
    LedgerReadable = "plimsoll.ledger.readable": Gauge, "", [];
    /// What a process that shares the board was granted.
    LedgerHeld = "plimsoll.ledger.held": UpDownCounter, "By", ["plimsoll.holder", "process.pid"];
    /// What of that it has not yet taken.
    LedgerPending = "plimsoll.ledger.pending": UpDownCounter, "By", ["plimsoll.holder", "process.pid"];
    /// What processes that died hold until it is back.
    LedgerDraining = "plimsoll.ledger.draining": UpDownCounter, "By", [];
    /// Requests of a process that wait.
    LedgerWaiting = "plimsoll.ledger.waiting": UpDownCounter, "{request}", ["plimsoll.holder", "process.pid"];
    /// What the first of them asks for.
    LedgerWanted = "plimsoll.ledger.wanted": UpDownCounter, "By", ["plimsoll.holder", "process.pid"];
}

/// Every metric there is, in the order in which they are given.
#[must_use]
pub fn metric_catalogue() -> Vec<MetricDefinition> {
    Metric::ALL.iter().map(|metric| metric.definition()).collect()
}

/// Source: OpenTelemetry's compatibility with Prometheus: dots become `_`, the unit is a suffix but for what is counted, and a
/// counter ends in `_total`.
fn prometheus_name(name: &str, unit: &str, kind: MetricKind) -> String {
    let unit = match unit {
        "By" => "_bytes",
        "s" => "_seconds",
        _ => "",
    };
    let end = if kind == MetricKind::Counter { "_total" } else { "" };
    format!("{}{unit}{end}", name.replace('.', "_"))
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_metric_has_a_name_of_its_own_in_both_worlds_and_a_sentence() {
        let all = metric_catalogue();
        let names: BTreeSet<_> = all.iter().map(|definition| definition.metric.name()).collect();
        let prometheus: BTreeSet<_> = all.iter().map(|definition| &definition.prometheus_name).collect();
        assert_eq!((names.len(), prometheus.len()), (all.len(), all.len()));
        for MetricDefinition { metric, prometheus_name, help, unit, .. } in &all {
            let name = metric.name();
            assert!(
                ["system.", "process.", "hw.", "plimsoll."].iter().any(|start| name.starts_with(start)),
                "{name}"
            );
            assert!(
                prometheus_name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'),
                "{prometheus_name}"
            );
            assert!(help.starts_with(char::is_uppercase) && help.ends_with('.'), "{name}: {help}");
            let counted = unit.starts_with('{') && unit.ends_with('}');
            assert!(counted || ["By", "s", ""].contains(unit), "{name} is in {unit}");
        }
    }

    #[test]
    fn names_in_prometheus_follow_from_those_of_open_telemetry() {
        let name = |metric: Metric| metric.definition().prometheus_name;
        assert_eq!(name(Metric::SystemMemoryLimit), "system_memory_limit_bytes");
        assert_eq!(name(Metric::MemoryStalled), "plimsoll_memory_stalled_seconds_total");
        assert_eq!(name(Metric::OomKills), "plimsoll_oom_kills_total");
        assert_eq!(name(Metric::Level), "plimsoll_level");
    }
}
