//! What the queues of one process say, of which its slot tells the others one thing at a time.

use std::cmp::Reverse;

use super::share::LedgerWaiting;

/// The queues of a process that share its slot: one for each account, by numbers of their own.
#[derive(Debug, Default)]
pub(super) struct Queues(Vec<QueueView>);

/// What one of them says.
#[derive(Debug, Default)]
struct QueueView {
    queue: usize,
    waiting: Option<LedgerWaiting>,
    label: String,
    offer: Offered,
}

/// What could go of what its grants hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Offered {
    pub(super) priority: i32,
    pub(super) revocable_bytes: u64,
    pub(super) used_at_ns: u64,
}

impl Queues {
    fn change(&mut self, queue: usize, change: impl FnOnce(&mut QueueView)) {
        let known = self.0.iter().position(|view| view.queue == queue);
        let mut view = known.map(|place| self.0.swap_remove(place)).unwrap_or_default();
        view.queue = queue;
        change(&mut view);
        if view.waiting.is_some() || view.offer != Offered::default() {
            self.0.push(view);
        }
    }

    /// Takes on what one of them waits for, and returns what is next of all, with its label: who is in nobody's way last.
    pub(super) fn wait(
        &mut self,
        queue: usize,
        waiting: Option<LedgerWaiting>,
        label: &str,
    ) -> (Option<LedgerWaiting>, String) {
        self.change(queue, |view| {
            view.waiting = waiting;
            label.clone_into(&mut view.label);
        });
        let count =
            self.0.iter().filter_map(|view| view.waiting).map(|it| it.count).fold(0, u32::saturating_add);
        let all = self.0.iter().filter_map(|view| Some((view.waiting?, &view.label)));
        let next = all.min_by_key(|(it, _)| (it.stands_back, Reverse(it.priority), it.since_ns));
        // Each says by itself that it goes on.
        let seen_ns = self.0.iter().filter_map(|view| view.waiting).map(|it| it.seen_ns).max().unwrap_or(0);
        next.map_or_else(Default::default, |(it, label)| {
            (Some(LedgerWaiting { seen_ns, count, ..it }), label.clone())
        })
    }

    /// Takes on what one of them could have go, and returns the offer of the one that has most: who asks for it asks that one.
    pub(super) fn offer(&mut self, queue: usize, offer: Offered) -> Offered {
        self.change(queue, |view| view.offer = offer);
        self.offering().map_or_else(Offered::default, |view| view.offer)
    }

    fn offering(&self) -> Option<&QueueView> {
        self.0.iter().max_by_key(|view| (view.offer.revocable_bytes, Reverse(view.queue)))
    }

    /// Whether what the process is asked is asked of that one.
    pub(super) fn is_asked(&self, queue: usize) -> bool {
        self.offering().is_none_or(|view| view.queue == queue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(priority: i32, since_ns: u64, stands_back: bool) -> LedgerWaiting {
        LedgerWaiting {
            bytes: since_ns,
            priority,
            since_ns,
            stands_back,
            count: 1,
            ..LedgerWaiting::default()
        }
    }

    #[test]
    fn the_next_of_all_queues_is_told_and_what_one_ends_with_leaves_the_others() {
        let mut queues = Queues::default();
        assert_eq!(queues.wait(1, None, ""), (None, String::new()));
        queues.wait(1, Some(waits(0, 10, false)), "one");
        assert_eq!(queues.wait(2, Some(waits(5, 20, false)), "two").1, "two", "the higher priority");
        assert_eq!(queues.wait(2, Some(waits(5, 20, true)), "two").1, "one", "who stands back is last");
        let (next, label) = queues.wait(3, Some(waits(0, 5, false)), "three");
        assert_eq!((next.unwrap().count, label.as_str()), (3, "three"), "who came first");
        assert_eq!(queues.wait(3, None, "").1, "one");
        assert_eq!(queues.wait(1, None, "").1, "two");
        assert_eq!(queues.wait(2, None, "").0, None);
    }

    #[test]
    fn the_queue_that_could_give_most_is_the_one_that_is_asked() {
        let offer = |revocable_bytes| Offered { priority: 1, revocable_bytes, used_at_ns: 2 };
        let mut queues = Queues::default();
        assert_eq!(queues.offer(1, offer(10)), offer(10));
        assert_eq!(queues.offer(2, offer(20)), offer(20));
        assert!(queues.is_asked(2) && !queues.is_asked(1));
        assert_eq!(queues.offer(1, offer(5)), offer(20));
        assert_eq!(queues.offer(2, Offered::default()), offer(5));
        assert!(queues.is_asked(1));
        assert_eq!(queues.offer(1, Offered::default()), Offered::default());
    }
}
