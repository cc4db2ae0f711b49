//! Stacks, each kept once however many allocations came from there.

use std::{collections::HashSet, sync::Arc};

use super::text::cut;

/// More of a stack tells no more.
const MAX_STACK_BYTES: usize = 8192;

/// Sets smaller than this are not worth sweeping.
const LEAST_SWEPT: usize = 64;

/// Those that something refers to, and at most as many again.
#[derive(Debug, Default)]
pub(super) struct Stacks {
    known: HashSet<Arc<str>>,
    sweep_at: usize,
}

impl Stacks {
    pub(super) fn intern(&mut self, stack: &str) -> Arc<str> {
        let stack = cut(stack, MAX_STACK_BYTES);
        if let Some(known) = self.known.get(stack) {
            return Arc::clone(known);
        }
        if self.known.len() >= self.sweep_at {
            self.known.retain(|known| Arc::strong_count(known) > 1);
            self.sweep_at = (self.known.len() * 2).max(LEAST_SWEPT);
        }
        let stack = Arc::<str>::from(stack);
        self.known.insert(Arc::clone(&stack));
        stack
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_stack_is_kept_once_and_forgotten_when_nothing_refers_to_it() {
        let mut stacks = Stacks::default();
        let first = stacks.intern("at main");
        assert!(Arc::ptr_eq(&first, &stacks.intern("at main")));
        for number in 0..10_000 {
            stacks.intern(&number.to_string());
            assert!(stacks.known.len() <= LEAST_SWEPT);
        }
        assert!(Arc::ptr_eq(&first, &stacks.intern("at main")), "one that is in use stays");
    }

    #[test]
    fn an_endless_stack_is_cut() {
        assert_eq!(Stacks::default().intern(&"x".repeat(1 << 20)).len(), MAX_STACK_BYTES);
    }
}
