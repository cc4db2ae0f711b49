//! The native half of `MemoryProfile`.
//!
//! A record crosses over as columns of numbers and one list of texts: a hundred thousand events as objects would hold
//! the event loop up for as many calls of the engine.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard},
};

use napi::{Env, bindgen_prelude::AsyncTask};
use napi_derive::napi;
use plimsoll::budget::{
    AllocationInfo, Event, EventKind, LabelTotals, Origin, Record, RecordOptions, Recording,
};

use crate::{
    budget::NativeBudget,
    error::to_js,
    js_memory::Numbers,
    mirror::{array_of, ms, since_1970_ms},
    sync::lock,
    work::Work,
};

/// Stands in a column for what is not known.
const NONE: f64 = -1.0;

/// A record, for `lib/profile/record.ts`. In the columns a text stands as its place in `texts`, a kind
/// as its place in `eventKinds()`, -1 for none.
#[napi(object, object_from_js = false)]
pub struct NativeRecord {
    /// When the recording began, in milliseconds since 1970.
    pub started_ms: f64,
    pub duration_ms: f64,
    pub event_count: f64,
    pub dropped_count: f64,
    pub allocated_bytes: f64,
    pub peak_bytes: f64,
    pub texts: Vec<String>,
    /// Eight numbers an event: see `describe_event`.
    #[napi(ts_type = "Float64Array")]
    pub events: Numbers,
    /// Eight numbers a label: see `describe_label`.
    #[napi(ts_type = "Float64Array")]
    pub labels: Numbers,
    /// Seven numbers an allocation: see `describe_live`.
    #[napi(ts_type = "Float64Array")]
    pub live: Numbers,
    pub threads: Vec<NativeThread>,
}

#[napi(object, object_from_js = false)]
pub struct NativeThread {
    pub id: u32,
    pub name: String,
}

/// Texts by their place in the list, each once.
#[derive(Default)]
struct Texts {
    places: HashMap<Arc<str>, usize>,
    list: Vec<String>,
}

impl Texts {
    fn place(&mut self, text: &Arc<str>) -> f64 {
        if let Some(place) = self.places.get(text) {
            return *place as f64;
        }
        let place = self.list.len();
        self.places.insert(Arc::clone(text), place);
        self.list.push(text.to_string());
        place as f64
    }

    fn place_or_none(&mut self, text: Option<&Arc<str>>) -> f64 {
        text.map_or(NONE, |text| self.place(text))
    }
}

array_of! {
    /// The kinds of events, in the order in which events refer to them.
    pub fn event_kinds() -> EventKind::NAMES =>
        "Array<'held' | 'grant' | 'release' | 'refusal' | 'commit' | 'reuse' | 'return' | 'load-start' | 'load-end' | \
        'load-failed' | 'load-cancelled'>"
}

fn place_of_kind(kind: EventKind) -> f64 {
    EventKind::ALL.iter().position(|known| *known == kind).map_or(NONE, |place| place as f64)
}

// Each takes the core's struct apart, so that a field which is new there does not compile until it has its column here.

fn describe_event(event: &Event, texts: &mut Texts) -> [f64; 8] {
    // Why a request was refused stands in its error, and in a black box.
    let Event { at, kind, id, label, bytes, allocated_bytes, thread, stack, refused: _ } = event;
    [
        ms(*at),
        place_of_kind(*kind),
        *id as f64,
        texts.place(label),
        *bytes as f64,
        *allocated_bytes as f64,
        f64::from(*thread),
        texts.place_or_none(stack.as_ref()),
    ]
}

fn describe_label(totals: &LabelTotals, texts: &mut Texts) -> [f64; 8] {
    let LabelTotals {
        label,
        live_bytes,
        live_count,
        peak_bytes,
        granted_bytes,
        granted_count,
        refused_bytes,
        refused_count,
    } = totals;
    [
        texts.place(label),
        *live_bytes as f64,
        *live_count as f64,
        *peak_bytes as f64,
        *granted_bytes as f64,
        *granted_count as f64,
        *refused_bytes as f64,
        *refused_count as f64,
    ]
}

fn describe_live(info: &AllocationInfo, texts: &mut Texts) -> [f64; 7] {
    let AllocationInfo { id, label, bytes, committed_bytes, age, origin } = info;
    let (thread, stack) = match origin {
        Some(Origin { thread, stack }) => (f64::from(*thread), stack.as_ref()),
        None => (NONE, None),
    };
    [
        *id as f64,
        texts.place(&Arc::from(label.as_ref())),
        *bytes as f64,
        committed_bytes.map_or(NONE, |bytes| bytes as f64),
        ms(*age),
        thread,
        texts.place_or_none(stack),
    ]
}

fn columns<T, const N: usize>(
    items: &[T],
    texts: &mut Texts,
    describe: fn(&T, &mut Texts) -> [f64; N],
) -> Vec<f64> {
    items.iter().flat_map(|item| describe(item, texts)).collect()
}

fn named_threads(names: &BTreeMap<u32, String>) -> Vec<NativeThread> {
    names.iter().map(|(id, name)| NativeThread { id: *id, name: name.clone() }).collect()
}

/// A record in columns, before it becomes JavaScript's.
pub struct Columns {
    started_ms: f64,
    duration_ms: f64,
    event_count: f64,
    dropped_count: f64,
    allocated_bytes: f64,
    peak_bytes: f64,
    texts: Vec<String>,
    events: Vec<f64>,
    labels: Vec<f64>,
    live: Vec<f64>,
    threads: Vec<NativeThread>,
}

impl From<&Record> for Columns {
    fn from(record: &Record) -> Self {
        let Record {
            started,
            duration,
            events,
            event_count,
            dropped_count,
            labels,
            live,
            allocated_bytes,
            peak_bytes,
            threads,
        } = record;
        let mut texts = Texts::default();
        Self {
            started_ms: since_1970_ms(*started),
            duration_ms: ms(*duration),
            event_count: *event_count as f64,
            dropped_count: *dropped_count as f64,
            allocated_bytes: *allocated_bytes as f64,
            peak_bytes: *peak_bytes as f64,
            events: columns(events, &mut texts, describe_event),
            labels: columns(labels, &mut texts, describe_label),
            live: columns(live, &mut texts, describe_live),
            threads: named_threads(threads),
            texts: texts.list,
        }
    }
}

impl From<Columns> for NativeRecord {
    fn from(columns: Columns) -> Self {
        Self {
            started_ms: columns.started_ms,
            duration_ms: columns.duration_ms,
            event_count: columns.event_count,
            dropped_count: columns.dropped_count,
            allocated_bytes: columns.allocated_bytes,
            peak_bytes: columns.peak_bytes,
            texts: columns.texts,
            events: Numbers(columns.events),
            labels: Numbers(columns.labels),
            live: Numbers(columns.live),
            threads: columns.threads,
        }
    }
}

/// A recording, and what it left when it was stopped. When this object goes, at the latest with its worker thread, the
/// recording ends.
#[napi]
pub struct NativeProfile(Arc<Mutex<State>>);

enum State {
    Running(Recording),
    Stopped(Record),
}

impl State {
    fn read(&self, with_events: bool) -> Columns {
        match self {
            Self::Running(recording) => Columns::from(&recording.read(with_events)),
            Self::Stopped(record) => Columns::from(record),
        }
    }

    fn stop(&mut self) {
        if let Self::Running(recording) = self {
            // The recording ends as it is replaced.
            *self = Self::Stopped(recording.read(true));
        }
    }
}

#[napi]
impl NativeProfile {
    #[napi(factory, catch_unwind)]
    pub fn start(env: Env, budget: &NativeBudget, capacity: u32, stack_depth: u32) -> napi::Result<Self> {
        let options = RecordOptions { capacity: capacity as usize, stack_depth };
        let recording = budget.core().record(options).map_err(|error| to_js(env, &error))?;
        Ok(Self(Arc::new(Mutex::new(State::Running(recording)))))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }

    #[napi(catch_unwind)]
    pub fn stop(&self) {
        self.state().stop();
    }

    #[napi(catch_unwind)]
    pub fn read(&self, with_events: bool) -> NativeRecord {
        self.state().read(with_events).into()
    }

    /// The same with events, put together by a thread of Node.js's pool: a million events take half a second.
    #[napi(ts_return_type = "Promise<NativeRecord>", catch_unwind)]
    pub fn read_aside(&self) -> AsyncTask<Work<Columns, NativeRecord>> {
        let state = Arc::clone(&self.0);
        Work::promise(move || Ok(lock(&state).read(true)), |_, columns| Ok(columns.into()))
    }
}
