//! The native half of `MemoryBudget`.

use std::sync::{Arc, Mutex, MutexGuard};

use napi::{
    Env, JsValue,
    bindgen_prelude::{External, Object},
};
use napi_derive::napi;
use plimsoll::{
    Allocation, Error as CoreError, MemoryBudget,
    budget::{
        AllocationInfo as CoreAllocation, Headroom as CoreHeadroom, HeadroomOptions, MachineOptions, Sharers,
        SystemOptions, Term, TermKind,
    },
    ledger::Seat,
    system::{Board, Machine, SystemRoot, board},
};
use slab::Slab as Slots;

use super::headroom::Headroom;
use crate::{
    error::to_js,
    ledger::NativeLedgerOptions,
    mirror::{Cross, mirror, ms},
    sync::lock,
    system::root_of,
};

/// A budget with the guards that JavaScript holds over it, each under a key.
///
/// `lib/budget/budget.ts` gives every key a guard object whose finalizer releases it. When this object and its handle go, at
/// the latest with their worker thread, all guards go with them, so a terminated worker leaves nothing behind.
#[napi]
pub struct NativeBudget {
    guards: Arc<Guards>,
    /// Where headroom is read.
    root: SystemRoot,
    /// The seat in the ledger that it shares, if it does.
    ledger: Option<Arc<Seat>>,
    /// What was not certain as the line was drawn, and has not been told yet; in words.
    unreported_doubts: Vec<String>,
}

/// What `allocateGuard` and `releaseGuard` take: every guard goes through both, and finding the native half of a class
/// instance takes the engine longer than all that they do.
pub struct Guards {
    budget: MemoryBudget,
    /// `None` while its bytes are being given to a pool.
    live: Mutex<Slots<Option<Allocation>>>,
}

impl Guards {
    fn live(&self) -> MutexGuard<'_, Slots<Option<Allocation>>> {
        lock(&self.live)
    }

    /// Gives the guard under `key` to whoever `takes` it, and forgets it; it is back where that fails.
    pub fn give<T>(
        &self,
        key: u32,
        takes: impl FnOnce(Allocation) -> Result<T, (CoreError, Allocation)>,
    ) -> plimsoll::Result<T> {
        let key = key as usize;
        let given = self.live().get_mut(key).and_then(Option::take);
        let given = given.ok_or(CoreError::Released { what: "the allocation" })?;
        match takes(given) {
            Ok(made) => {
                drop(self.live().try_remove(key));
                Ok(made)
            }
            Err((error, given)) => {
                if let Some(slot) = self.live().get_mut(key) {
                    *slot = Some(given);
                }
                Err(error)
            }
        }
    }

    /// Keeps a guard that was granted elsewhere, and returns its key.
    pub fn insert(&self, allocation: Allocation) -> u32 {
        self.live().insert(Some(allocation)) as u32
    }

    fn keep(&self, env: Env, granted: plimsoll::Result<Allocation>) -> napi::Result<u32> {
        match granted {
            Ok(allocation) => Ok(self.insert(allocation)),
            Err(error) => Err(to_js(env, &error)),
        }
    }
}

/// Takes bytes and returns the key of the guard. While a recording wants to know who asks, it does nothing and returns
/// `null`: then ask by `allocateFrom`. So to be asked costs nobody a call of its own.
#[napi(catch_unwind)]
pub fn allocate_guard(
    env: Env,
    #[napi(ts_arg_type = "object")] guards: &External<Arc<Guards>>,
    bytes: f64,
    label: String,
) -> napi::Result<Option<u32>> {
    if guards.budget.stack_depth() > 0 {
        return Ok(None);
    }
    guards.keep(env, guards.budget.allocate(bytes as u64, label)).map(Some)
}

/// Releases the guard under `key`.
#[napi(catch_unwind)]
pub fn release_guard(#[napi(ts_arg_type = "object")] guards: &External<Arc<Guards>>, key: u32) {
    // Bound first: the guard is dropped after the lock is.
    let guard = guards.live().try_remove(key as usize);
    drop(guard);
}

/// What a budget of this machine is made from.
#[napi(object, object_to_js = false)]
pub struct NativeMachineOptions {
    pub board: Option<String>,
    pub safety_margin_percent: Option<f64>,
    pub max_bytes: Option<f64>,
    pub isolated: bool,
    pub headroom: bool,
    pub root: Option<String>,
    pub pid: Option<u32>,
    pub ledger: Option<NativeLedgerOptions>,
}

mirror! {
    /// One upper bound on the line.
    pub struct LineTerm of Term {
        /// Where the bound comes from.
        pub kind: TermKind as "'preset' | 'reserve' | 'safety-margin' | 'cgroup' | 'maximum'",
        /// The bound, in bytes.
        pub bytes: f64,
        /// The bound in words.
        pub description: String,
    }
}

mirror! {
    /// One live allocation.
    pub struct AllocationInfo of CoreAllocation {
        /// The label it was taken under.
        pub label: String,
        /// Its size, in bytes.
        pub size_bytes: f64 = bytes.cross(),
        /// The time since it was granted, in milliseconds.
        pub age_ms: f64 = ms(age),
    }
    reading { bytes, age }
    leaving { id, committed_bytes, origin }
}

pub fn board_or_error(env: Env, id: &str) -> napi::Result<&'static Board> {
    board(id).ok_or_else(|| {
        let error = CoreError::invalid_argument("board", "the id of a known board", format!("{id:?}"));
        to_js(env, &error)
    })
}

/// The warning for a guard that nobody released. It is made here because `process.emitWarning` takes errors of the
/// main realm only, and the addon's are.
#[napi(ts_return_type = "Error", catch_unwind)]
pub fn leak_warning(
    env: Env,
    message: String,
    label: String,
    size_bytes: f64,
) -> napi::Result<Object<'static>> {
    let stack = format!("PlimsollLeakWarning: {message}");
    let mut warning = env.create_error(napi::Error::from_reason(message))?;
    warning.set("name", "PlimsollLeakWarning")?;
    warning.set("code", "PLIMSOLL_LEAK")?;
    warning.set("label", label)?;
    warning.set("sizeBytes", size_bytes)?;
    warning.set("stack", stack)?; // That of the finalizer would tell nothing about the leak.
    Ok(Object::from_raw(env.raw(), warning.raw()))
}

#[napi]
impl NativeBudget {
    #[napi(factory, catch_unwind)]
    pub fn of_numbers(env: Env, total_bytes: f64, reserved_bytes: f64) -> napi::Result<Self> {
        Self::wrap(env, MemoryBudget::new(total_bytes as u64, reserved_bytes as u64))
    }

    #[napi(factory, catch_unwind)]
    pub fn of_board(env: Env, id: String) -> napi::Result<Self> {
        Self::wrap(env, Ok(MemoryBudget::for_board(board_or_error(env, &id)?)))
    }

    #[napi(factory, catch_unwind)]
    pub fn of_this_machine(env: Env, options: NativeMachineOptions) -> napi::Result<Self> {
        let defaults = MachineOptions::default();
        let board = options.board.as_deref().map(|id| board_or_error(env, id)).transpose()?;
        let machine_options = MachineOptions {
            board,
            safety_margin_percent: options.safety_margin_percent.unwrap_or(defaults.safety_margin_percent),
            max_bytes: options.max_bytes.map(|bytes| bytes as u64),
        };
        let options_are_own = options.root.is_none() && options.pid.is_none();
        let root = root_of(options.root, options.pid);
        let ledger = options.ledger.map(|ledger| ledger.seat(env)).transpose()?;
        let made = MemoryBudget::for_system(&SystemOptions {
            root: root.clone(),
            line: machine_options,
            isolated: options.isolated,
            sharing: ledger.clone().map(|seat| seat as Arc<dyn Sharers>),
            headroom: options.headroom.then(HeadroomOptions::default),
        });
        let budget = Self { ledger, ..Self::wrap(env, made)? };
        // A budget over a copy or over another process is for looking.
        let machine = if options_are_own { Machine::read_at(&root).ok() } else { None };
        let doubts = machine.iter().flat_map(Machine::unreported_doubts);
        Ok(Self { unreported_doubts: doubts.map(|doubt| doubt.to_string()).collect(), root, ..budget })
    }

    fn wrap(env: Env, budget: plimsoll::Result<MemoryBudget>) -> napi::Result<Self> {
        let budget = budget.map_err(|error| to_js(env, &error))?;
        let guards = Arc::new(Guards { budget, live: Mutex::default() });
        Ok(Self { guards, root: SystemRoot::default(), ledger: None, unreported_doubts: Vec::new() })
    }

    pub(crate) fn core(&self) -> &MemoryBudget {
        &self.guards.budget
    }

    /// What the machine that it is of can give now, with a floor of so many bytes.
    pub(crate) fn measured_headroom(&self, env: Env, floor_bytes: Option<f64>) -> napi::Result<CoreHeadroom> {
        // In this order, so that what is taken in between does not count as neither pending nor taken.
        let promised = self.core().promised();
        let floor_bytes = floor_bytes.map(|bytes| bytes as u64);
        let machine = Machine::read_at(&self.root);
        let read = machine.and_then(|machine| Ok((machine, HeadroomOptions::at(&self.root, floor_bytes)?)));
        let (machine, options) = read.map_err(|unavailable| to_js(env, &unavailable.into()))?;
        Ok(CoreHeadroom::of(&machine, promised, &options))
    }

    /// The seat in the ledger that it shares, if it does.
    pub(crate) fn seat(&self) -> Option<&Arc<Seat>> {
        self.ledger.as_ref()
    }

    pub(crate) fn shared_guards(&self) -> Arc<Guards> {
        Arc::clone(&self.guards)
    }

    pub(crate) fn root(&self) -> &SystemRoot {
        &self.root
    }

    /// Where a limit may exist that the line does not know of, and figures that stand for others, in words: those that no
    /// budget of this process had before.
    #[napi(getter, catch_unwind)]
    pub fn unreported_doubts(&self) -> Vec<String> {
        self.unreported_doubts.clone()
    }

    /// The line of the board, which bounds all together that share a ledger; in bytes.
    #[napi(getter, catch_unwind)]
    pub fn board_line_bytes(&self) -> f64 {
        self.core().line().board_bytes() as f64
    }

    /// What `allocateGuard` and `releaseGuard` take.
    #[napi(ts_return_type = "object", catch_unwind)]
    pub fn guards(&self) -> External<Arc<Guards>> {
        External::new(Arc::clone(&self.guards))
    }

    /// As `allocateGuard`, for a caller who tells its stack.
    #[napi(catch_unwind)]
    pub fn allocate_from(&self, env: Env, bytes: f64, label: String, stack: String) -> napi::Result<u32> {
        self.guards.keep(env, self.guards.budget.allocate_from(bytes as u64, label, Some(&stack)))
    }

    /// How many frames of the caller's stack are wanted.
    #[napi(getter, catch_unwind)]
    pub fn stack_depth(&self) -> u32 {
        self.core().stack_depth()
    }

    /// Notes that so many bytes of the guard under `key`, in all, have really been taken.
    #[napi(catch_unwind)]
    pub fn commit(&self, key: u32, bytes: f64) {
        if let Some(Some(guard)) = self.guards.live().get(key as usize) {
            guard.commit(bytes as u64);
        }
    }

    #[napi(catch_unwind)]
    pub fn headroom(&self, env: Env, floor_bytes: Option<f64>) -> napi::Result<Headroom> {
        Ok(self.measured_headroom(env, floor_bytes)?.into())
    }

    #[napi(catch_unwind)]
    pub fn age_ms(&self, key: u32) -> f64 {
        self.guards.live().get(key as usize).and_then(Option::as_ref).map_or(0.0, |guard| ms(guard.age()))
    }

    #[napi(catch_unwind)]
    pub fn can_allocate(&self, bytes: f64) -> bool {
        self.core().can_allocate(bytes as u64)
    }

    #[napi(getter, catch_unwind)]
    pub fn total_bytes(&self) -> f64 {
        self.core().total_bytes() as f64
    }

    #[napi(getter, catch_unwind)]
    pub fn reserved_bytes(&self) -> f64 {
        self.core().reserved_bytes() as f64
    }

    #[napi(getter, catch_unwind)]
    pub fn usable_bytes(&self) -> f64 {
        self.core().usable_bytes() as f64
    }

    #[napi(getter, catch_unwind)]
    pub fn allocated_bytes(&self) -> f64 {
        self.core().allocated_bytes() as f64
    }

    #[napi(getter, catch_unwind)]
    pub fn available_bytes(&self) -> f64 {
        self.core().available_bytes() as f64
    }

    #[napi(getter, catch_unwind)]
    pub fn line_available_bytes(&self) -> f64 {
        self.core().line_available_bytes() as f64
    }

    #[napi(getter, catch_unwind)]
    pub fn peak_bytes(&self) -> f64 {
        self.core().peak_bytes() as f64
    }

    #[napi(getter, catch_unwind)]
    pub fn utilization_percent(&self) -> f64 {
        self.core().utilization_percent()
    }

    #[napi(catch_unwind)]
    pub fn terms(&self) -> Vec<LineTerm> {
        self.core().terms().cross()
    }

    #[napi(catch_unwind)]
    pub fn binding_term(&self) -> LineTerm {
        self.core().binding().into()
    }

    #[napi(getter, catch_unwind)]
    pub fn max_bytes(&self) -> Option<f64> {
        self.core().maximum().map(|bytes| bytes as f64)
    }

    #[napi(catch_unwind)]
    pub fn set_max_bytes(&self, env: Env, bytes: Option<f64>) -> napi::Result<()> {
        self.core().set_maximum(bytes.map(|bytes| bytes as u64)).map_err(|error| to_js(env, &error))
    }

    #[napi(catch_unwind)]
    pub fn allocations(&self) -> Vec<AllocationInfo> {
        self.core().allocations().cross()
    }
}
