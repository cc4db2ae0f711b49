//! The queue beside a sequential model of it: the same requests, releases and cancels lead to the same grants.

use super::*;
use crate::admission::policy::{Waiter, granted as granted_by_policy, order};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    Submit {
        bytes: u64,
        priority: i32,
        age_ms: u64,
    },
    /// Of those that hold, the one at that place.
    Release(usize),
    /// Of those that wait, the one at that place.
    Cancel(usize),
    /// Somebody takes so much out of turn.
    Take(u64),
    Pass {
        ms: u64,
    },
}

const LINE: u64 = 100;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..80_u64, -1..2_i32, 0..20_u64).prop_map(|(bytes, priority, age_ms)| Step::Submit { bytes, priority, age_ms }),
        3 => any::<usize>().prop_map(Step::Release),
        1 => any::<usize>().prop_map(Step::Cancel),
        1 => (0..60_u64).prop_map(Step::Take),
        2 => (1..15_u64).prop_map(|ms| Step::Pass { ms }),
    ];
    prop::collection::vec(step, 0..60)
}

/// What should be: who waits in which order, and how much is taken.
#[derive(Default)]
struct Model {
    waiting: Vec<Waiter>,
    holding: Vec<(u64, u64)>,
    taken: u64,
}

impl Model {
    fn grant(&mut self, now_ns: u64) {
        self.waiting.sort_by(order);
        for place in granted_by_policy(&self.waiting, LINE - self.taken, now_ns).into_iter().rev() {
            let waiter = self.waiting.remove(place);
            self.taken += waiter.bytes;
            self.holding.push((waiter.tie, waiter.bytes));
        }
    }

    fn kept_bytes(&self, now_ns: u64) -> u64 {
        self.waiting.first().filter(|head| head.is_aged(now_ns)).map_or(0, |head| head.bytes)
    }
}

proptest! {
    #[test]
    fn it_grants_what_a_sequential_model_grants(steps in steps()) {
        let admission = line_of(LINE);
        let (mut model, mut now) = (Model::default(), now_ns());
        let (mut tickets, mut grants, mut taken) = (Vec::<(u64, Ticket)>::new(), Vec::<(u64, Grant)>::new(), Vec::new());
        let mut tie = 0;
        for step in steps {
            match step {
                Step::Submit { bytes: size, priority, age_ms } => {
                    tie += 1;
                    let options = AcquireOptions { priority, age: Duration::from_millis(age_ms), ..AcquireOptions::default() };
                    tickets.push((tie, admission.submit_at(bytes(size), options, now, now, None).unwrap()));
                    model.waiting.push(Waiter { priority, since_ns: now, tie, bytes: size, age_ns: age_ms * 1_000_000 });
                }
                Step::Release(place) if !grants.is_empty() => {
                    let (tie, grant) = grants.remove(place % grants.len());
                    drop(grant);
                    model.taken -= model.holding.iter().find(|(held, _)| *held == tie).unwrap().1;
                    model.holding.retain(|(held, _)| *held != tie);
                }
                Step::Cancel(place) if !tickets.is_empty() => {
                    let (tie, ticket) = tickets.remove(place % tickets.len());
                    ticket.canceller().cancel_at(now);
                    drop(ticket);
                    model.waiting.retain(|waiter| waiter.tie != tie);
                }
                Step::Take(size) => {
                    let fits = size <= (LINE - model.taken).saturating_sub(model.kept_bytes(now));
                    match admission.budget().allocate(size, "out of turn") {
                        Ok(guard) => {
                            prop_assert!(fits);
                            model.taken += size;
                            taken.push(guard);
                        }
                        Err(_) => prop_assert!(!fits),
                    }
                }
                Step::Pass { ms } => {
                    now += ms * 1_000_000;
                    model.taken -= taken.drain(..).map(|guard| guard.bytes()).sum::<u64>();
                }
                Step::Release(_) | Step::Cancel(_) => {}
            }
            admission.run(now);
            model.grant(now);
            tickets.retain(|(tie, ticket)| match ticket.try_take() {
                Some(outcome) => {
                    grants.push((*tie, outcome.unwrap()));
                    false
                }
                None => true,
            });
            let mut held: Vec<u64> = grants.iter().map(|(tie, _)| *tie).collect();
            let mut expected: Vec<u64> = model.holding.iter().map(|(tie, _)| *tie).collect();
            held.sort_unstable();
            expected.sort_unstable();
            prop_assert_eq!(held, expected);
            prop_assert_eq!(admission.budget().allocated_bytes(), model.taken);
            let listed: Vec<_> = admission.waiting().into_iter().map(|info| info.bytes).collect();
            let waiting: Vec<_> = model.waiting.iter().map(|waiter| waiter.bytes).collect();
            prop_assert_eq!(listed, waiting);
        }
        drop((tickets, grants, taken));
        prop_assert_eq!(admission.budget().allocated_bytes(), 0);
    }
}
