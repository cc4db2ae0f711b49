//! Which tokens sequences share.
//!
//! ```text
//!   root <-- "you are a helpful ..." 120 tokens
//!                ^              ^
//!            one's 30       other's 8        158 tokens in all: the prefix counts once
//! ```
//!
//! A sequence is a path from its leaf to a root. A node knows how many refer to it: nodes below it and sequences that end in
//! it. One whose only reference is a node is joined to that, so a chain of forks whose parents have gone does not grow.

use slab::Slab;

/// Tokens that follow each other, and all of which the same sequences have.
#[derive(Debug, Clone, Copy)]
struct PrefixNode {
    parent: Option<u32>,
    tokens: u64,
    references: u32,
}

/// The prefixes of all sequences.
#[derive(Debug, Default)]
pub(super) struct PrefixTree {
    nodes: Slab<PrefixNode>,
    tokens: u64,
}

/// Where a sequence ends; `None` while it has no token.
pub(super) type Leaf = Option<u32>;

impl PrefixTree {
    /// All tokens, those that are shared counted once.
    pub(super) const fn tokens(&self) -> u64 {
        self.tokens
    }

    fn node(&self, at: u32) -> Option<&PrefixNode> {
        self.nodes.get(at as usize)
    }

    fn node_mut(&mut self, at: u32) -> Option<&mut PrefixNode> {
        self.nodes.get_mut(at as usize)
    }

    fn insert(&mut self, parent: Leaf, tokens: u64) -> u32 {
        self.nodes.insert(PrefixNode { parent, tokens, references: 1 }) as u32
    }

    /// Adds tokens to the end of a sequence. Returns where it ends now.
    pub(super) fn extend(&mut self, leaf: Leaf, tokens: u64) -> Leaf {
        if tokens == 0 {
            return leaf;
        }
        self.tokens += tokens;
        match leaf {
            Some(at) if self.node(at).is_some_and(|node| node.references == 1) => {
                if let Some(node) = self.node_mut(at) {
                    node.tokens += tokens;
                }
                leaf
            }
            // The sequence's own reference becomes that of the new node.
            _ => Some(self.insert(leaf, tokens)),
        }
    }

    /// Takes in the nodes above whose only reference this one is.
    fn join_with_parent(&mut self, at: u32) {
        while let Some(above) = self.node(at).and_then(|node| node.parent)
            && let Some(parent) = self.node(above).copied().filter(|parent| parent.references == 1)
        {
            self.nodes.try_remove(above as usize);
            if let Some(node) = self.node_mut(at) {
                node.parent = parent.parent;
                node.tokens += parent.tokens;
            }
        }
    }

    /// One more sequence ends there.
    pub(super) fn fork(&mut self, leaf: Leaf) -> Leaf {
        if let Some(at) = leaf {
            self.join_with_parent(at);
            if let Some(node) = self.node_mut(at) {
                node.references += 1;
            }
        }
        leaf
    }

    /// A sequence that ended there has gone, and with it what nobody else has.
    pub(super) fn release(&mut self, leaf: Leaf) {
        let mut at = leaf;
        while let Some(index) = at
            && let Some(node) = self.node_mut(index)
        {
            node.references -= 1;
            if node.references > 0 {
                return;
            }
            let PrefixNode { parent, tokens, .. } = *node;
            self.nodes.try_remove(index as usize);
            self.tokens -= tokens;
            at = parent;
        }
    }

    /// Tokens that only the sequence has that ends there.
    pub(super) fn own_tokens(&self, leaf: Leaf) -> u64 {
        let mut own = 0;
        let mut at = leaf;
        while let Some(node) = at.and_then(|index| self.node(index)).filter(|node| node.references == 1) {
            own += node.tokens;
            at = node.parent;
        }
        own
    }

    /// Takes tokens off the end of a sequence, of which it has as many at least. Returns where it ends now.
    pub(super) fn shorten(&mut self, leaf: Leaf, mut tokens: u64) -> Leaf {
        let mut at = leaf;
        while tokens > 0
            && let Some(index) = at
            && let Some(node) = self.node(index).copied()
        {
            if node.tokens > tokens {
                return Some(self.cut(index, node, tokens));
            }
            tokens -= node.tokens;
            // The sequence ends in the node above before it leaves this one, so that stays.
            at = self.fork(node.parent);
            self.release(Some(index));
        }
        at
    }

    /// Ends a sequence within a node: others keep what it leaves.
    fn cut(&mut self, index: u32, node: PrefixNode, tokens: u64) -> u32 {
        if node.references == 1 {
            if let Some(node) = self.node_mut(index) {
                node.tokens -= tokens;
            }
            self.tokens -= tokens;
            return index;
        }
        let kept = self.insert(node.parent, node.tokens - tokens);
        if let Some(upper) = self.node_mut(kept) {
            // The rest of the node, and the sequence, which no longer refers to that.
            upper.references = 2;
        }
        if let Some(rest) = self.node_mut(index) {
            rest.parent = Some(kept);
            rest.tokens = tokens;
            rest.references -= 1;
        }
        kept
    }

    #[cfg(test)]
    pub(super) fn node_count(&self) -> usize {
        self.nodes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_chain_of_forks_whose_parents_have_gone_does_not_grow() {
        let mut tree = PrefixTree::default();
        let mut leaf = tree.extend(None, 100);
        for _ in 0..1000 {
            let child = tree.fork(leaf);
            let child = tree.extend(child, 1);
            tree.release(leaf);
            leaf = child;
        }
        assert_eq!(tree.tokens(), 1100);
        assert!(tree.node_count() <= 2, "{} nodes", tree.node_count());
        tree.release(leaf);
        assert_eq!((tree.tokens(), tree.node_count()), (0, 0));
    }

    #[derive(Debug, Clone)]
    enum Step {
        Open,
        Extend(usize, u64),
        Fork(usize),
        Release(usize),
        Shorten(usize, u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            Just(Step::Open),
            (any::<usize>(), 0_u64..6).prop_map(|(at, tokens)| Step::Extend(at, tokens)),
            any::<usize>().prop_map(Step::Fork),
            any::<usize>().prop_map(Step::Release),
            (any::<usize>(), any::<u64>()).prop_map(|(at, tokens)| Step::Shorten(at, tokens)),
        ]
    }

    proptest! {
        /// Against lists of tokens that each have a name of their own.
        #[test]
        fn it_counts_as_a_plain_set_of_tokens_does(steps in prop::collection::vec(step(), 0..120)) {
            let mut tree = PrefixTree::default();
            let mut sequences: Vec<(Leaf, Vec<u64>)> = Vec::new();
            let mut names = 0..;
            for step in steps {
                let count = sequences.len();
                match step {
                    Step::Open => sequences.push((None, Vec::new())),
                    Step::Extend(at, tokens) if count > 0 => {
                        let (leaf, list) = &mut sequences[at % count];
                        *leaf = tree.extend(*leaf, tokens);
                        list.extend(names.by_ref().take(tokens as usize));
                    }
                    Step::Fork(at) if count > 0 => {
                        let (leaf, list) = sequences[at % count].clone();
                        sequences.push((tree.fork(leaf), list));
                    }
                    Step::Release(at) if count > 0 => tree.release(sequences.swap_remove(at % count).0),
                    Step::Shorten(at, tokens) if count > 0 => {
                        let (leaf, list) = &mut sequences[at % count];
                        let tokens = tokens % (list.len() as u64 + 1);
                        *leaf = tree.shorten(*leaf, tokens);
                        list.truncate(list.len() - tokens as usize);
                    }
                    _ => {}
                }
                let all: BTreeSet<u64> = sequences.iter().flat_map(|(_, list)| list.iter().copied()).collect();
                prop_assert_eq!(tree.tokens(), all.len() as u64);
                for (at, (leaf, list)) in sequences.iter().enumerate() {
                    let others: BTreeSet<u64> =
                        sequences.iter().enumerate().filter(|(other, _)| *other != at).flat_map(|(_, (_, list))| list.iter().copied()).collect();
                    let own = list.iter().filter(|token| !others.contains(token)).count() as u64;
                    prop_assert_eq!(tree.own_tokens(*leaf), own);
                }
            }
            for (leaf, _) in sequences {
                tree.release(leaf);
            }
            prop_assert_eq!((tree.tokens(), tree.node_count()), (0, 0));
        }
    }
}
