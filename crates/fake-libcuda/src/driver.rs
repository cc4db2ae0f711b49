//! The state of the driver, and the gate that every call goes through.

use std::{
    cell::RefCell,
    collections::HashMap,
    sync::{LazyLock, Mutex, PoisonError},
};

use crate::{memory::Memory, settings::Settings, stream::Streams};

pub type Code = i32;
pub type Answer<T = ()> = Result<T, Code>;

pub const INVALID_VALUE: Code = 1;
pub const OUT_OF_MEMORY: Code = 2;
pub const NOT_INITIALIZED: Code = 3;
pub const INVALID_DEVICE: Code = 101;
pub const INVALID_CONTEXT: Code = 201;
pub const INVALID_HANDLE: Code = 400;
pub const CONTEXT_IS_DESTROYED: Code = 709;
pub const NOT_SUPPORTED: Code = 801;

/// The one context there is.
pub const CONTEXT: usize = 0x00c0_ffee;

#[derive(Default)]
pub struct Driver {
    pub settings: Settings,
    pub initialised: bool,
    pub retained: u64,
    pub memory: Memory,
    pub streams: Streams,
    /// The code that every call gives since a fault; 0 without one.
    pub sticky: Code,
    /// What was in contexts that are lost and not yet released.
    lost: Vec<Memory>,
    pub wrongs: Vec<String>,
    pub calls: HashMap<&'static str, u64>,
    pub call_count: u64,
    pub pushed: i64,
    pub failures: Failures,
    /// How often NVML is initialised and not shut down.
    pub nvml_count: i64,
}

/// Which calls fail.
#[derive(Default)]
pub struct Failures {
    /// Calls left until one fails, and its code.
    countdown: Option<(u64, Code)>,
    /// State of a random sequence, and failures in a thousand calls.
    random: Option<(u64, u64)>,
    pub injected: u64,
}

/// What a call needs, and what it does when it is told to fail.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// May be called before `cuInit`.
    Anytime,
    /// Needs `cuInit`.
    Initialised,
    /// Makes a context current. The driver refuses that only for a context that is no more.
    Switches,
    /// Needs a current context.
    InContext,
    /// Frees something. The documented failure is that of earlier work: the call does its own.
    Frees,
    /// As [`Frees`](Self::Frees), and works without a context, or with a lost one.
    LetsGo,
}

pub static DRIVER: LazyLock<Mutex<Driver>> = LazyLock::new(Mutex::default);

thread_local! {
    /// The contexts current on this thread, the last on top.
    pub static CURRENT: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// Lets a call through: counts it, fails it if told to, checks what it needs.
pub fn call(name: &'static str, rule: Rule, body: impl FnOnce(&mut Driver) -> Answer) -> Code {
    let mut driver = DRIVER.lock().unwrap_or_else(PoisonError::into_inner);
    *driver.calls.entry(name).or_default() += 1;
    driver.call_count += 1;
    let injected = driver.injected(rule);
    if let Some(code) = injected
        && !matches!(rule, Rule::Frees | Rule::LetsGo)
    {
        return code;
    }
    let answer = driver.allow(name, rule).and_then(|()| body(&mut driver));
    injected.unwrap_or_else(|| answer.err().unwrap_or(0))
}

impl Driver {
    fn injected(&mut self, rule: Rule) -> Option<Code> {
        let code = self.failures.next()?;
        let code = match (rule, code) {
            (Rule::Switches, _) => CONTEXT_IS_DESTROYED,
            (_, 0) => INVALID_VALUE,
            (_, code) => code,
        };
        self.failures.injected += 1;
        if matches!(code, 700 | CONTEXT_IS_DESTROYED | 719) {
            self.lose(code);
        }
        Some(code)
    }

    /// A fault ends the context: nothing in it is there any more, but pinned memory stays mapped until it is released.
    pub fn lose(&mut self, code: Code) {
        self.sticky = code;
        self.lost.push(std::mem::take(&mut self.memory));
        self.streams = Streams::default();
    }

    fn allow(&mut self, name: &str, rule: Rule) -> Answer {
        if rule == Rule::Anytime {
            return Ok(());
        }
        if !self.initialised {
            return Err(NOT_INITIALIZED);
        }
        if matches!(rule, Rule::InContext | Rule::Frees) {
            if CURRENT.with_borrow(Vec::is_empty) {
                self.wrong(format!("{name} without a current context"));
                return Err(INVALID_CONTEXT);
            }
            if self.sticky != 0 {
                return Err(self.sticky);
            }
        }
        Ok(())
    }

    pub fn wrong(&mut self, what: String) {
        self.wrongs.push(what);
    }

    pub fn retain(&mut self) -> usize {
        self.retained += 1;
        CONTEXT
    }

    pub fn release(&mut self) -> Answer {
        if self.retained == 0 {
            self.wrong("the primary context is released more often than retained".to_owned());
            return Err(INVALID_CONTEXT);
        }
        self.retained -= 1;
        if self.retained == 0 {
            let live = self.memory.live() + self.streams.live();
            if live > 0 {
                self.wrong(format!("the context is released with {live} things left in it"));
            }
            self.lose(0);
            self.lost.clear();
        }
        Ok(())
    }

    pub fn push(&mut self, context: usize) -> Answer {
        if self.sticky == CONTEXT_IS_DESTROYED {
            return Err(CONTEXT_IS_DESTROYED);
        }
        if context != CONTEXT || self.retained == 0 {
            self.wrong("a context is made current that is not retained".to_owned());
            return Err(INVALID_CONTEXT);
        }
        CURRENT.with_borrow_mut(|stack| stack.push(context));
        self.pushed += 1;
        Ok(())
    }

    pub fn pop(&mut self) -> Answer<usize> {
        let top = CURRENT.with_borrow_mut(Vec::pop).ok_or(INVALID_CONTEXT)?;
        self.pushed -= 1;
        Ok(top)
    }
}

/// What random failures say. Refusals are frequent, faults are rare, as on a device.
const CODES: [Code; 10] = [2, 1, 2, 801, 2, 999, 12345, 2, 304, 719];

impl Failures {
    pub fn after(&mut self, calls: u64, code: Code) {
        self.countdown = Some((calls, code));
    }

    pub fn randomly(&mut self, seed: u64, per_mille: u64) {
        self.random = (per_mille > 0).then_some((seed.wrapping_mul(2).wrapping_add(1), per_mille));
    }

    fn next(&mut self) -> Option<Code> {
        if let Some((left, code)) = self.countdown {
            self.countdown = left.checked_sub(1).map(|left| (left, code));
            if left == 0 {
                return Some(code);
            }
        }
        let (state, per_mille) = self.random.as_mut()?;
        let hit = draw(state) % 1000 < *per_mille;
        let code = CODES.get(draw(state) as usize % CODES.len()).copied();
        code.filter(|_| hit)
    }
}

/// The next number of a sequence: splitmix64.
fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
