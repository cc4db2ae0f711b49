//! The queue of those who share a ledger: what each has in its slot, and what they ask of one another.

use super::{
    file::Condition, identity::now_ns, layout::SLOT_COUNT, seat::Seat, share::LedgerWaiting, slots::Slots,
    state::Tenure,
};
use crate::budget::{SharedAsk, SharedHolder, SharedQueue, SharedTurn};

/// Of a request whose process has said nothing for so long nobody keeps anything: it is stopped, or dying.
const SILENT_NS: u64 = 1_000_000_000;

impl SharedQueue for Seat {
    fn wait(&self, next: Option<SharedTurn>, label: &str) {
        let waiting = next.map(|turn| LedgerWaiting {
            bytes: turn.bytes,
            priority: turn.priority,
            since_ns: turn.since_ns,
            kept_bytes: turn.kept_bytes,
            seen_ns: now_ns(),
            count: turn.count,
        });
        // A ledger that cannot be written to is told to who asks for memory.
        let _ = self.wait_with(waiting, label);
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
            })
        })
    }

    fn kept_bytes(&self) -> u64 {
        self.with_slots(|slots| others_waiting(slots).map(|(_, waiting)| waiting.kept_bytes).max())
            .unwrap_or(0)
    }

    fn offer(&self, priority: i32, revocable_bytes: u64, used_at_ns: u64) {
        self.describe(priority, revocable_bytes, used_at_ns);
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

    fn ask(&self, slot: usize, ask: SharedAsk) -> bool {
        let asked = self.with_slots(|slots| {
            let own = slots.own?;
            let cell = slots.file.words.ask(slot).filter(|_| slot < SLOT_COUNT && slot != own)?;
            Some(cell.write(own, &ask, now_ns()))
        });
        asked.unwrap_or(false)
    }

    fn asked(&self) -> Option<SharedAsk> {
        self.with_slots(|slots| slots.file.words.ask(slots.own?)?.read(now_ns()))
    }
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
    waiting.filter(move |(_, waiting)| now.saturating_sub(waiting.seen_ns) < SILENT_NS)
}

fn rank((slot, waiting): &(usize, LedgerWaiting)) -> (std::cmp::Reverse<i32>, u64, usize) {
    (std::cmp::Reverse(waiting.priority), waiting.since_ns, *slot)
}
