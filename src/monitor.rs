//! The native half of `MemoryMonitor`.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, UNIX_EPOCH},
};

use napi::{
    Env, Status,
    bindgen_prelude::Function,
    threadsafe_function::{ThreadsafeCallContext, ThreadsafeFunctionCallMode},
};
use napi_derive::napi;
use plimsoll::{
    monitor::{Level, Limits, Monitor, MonitorOptions, Notice, Sample},
    sync::lock,
    system::{Probe, SystemRoot},
};

use crate::{
    budget::NativeBudget,
    error::to_js,
    headroom::{Headroom, headroom_options},
    machine::{DarkMemory, MachineMemory, Pressure, Zram},
    system::ProcessMemory,
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
    pub hears_all: bool,
}

/// One look at the memory.
#[napi(object, object_from_js = false)]
pub struct MonitorSample {
    /// When it was taken, in milliseconds since 1970.
    pub time_ms: f64,
    /// The level it led to.
    #[napi(ts_type = "'normal' | 'warning' | 'critical'")]
    pub level: String,
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
    pub process: Option<ProcessMemory>,
    /// The machine's memory.
    pub memory: MachineMemory,
    /// Pressure stall information, where the kernel has it.
    pub pressure: Option<Pressure>,
    /// What swap on compressed RAM costs, where there is any.
    pub zram: Option<Zram>,
    /// RAM that no counter owns, what drivers have taken, and how fast it grows; where the kernel's lines tell it.
    pub dark: Option<DarkMemory>,
    /// Free blocks of 2 MiB, up to a second old while there is room, where the kernel counts them.
    pub free_huge_block_count: Option<f64>,
    /// Kills by the kernel's killer since the start, where the kernel counts them.
    pub oom_kill_count: Option<f64>,
}

#[napi(object, object_from_js = false)]
pub struct NativeNotice {
    pub sample: Option<MonitorSample>,
    /// Whether the kernel's trigger for stalls called for the sample.
    pub stalled: bool,
    /// Kills by the kernel's killer since the sample told before.
    pub kill_count: f64,
    /// Why there is no sample.
    pub unavailable: Option<String>,
}

impl From<&Sample> for MonitorSample {
    fn from(sample: &Sample) -> Self {
        let signals = &sample.signals;
        let since = sample.at.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            time_ms: since.as_secs_f64() * 1e3,
            level: sample.level.name().to_owned(),
            used_percent: sample.used_percent,
            constraint: sample.constraint.clone(),
            headroom: Headroom::from(&sample.headroom),
            line_bytes: sample.line_bytes as f64,
            allocated_bytes: sample.allocated_bytes as f64,
            process: signals.process.as_ref().ok().map(|process| ProcessMemory::from(*process)),
            // A sample is only made from signals with the machine's memory.
            memory: signals.machine().as_ref().map_or_else(|_| MachineMemory::default(), MachineMemory::from),
            pressure: signals.pressure.as_ref().ok().map(Pressure::from),
            zram: signals.zram.as_ref().ok().map(Zram::from),
            dark: signals.dark.as_ref().ok().map(DarkMemory::from),
            free_huge_block_count: signals.free_huge_block_count.as_ref().ok().map(|count| *count as f64),
            oom_kill_count: signals.oom_kill_count.as_ref().ok().map(|count| *count as f64),
        }
    }
}

/// What JavaScript is to be told.
enum News {
    Sample { sample: Arc<Sample>, stalled: bool, kill_count: u64 },
    Unavailable(String),
}

impl From<&News> for NativeNotice {
    fn from(news: &News) -> Self {
        match news {
            News::Sample { sample, stalled, kill_count } => Self {
                sample: Some(MonitorSample::from(&**sample)),
                stalled: *stalled,
                kill_count: *kill_count as f64,
                unavailable: None,
            },
            News::Unavailable(reason) => {
                Self { sample: None, stalled: false, kill_count: 0.0, unavailable: Some(reason.clone()) }
            }
        }
    }
}

/// What JavaScript knows. Its event loop is only woken for news: another level, every sample while it is critical, a
/// stall, a kill; and for every sample while somebody listens to them.
#[derive(Default)]
struct Listener {
    hears_all: AtomicBool,
    told: Mutex<Told>,
}

struct Told {
    /// None after the memory could not be read: whatever it is then, it is news.
    level: Option<Level>,
    untold_kill_count: u64,
}

impl Default for Told {
    fn default() -> Self {
        Self { level: Some(Level::Normal), untold_kill_count: 0 }
    }
}

impl Listener {
    /// Passes on what is news. What `tell` does not take is tried again with the next sample.
    fn hear(&self, notice: Notice, tell: impl FnOnce(News) -> bool) {
        let mut told = lock(&self.told);
        match notice {
            Notice::Sample { sample, stalled, kill_count, .. } => {
                told.untold_kill_count += kill_count;
                let kill_count = told.untold_kill_count;
                let level = sample.level;
                let is_news =
                    stalled || kill_count > 0 || Some(level) != told.level || level == Level::Critical;
                if (is_news || self.hears_all.load(Ordering::Relaxed))
                    && tell(News::Sample { sample, stalled, kill_count })
                {
                    *told = Told { level: Some(level), untold_kill_count: 0 };
                }
            }
            Notice::Unavailable(unavailable) => {
                told.level = None;
                tell(News::Unavailable(unavailable.to_string()));
            }
            _ => {}
        }
    }
}

impl NativeMonitorOptions {
    fn limits(&self) -> Limits {
        let defaults = Limits::default();
        Limits {
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
            headroom: headroom_options(root, self.floor_bytes)?,
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
    listener: Arc<Listener>,
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
        let tell = observe
            .build_threadsafe_function::<News>()
            .weak::<true>()
            .max_queue_size::<MAX_WAITING>()
            .build_callback(|context: ThreadsafeCallContext<News>| Ok(NativeNotice::from(&context.value)))?;
        let listener = Arc::new(Listener::default());
        listener.hears_all.store(options.hears_all, Ordering::Relaxed);
        let hearing = Arc::clone(&listener);
        let observer = move |notice: Notice| {
            hearing
                .hear(notice, |news| tell.call(news, ThreadsafeFunctionCallMode::NonBlocking) == Status::Ok);
        };
        let monitor = Monitor::start(budget.core().clone(), core, observer);
        monitor.map(|monitor| Self { monitor, listener }).map_err(|error| to_js(env, &error))
    }

    /// Whether every sample is told, and not news alone.
    #[napi(catch_unwind)]
    pub fn hear_all(&self, hears_all: bool) {
        self.listener.hears_all.store(hears_all, Ordering::Relaxed);
    }

    #[napi(getter, ts_return_type = "'normal' | 'warning' | 'critical'", catch_unwind)]
    pub fn level(&self) -> String {
        self.monitor.level().name().to_owned()
    }

    #[napi(catch_unwind)]
    pub fn latest(&self) -> Option<MonitorSample> {
        self.monitor.latest().as_deref().map(MonitorSample::from)
    }

    #[napi(catch_unwind)]
    pub fn set_limits(&self, env: Env, options: NativeMonitorOptions) -> napi::Result<()> {
        self.monitor.set_limits(options.limits()).map_err(|error| to_js(env, &error))
    }

    #[napi(catch_unwind)]
    pub fn history(&self) -> Vec<MonitorSample> {
        self.monitor.history().iter().map(|sample| MonitorSample::from(&**sample)).collect()
    }

    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.monitor.close();
    }
}
