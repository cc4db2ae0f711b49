//! Budgets of tokens: what is granted, what is refused, and what goes when room is wanted.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::{Arc, Mutex};

use plimsoll::{
    MemoryBudget,
    admission::{AcquireOptions, Admission, GrantRequest},
    estimate::ComputeDevice,
    tokens::{Growth, PrunePolicy, Sequence, TokenBudget, TokenCost, TokenLayer, TokenLimits},
};

fn budget(max_cache_tokens: u64) -> TokenBudget {
    let limits = TokenLimits { max_cache_tokens: Some(max_cache_tokens), ..TokenLimits::default() };
    TokenBudget::new(TokenCost::of_token(1000).unwrap(), limits)
}

fn extend(sequence: &Sequence, tokens: u64) {
    assert_eq!(sequence.extend(tokens).unwrap(), Growth::Done(()));
}

fn fork(sequence: &Sequence, label: &str) -> Sequence {
    let Growth::Done(fork) = sequence.fork(label).unwrap() else { panic!("something is lacking") };
    fork
}

#[test]
fn a_refused_growth_changes_nothing_and_says_what_to_do() {
    let budget = budget(100);
    let (one, other) = (budget.open("one"), budget.open("other"));
    extend(&one, 70);
    extend(&other, 20);
    let error = other.extend(11).unwrap_err();
    assert_eq!(
        error.to_string(),
        "expected at most 9.77 KiB to be asked for \"other\", got 10.74 KiB: maxCacheTokens is 100, of which 90 are in use, and 11 more \
         were asked for. End a sequence, or raise the limit: \"one\" alone has 70 tokens"
    );
    assert_eq!((budget.usage().tokens, other.tokens().unwrap()), (90, 20));
    extend(&other, 10);
    assert_eq!(other.extend(u64::MAX).unwrap_err().code(), "ERR_INSUFFICIENT_MEMORY");
    drop(one);
    extend(&other, 70);
    assert_eq!(
        (budget.usage().tokens, budget.usage().peak_tokens, budget.usage().free_tokens),
        (100, 100, Some(0))
    );
}

#[test]
fn a_prefix_counts_once_until_the_last_of_its_sequences_has_gone() {
    let budget = budget(1000);
    let system = budget.open("system prompt");
    extend(&system, 500);
    let chats: Vec<_> = (0..10).map(|at| fork(&system, &format!("chat {at}"))).collect();
    for chat in &chats {
        extend(chat, 50);
    }
    assert_eq!((budget.usage().tokens, budget.usage().sequences), (1000, 11));
    drop(system);
    assert_eq!(budget.usage().tokens, 1000);
    for chat in chats.iter().skip(1) {
        chat.truncate(400).unwrap();
    }
    assert_eq!(budget.usage().tokens, 550);
    drop(chats);
    assert_eq!((budget.usage().tokens, budget.usage().bytes), (0, 0));
}

#[test]
fn each_device_has_its_share() {
    let layer = |device, window_tokens| TokenLayer {
        bytes_per_token: 10,
        window_tokens,
        bytes_per_sequence: 0,
        device,
    };
    let cost = TokenCost::new(vec![
        layer(ComputeDevice::Cpu, None),
        layer(ComputeDevice::Gpu, None),
        layer(ComputeDevice::Gpu, Some(4)),
    ]);
    let limits = TokenLimits { max_gpu_bytes: Some(140), ..TokenLimits::default() };
    let budget = TokenBudget::new(cost.unwrap(), limits);
    let sequence = budget.open("chat");
    extend(&sequence, 10);
    let usage = budget.usage();
    assert_eq!((usage.bytes, usage.cpu_bytes, usage.gpu_bytes, usage.free_tokens), (240, 100, 140, Some(0)));
    assert_eq!(budget.layer_bytes(), [100, 100, 40]);
    assert!(sequence.extend(1).unwrap_err().to_string().contains("maxGpuBytes is 140 bytes"));
    budget.set_limits(TokenLimits::default());
    extend(&sequence, 1);
}

#[test]
fn who_goes_first_is_the_policys() {
    let budget = budget(1000);
    let (old, long, cheap) = (budget.open("old"), budget.open("long"), budget.open("cheap"));
    extend(&old, 10);
    extend(&long, 100);
    extend(&cheap, 20);
    old.touch(Some(3.0)).unwrap();
    long.touch(Some(2.0)).unwrap();
    cheap.touch(Some(1.0)).unwrap();
    let first = |policy| budget.next_to_prune(policy, None).unwrap();
    assert_eq!(first(PrunePolicy::Idle), old.id());
    assert_eq!(first(PrunePolicy::Longest), long.id());
    assert_eq!(first(PrunePolicy::Score), cheap.id());
    assert_eq!(budget.next_to_prune(PrunePolicy::Idle, Some(old.id())), Some(long.id()));
    assert_eq!(budget.prune(old.id()), 10);
    assert_eq!(budget.prune(old.id()), 0, "once");
    assert_eq!(old.extend(1).unwrap_err().code(), "ERR_RELEASED");
    assert_eq!(first(PrunePolicy::Idle), long.id());
    assert_eq!(budget.sequences().len(), 2);
    assert_eq!(cheap.touch(Some(f64::NAN)).unwrap_err().code(), "ERR_INVALID_ARGUMENT");
    assert_eq!(cheap.truncate(21).unwrap_err().code(), "ERR_INVALID_ARGUMENT");
}

#[test]
fn of_forks_that_share_all_the_last_to_go_frees_it() {
    let budget = budget(100);
    let (one, other) = (budget.open("one"), budget.open("other"));
    extend(&one, 50);
    let twin = fork(&one, "twin");
    extend(&other, 10);
    assert_eq!(budget.next_to_prune(PrunePolicy::Idle, None), Some(other.id()), "whose end frees something");
    assert_eq!(budget.next_to_prune(PrunePolicy::Idle, Some(other.id())), Some(one.id()));
    assert_eq!(budget.prune(one.id()), 0);
    assert_eq!(budget.prune(twin.id()), 50);
    assert!(budget.could_extend(other.id(), 90, 0));
    extend(&other, 90);
}

#[test]
fn tokens_stretch_a_grant_and_give_it_back_when_somebody_needs_the_room() {
    let memory = MemoryBudget::new(1_000_000, 0).unwrap();
    let admission = Admission::new(&memory).unwrap();
    let tokens = TokenBudget::new(TokenCost::of_token(1000).unwrap(), TokenLimits::default());
    let held: Arc<Mutex<Option<Arc<plimsoll::admission::Grant>>>> = Arc::default();
    let (of_revoke, budget_of_revoke) = (Arc::clone(&held), tokens.clone());
    let options = AcquireOptions {
        on_revoke: Some(Arc::new(move |room| {
            let grant = of_revoke.lock().unwrap().clone().unwrap();
            // On another thread: the queue that asks is not to wait for it.
            let (budget, bytes) = (budget_of_revoke.clone(), room.bytes);
            std::thread::spawn(move || {
                let mut wanted = bytes;
                wanted -= budget.release_spare(&grant, wanted);
                while wanted > 0
                    && budget.next_to_prune(PrunePolicy::Idle, None).is_some_and(|id| budget.prune(id) > 0)
                {
                    wanted -= budget.release_spare(&grant, wanted);
                }
            });
        })),
        idle: std::time::Duration::ZERO,
        ..AcquireOptions::default()
    };
    let grant = Arc::new(admission.acquire(vec![GrantRequest::new(100_000, "kv cache")], options).unwrap());
    *held.lock().unwrap() = Some(Arc::clone(&grant));
    tokens.set_reserved_bytes(grant.bytes());
    let (old, new) = (tokens.open("old"), tokens.open("new"));
    old.extend_within(300, &grant).unwrap();
    new.extend_within(300, &grant).unwrap();
    assert!(grant.bytes() >= 600_000 && memory.allocated_bytes() == grant.bytes());

    let request = vec![GrantRequest::new(600_000, "model")];
    let model =
        admission.acquire(request, AcquireOptions { priority: 1, ..AcquireOptions::default() }).unwrap();
    assert_eq!(model.bytes(), 600_000);
    assert_eq!(old.extend(1).unwrap_err().code(), "ERR_RELEASED", "the idle one went");
    assert_eq!(new.tokens().unwrap(), 300);
    assert!(memory.allocated_bytes() <= 1_000_000);
    assert!(new.extend_within(1000, &grant).is_err(), "there is no room for that many");
    assert_eq!(new.tokens().unwrap(), 300);
}
