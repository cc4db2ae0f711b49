//! The native half of `MemoryMonitor`.

use std::{sync::Arc, time::Duration};

use napi::{
    Env, Status,
    bindgen_prelude::Function,
    threadsafe_function::{ThreadsafeCallContext, ThreadsafeFunctionCallMode},
};
use napi_derive::napi;
use plimsoll::{
    budget::HeadroomOptions,
    monitor::{Level, LevelLimits, Monitor, MonitorOptions, Notice, Sample, Updates},
    system::{Probe, SystemRoot},
};

use crate::{
    budget::{Headroom, NativeBudget},
    error::to_js,
    mirror::{Cross, mirror, since_1970_ms},
    system::{DarkMemory, MachineMemory, Pressure, ProcessMemory, Zram},
};

/// More notices than this wait for JavaScript only while its event loop stands still; newer ones are then dropped.
/// Nothing is lost by it, since the next sample tells the level and the counters again.
const MAX_WAITING: usize = 64;

#[napi(object, object_to_js = false)]
pub struct NativeMonitorOptions {
    pub warn_percent: Option<f64>,
    pub critical_percent: Option<f64>,
    pub hysteresis_percent: Option<f64>,
    pub floor_bytes: Option<f64>,
    pub refuse_at_critical: bool,
    pub interval_ms: Option<f64>,
    pub history_count: Option<u32>,
    pub wants_all: bool,
}

mirror! {
    /// One reading of the memory.
    pub struct MonitorSample of Sample {
        /// When it was taken, in milliseconds since 1970.
        pub time_ms: f64 = since_1970_ms(at),
        /// The level it led to.
        pub level: Level as "'normal' | 'warning' | 'critical'",
        /// Use in percent of what could be used at most: the highest among machine, cgroups and line.
        pub used_percent: f64,
        /// The bound whose use that is, in words.
        pub constraint: String,
        /// What the system can give now.
        pub headroom: Headroom,
        /// The line of the budget, in bytes.
        pub line_bytes: f64,
        /// What is granted under it, in bytes.
        pub allocated_bytes: f64,
        /// What the process has resident.
        pub process: Option<ProcessMemory> = signals.process.clone().ok().cross(),
        /// The machine's memory.
        // A sample is only made from signals with the machine's memory.
        pub memory: MachineMemory = signals.machine().as_ref().map(MachineMemory::from).unwrap_or_default(),
        /// Pressure stall information, where the kernel has it.
        pub pressure: Option<Pressure> = signals.pressure.clone().ok().cross(),
        /// What swap on compressed RAM costs, where there is any.
        pub zram: Option<Zram> = signals.zram.clone().ok().cross(),
        /// RAM that no counter owns, what drivers have taken, and how fast it grows; where the kernel's lines tell it.
        pub dark: Option<DarkMemory> = signals.dark.clone().ok().cross(),
        /// Free blocks of 2 MiB, up to a second old while there is room, where the kernel counts them.
        pub free_huge_block_count: Option<f64> = signals.free_huge_block_count.clone().ok().cross(),
        /// Kills by the OOM killer since the start, where the kernel counts them.
        pub oom_kill_count: Option<f64> = signals.oom_kill_count.clone().ok().cross(),
    }
    reading { at, signals }
    leaving { process_bytes }
}

#[napi(object, object_from_js = false)]
pub struct NativeNotice {
    pub sample: Option<MonitorSample>,
    /// Whether the kernel's trigger for stalls called for the sample.
    pub stalled: bool,
    /// Kills by the OOM killer since the sample told before.
    pub kill_count: f64,
    /// Why there is no sample.
    pub unavailable: Option<String>,
}

impl From<&Notice> for NativeNotice {
    fn from(notice: &Notice) -> Self {
        match notice {
            Notice::Sample { sample, previous: _, stalled, kill_count } => Self {
                sample: Some(Sample::clone(sample).into()),
                stalled: *stalled,
                kill_count: *kill_count as f64,
                unavailable: None,
            },
            Notice::Unavailable(reason) => {
                Self { sample: None, stalled: false, kill_count: 0.0, unavailable: Some(reason.to_string()) }
            }
        }
    }
}

impl NativeMonitorOptions {
    fn limits(&self) -> LevelLimits {
        let defaults = LevelLimits::default();
        LevelLimits {
            warn_percent: self.warn_percent.unwrap_or(defaults.warn_percent),
            critical_percent: self.critical_percent.unwrap_or(defaults.critical_percent),
            hysteresis_percent: self.hysteresis_percent.unwrap_or(defaults.hysteresis_percent),
        }
    }

    fn core(&self, root: &SystemRoot) -> Probe<MonitorOptions> {
        let defaults = MonitorOptions::default();
        Ok(MonitorOptions {
            root: root.clone(),
            limits: self.limits(),
            headroom: HeadroomOptions::at(root, self.floor_bytes.map(|bytes| bytes as u64))?,
            refuse_at_critical: self.refuse_at_critical,
            interval: self.interval_ms.map(|ms| Duration::from_secs_f64(ms / 1e3)),
            history_count: self.history_count.map_or(defaults.history_count, |count| count as usize),
        })
    }
}

/// A monitor that runs. JavaScript is told on its event loop, which the monitor does not keep alive.
#[napi]
pub struct NativeMonitor {
    monitor: Monitor,
    /// Which of its notices wake the event loop.
    updates: Arc<Updates>,
}

#[napi]
impl NativeMonitor {
    #[napi(factory, catch_unwind)]
    pub fn start(
        env: Env,
        budget: &NativeBudget,
        options: NativeMonitorOptions,
        observe: Function<'_, NativeNotice, ()>,
    ) -> napi::Result<Self> {
        let core = options.core(budget.root()).map_err(|unavailable| to_js(env, &unavailable.into()))?;
        let notify = observe
            .build_threadsafe_function::<Notice>()
            .weak::<true>()
            .max_queue_size::<MAX_WAITING>()
            .build_callback(|context: ThreadsafeCallContext<Notice>| {
                Ok(NativeNotice::from(&context.value))
            })?;
        let updates = Arc::new(Updates::new(options.wants_all));
        let passing = Arc::clone(&updates);
        let observer = move |notice: Notice| {
            passing.pass(notice, |notice| {
                notify.call(notice, ThreadsafeFunctionCallMode::NonBlocking) == Status::Ok
            });
        };
        let monitor = Monitor::start(budget.core().clone(), core, observer);
        monitor.map(|monitor| Self { monitor, updates }).map_err(|error| to_js(env, &error))
    }

    /// Whether every sample is told, and not alone what is new.
    #[napi(catch_unwind)]
    pub fn want_all(&self, wants_all: bool) {
        self.updates.want_all(wants_all);
    }

    #[napi(getter, ts_return_type = "'normal' | 'warning' | 'critical'", catch_unwind)]
    pub fn level(&self) -> String {
        self.monitor.level().name().to_owned()
    }

    #[napi(catch_unwind)]
    pub fn latest(&self) -> Option<MonitorSample> {
        self.monitor.latest().as_deref().cloned().cross()
    }

    #[napi(catch_unwind)]
    pub fn set_limits(&self, env: Env, options: NativeMonitorOptions) -> napi::Result<()> {
        self.monitor.set_limits(options.limits()).map_err(|error| to_js(env, &error))
    }

    #[napi(catch_unwind)]
    pub fn history(&self) -> Vec<MonitorSample> {
        self.monitor.history().iter().map(|sample| Sample::clone(sample).into()).collect()
    }

    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.monitor.close();
    }
}
