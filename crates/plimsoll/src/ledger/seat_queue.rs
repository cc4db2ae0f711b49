//! The queue of those who share a ledger: what each has in its slot, and what they ask of one another.

use super::{
    asks::AskCell,
    file::Condition,
    identity::now_ns,
    layout::SLOT_COUNT,
    points::{Point, reach},
    queues::Offered,
    seat::Seat,
    share::{LedgerWaiting, load_of},
    slots::Slots,
    state::{SlotState, Tenure},
};
use crate::{
    budget::{SharedAnswer, SharedAsk, SharedHolder, SharedQueue, SharedTurn},
    sync::lock,
};

/// Of a request whose process has said nothing for so long nobody keeps anything: it is stopped, or dying.
const SILENT_NS: u64 = 1_000_000_000;

impl SharedQueue for Seat {
    fn wait(&self, queue: usize, next: Option<SharedTurn>, label: &str) {
        let waiting = next.map(|turn| LedgerWaiting {
            bytes: turn.bytes,
            priority: turn.priority,
            since_ns: turn.since_ns,
            kept_bytes: turn.kept_bytes,
            seen_ns: now_ns(),
            count: turn.count,
            stands_back: turn.stands_back,
        });
        let mut queues = lock(&self.queues);
        let (waiting, label) = queues.wait(queue, waiting, label);
        // A ledger that cannot be written to is told to who asks for memory.
        let _ = self.wait_with(waiting, &label);
    }

    fn turn_elsewhere(&self) -> Option<SharedTurn> {
        self.with_slots(|slots| {
            let (slot, first) = others_waiting(slots).min_by_key(rank)?;
            Some(SharedTurn {
                goes_first: slots.own.is_none_or(|own| slot < own),
                bytes: first.bytes,
                priority: first.priority,
                since_ns: first.since_ns,
                kept_bytes: first.kept_bytes,
                count: first.count,
                stands_back: false,
            })
        })
    }

    fn kept_bytes(&self) -> u64 {
        self.with_slots(|slots| others_waiting(slots).map(|(_, waiting)| waiting.kept_bytes).max())
            .unwrap_or(0)
    }

    fn offer(&self, queue: usize, priority: i32, revocable_bytes: u64, used_at_ns: u64) {
        let mut queues = lock(&self.queues);
        self.describe(queues.offer(queue, Offered { priority, revocable_bytes, used_at_ns }));
        reach(Point::Offered);
    }

    fn holders_elsewhere(&self) -> Vec<SharedHolder> {
        let now = now_ns();
        let holders = self.with_slots(|slots| {
            let holder = |slot| {
                let share = slots.share(slot)?;
                Some(SharedHolder {
                    slot,
                    priority: share.priority,
                    idle_ns: now.saturating_sub(share.used_at_ns),
                    revocable_bytes: share.revocable_bytes,
                })
            };
            let others =
                slots.taken().filter(|(slot, tenure)| *tenure == Tenure::Live && Some(*slot) != slots.own);
            let all = others.filter_map(|(slot, _)| holder(slot));
            Some(all.filter(|holder| holder.revocable_bytes > 0).collect())
        });
        holders.unwrap_or_default()
    }

    fn ask(&self, slot: usize, ask: SharedAsk) -> Option<u64> {
        self.with_slots(|slots| {
            let own = slots.own.filter(|own| slot != *own)?;
            let waits = |other| slots.state(other).is_some_and(SlotState::waits);
            cell(slots, slot)?.write(own, &ask, now_ns(), waits)
        })
    }

    fn answer_of(&self, slot: usize, id: u64) -> SharedAnswer {
        self.with_slots(|slots| Some(cell(slots, slot)?.answer_of(id))).unwrap_or(SharedAnswer::Over)
    }

    fn withdraw(&self, slot: usize, id: u64) {
        self.with_slots(|slots| {
            cell(slots, slot)?.answer(id, SharedAnswer::Over);
            Some(())
        });
    }

    fn asked(&self, queue: usize) -> Option<SharedAsk> {
        lock(&self.queues).is_asked(queue).then_some(())?;
        let asked = self.with_slots(|slots| cell(slots, slots.own?)?.read(now_ns()))?;
        reach(Point::Heard);
        Some(asked)
    }

    fn answer(&self, id: u64, answer: SharedAnswer) {
        self.with_slots(|slots| {
            cell(slots, slots.own?)?.answer(id, answer);
            Some(())
        });
    }

    fn begin_load(&self, key: &str) -> bool {
        // Without a ledger that can be written to nobody is granted anything, and why is told there.
        self.try_load(load_of(key)).unwrap_or(true)
    }

    fn end_load(&self, key: &str) {
        self.end_of_load(load_of(key));
    }
}

/// What the process of a slot is asked.
fn cell<'a>(slots: &Slots<'a>, slot: usize) -> Option<AskCell<'a>> {
    slots.file.words.ask(slot).filter(|_| slot < SLOT_COUNT)
}

impl Seat {
    /// Looks at the slots, if the ledger is whole.
    fn with_slots<T>(&self, look: impl FnOnce(&Slots<'_>) -> Option<T>) -> Option<T> {
        let state = self.state().ok()?;
        (state.file.condition() == Condition::Good).then_some(())?;
        look(&self.slots(&state))
    }
}

/// The requests of other processes that live and go on.
fn others_waiting<'a>(slots: &'a Slots<'_>) -> impl Iterator<Item = (usize, LedgerWaiting)> + 'a {
    let now = now_ns();
    let waiting = slots.waiting_elsewhere().filter_map(|slot| Some((slot, slots.share(slot)?.waiting?)));
    waiting
        .filter(move |(_, waiting)| !waiting.stands_back && now.saturating_sub(waiting.seen_ns) < SILENT_NS)
}

fn rank((slot, waiting): &(usize, LedgerWaiting)) -> (std::cmp::Reverse<i32>, u64, usize) {
    (std::cmp::Reverse(waiting.priority), waiting.since_ns, *slot)
}
