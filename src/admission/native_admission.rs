//! The native half of `Admission` and `Grant`.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use crate::{
    budget::{Guards, NativeBudget},
    error::to_js,
    mirror::{Cross, mirror, ms},
    sync::lock,
};
use napi::{
    Env,
    bindgen_prelude::Function,
    threadsafe_function::{ThreadsafeCallContext, ThreadsafeFunctionCallMode},
};
use napi_derive::napi;
use plimsoll::{
    Error as CoreError,
    admission::{
        AcquireOptions, Admission, Grant, GrantRequest, MakeRoom, OnMakeRoom, QueueWatch, Ticket,
        WaitingInfo as CoreWaiting,
    },
};

/// A part of what is acquired together.
#[napi(object, object_to_js = false)]
pub struct NativeGrantRequest {
    pub bytes: f64,
    pub label: String,
}

/// How it waits, and what may become of its grant.
#[napi(object, object_to_js = false)]
pub struct NativeAcquireOptions {
    pub priority: Option<i32>,
    pub key: Option<String>,
    pub timeout_ms: Option<f64>,
    pub age_ms: Option<f64>,
    pub pinned: bool,
    pub idle_ms: Option<f64>,
    pub evict_ms: Option<f64>,
    pub evictable: bool,
    pub elastic: bool,
    pub max_waiting: u32,
    /// When it was asked for, by `queueClockUs()`.
    pub since_us: f64,
}

/// The time by the clock of the queue, in microseconds: who came first is the same on both sides.
#[napi(catch_unwind)]
pub fn queue_clock_us() -> f64 {
    Admission::now().as_micros() as f64
}

/// What was granted: the key of the grant, and those of its guards in the budget, in the order of the requests.
#[napi(object, object_from_js = false)]
pub struct NativeGranted {
    pub key: u32,
    pub guards: Vec<u32>,
}

/// What JavaScript is told: `settled` of a request, `evict` and `revoke` of a grant, `changed` of the queue.
#[napi(object, object_from_js = false)]
pub struct NativeAdmissionNotice {
    #[napi(ts_type = "'settled' | 'evict' | 'revoke' | 'changed'")]
    pub kind: String,
    pub key: u32,
    pub bytes: f64,
    pub deadline_ms: f64,
    pub wanted_by: String,
}

mirror! {
    /// One who waits for its turn.
    pub struct WaitingRequest of CoreWaiting {
        /// What it waits for: the labels of its requests.
        pub label: String,
        /// How much, in bytes, all together.
        pub bytes: f64,
        /// Its priority.
        pub priority: f64 = f64::from(priority),
        /// What is to be loaded, if that was said.
        pub key: Option<String>,
        /// How long it has waited, in milliseconds.
        pub since_ms: f64 = ms(waited),
    }
    reading { priority, waited }
}

/// A word for JavaScript.
enum Word {
    Settled(u32),
    MakeRoom(u32, MakeRoom),
    Changed,
}

impl From<&Word> for NativeAdmissionNotice {
    fn from(word: &Word) -> Self {
        let plain = |kind: &str, key| Self {
            kind: kind.to_owned(),
            key,
            bytes: 0.0,
            deadline_ms: 0.0,
            wanted_by: String::new(),
        };
        match word {
            Word::Settled(key) => plain("settled", *key),
            Word::Changed => plain("changed", 0),
            Word::MakeRoom(key, MakeRoom { kind, bytes, within, wanted_by }) => Self {
                bytes: *bytes as f64,
                deadline_ms: ms(*within),
                wanted_by: wanted_by.clone(),
                ..plain(kind.name(), *key)
            },
        }
    }
}

type Notify = Arc<dyn Fn(Word) + Send + Sync>;

/// What a key stands for.
enum Item {
    /// Something that is being asked for at this moment.
    Reserved,
    Waiting(Ticket),
    Held(Grant),
}

/// Keys are not used again: what is told of one that has gone must not be taken for another's.
#[derive(Default)]
struct Items {
    last_key: u32,
    live: HashMap<u32, Item>,
}

/// The queue of a budget with the requests and grants that JavaScript has there. When this object goes, at the latest with its
/// worker thread, they go with it.
#[napi]
pub struct NativeAdmission {
    admission: Admission,
    guards: Arc<Guards>,
    items: Mutex<Items>,
    notify: Notify,
    watch: Mutex<Option<QueueWatch>>,
}

#[napi]
impl NativeAdmission {
    /// `observe` is told on the event loop, which that does not keep alive.
    #[napi(factory, catch_unwind)]
    pub fn start(
        env: Env,
        budget: &NativeBudget,
        observe: Function<'_, NativeAdmissionNotice, ()>,
    ) -> napi::Result<Self> {
        let admission = Admission::new(budget.core()).map_err(|error| to_js(env, &error))?;
        let called = observe.build_threadsafe_function::<Word>().weak::<true>().build_callback(
            |context: ThreadsafeCallContext<Word>| Ok(NativeAdmissionNotice::from(&context.value)),
        )?;
        let notify: Notify = Arc::new(move |word| {
            // It only fails once the environment ends.
            called.call(word, ThreadsafeFunctionCallMode::NonBlocking);
        });
        let (items, watch) = (Mutex::default(), Mutex::default());
        Ok(Self { admission, guards: budget.shared_guards(), items, notify, watch })
    }

    fn items(&self) -> MutexGuard<'_, Items> {
        lock(&self.items)
    }

    fn reserve(&self) -> u32 {
        let mut items = self.items();
        items.last_key = items.last_key.wrapping_add(1);
        let key = items.last_key;
        items.live.insert(key, Item::Reserved);
        key
    }

    fn set(&self, key: u32, item: Item) {
        self.items().live.insert(key, item);
    }

    /// Forgets what is under a key. It is dropped after the lock is.
    fn forget(&self, key: u32) {
        let item = self.items().live.remove(&key);
        drop(item);
    }

    fn of_grant<T>(
        &self,
        env: Env,
        key: u32,
        ask: impl FnOnce(&Grant) -> plimsoll::Result<T>,
    ) -> napi::Result<T> {
        match self.items().live.get(&key) {
            Some(Item::Held(grant)) => ask(grant),
            _ => Err(CoreError::Released { what: "the grant" }),
        }
        .map_err(|error| to_js(env, &error))
    }

    /// A grant with its guards in the hands of JavaScript.
    fn hold(&self, key: u32, grant: Grant) -> NativeGranted {
        let guards = grant.take_allocations().into_iter().map(|guard| self.guards.insert(guard)).collect();
        self.set(key, Item::Held(grant));
        NativeGranted { key, guards }
    }

    fn core_options(&self, options: NativeAcquireOptions, key: u32) -> AcquireOptions {
        let defaults = AcquireOptions::default();
        let duration = |ms: f64| Duration::try_from_secs_f64(ms / 1e3).unwrap_or(Duration::MAX);
        let notify = Arc::clone(&self.notify);
        let pass_on: OnMakeRoom = Arc::new(move |ask| notify(Word::MakeRoom(key, ask.clone())));
        AcquireOptions {
            priority: options.priority.unwrap_or(defaults.priority),
            key: options.key,
            timeout: options.timeout_ms.map(duration),
            age: options.age_ms.map_or(defaults.age, duration),
            pinned: options.pinned,
            idle: options.idle_ms.map_or(defaults.idle, duration),
            evict_within: options.evict_ms.map_or(defaults.evict_within, duration),
            on_evict: options.evictable.then(|| Arc::clone(&pass_on)),
            on_revoke: options.elastic.then_some(pass_on),
            max_waiting: options.max_waiting as usize,
        }
    }

    /// Takes all of it if it is its turn now; `null` where it is not.
    #[napi(catch_unwind)]
    pub fn try_acquire(
        &self,
        env: Env,
        requests: Vec<NativeGrantRequest>,
        options: NativeAcquireOptions,
    ) -> napi::Result<Option<NativeGranted>> {
        let key = self.reserve();
        let granted = self.admission.try_acquire(core_requests(requests), self.core_options(options, key));
        match granted {
            Ok(Some(grant)) => Ok(Some(self.hold(key, grant))),
            Ok(None) => {
                self.forget(key);
                Ok(None)
            }
            Err(error) => {
                self.forget(key);
                Err(to_js(env, &error))
            }
        }
    }

    /// Queues a request. Returns the key under which its outcome will be; `settled` is told once it is there.
    #[napi(catch_unwind)]
    pub fn submit(
        &self,
        env: Env,
        requests: Vec<NativeGrantRequest>,
        options: NativeAcquireOptions,
    ) -> napi::Result<u32> {
        let key = self.reserve();
        let since = Duration::from_micros(options.since_us as u64);
        let options = self.core_options(options, key);
        let notify = Arc::clone(&self.notify);
        let settled = Box::new(move || notify(Word::Settled(key)));
        match self.admission.submit_since(core_requests(requests), options, since, Some(settled)) {
            Ok(ticket) => {
                self.set(key, Item::Waiting(ticket));
                Ok(key)
            }
            Err(error) => {
                self.forget(key);
                Err(to_js(env, &error))
            }
        }
    }

    /// What a request has come to; `null` while it waits, and of a key that is none. Throws what it failed by.
    #[napi(catch_unwind)]
    pub fn take(&self, env: Env, key: u32) -> napi::Result<Option<NativeGranted>> {
        let outcome = match self.items().live.get(&key) {
            Some(Item::Waiting(ticket)) => ticket.try_take(),
            _ => None,
        };
        match outcome {
            Some(Ok(grant)) => Ok(Some(self.hold(key, grant))),
            Some(Err(error)) => {
                self.forget(key);
                Err(to_js(env, &error))
            }
            None => Ok(None),
        }
    }

    /// Gives a request up, or releases what it was granted but for the guards that JavaScript has.
    #[napi(catch_unwind)]
    pub fn release(&self, key: u32) {
        self.forget(key);
    }

    /// Takes bytes more; returns the whole stretch.
    #[napi(catch_unwind)]
    pub fn stretch(&self, env: Env, key: u32, bytes: f64) -> napi::Result<f64> {
        self.of_grant(env, key, |grant| grant.stretch(bytes as u64)).map(|bytes| bytes as f64)
    }

    /// Gives bytes of the stretch back; returns how many.
    #[napi(catch_unwind)]
    pub fn shrink(&self, env: Env, key: u32, bytes: f64) -> napi::Result<f64> {
        self.of_grant(env, key, |grant| Ok(grant.shrink(bytes as u64))).map(|bytes| bytes as f64)
    }

    #[napi(catch_unwind)]
    pub fn stretch_bytes(&self, env: Env, key: u32) -> napi::Result<f64> {
        self.of_grant(env, key, |grant| Ok(grant.stretch_bytes() as f64))
    }

    /// Notes how many bytes of the stretch, in all, have really been taken.
    #[napi(catch_unwind)]
    pub fn commit_stretch(&self, env: Env, key: u32, bytes: f64) -> napi::Result<()> {
        self.of_grant(env, key, |grant| {
            grant.commit(bytes as u64);
            Ok(())
        })
    }

    #[napi(catch_unwind)]
    pub fn touch(&self, env: Env, key: u32) -> napi::Result<()> {
        self.of_grant(env, key, |grant| {
            grant.touch();
            Ok(())
        })
    }

    #[napi(catch_unwind)]
    pub fn ready(&self, env: Env, key: u32) -> napi::Result<()> {
        self.of_grant(env, key, |grant| {
            grant.ready();
            Ok(())
        })
    }

    /// A guard of that grant is about to be released. Of a grant that has gone, it is nothing.
    #[napi(catch_unwind)]
    pub fn part_released(&self, key: u32, bytes: f64) {
        if let Some(Item::Held(grant)) = self.items().live.get(&key) {
            grant.part_released(bytes as u64);
        }
    }

    /// The grant will not make room.
    #[napi(catch_unwind)]
    pub fn decline(&self, key: u32) {
        if let Some(Item::Held(grant)) = self.items().live.get(&key) {
            grant.decline();
        }
    }

    #[napi(catch_unwind)]
    pub fn waiting(&self) -> Vec<WaitingRequest> {
        self.admission.waiting().cross()
    }

    /// Whether `changed` is told whenever somebody comes to wait or waits no more.
    #[napi(catch_unwind)]
    pub fn watch(&self, watches: bool) {
        let watch = watches.then(|| {
            let notify = Arc::clone(&self.notify);
            self.admission.watch(Arc::new(move || notify(Word::Changed)))
        });
        let before = std::mem::replace(&mut *lock(&self.watch), watch);
        drop(before);
    }
}

fn core_requests(requests: Vec<NativeGrantRequest>) -> Vec<GrantRequest> {
    requests.into_iter().map(|request| GrantRequest::new(request.bytes as u64, request.label)).collect()
}
