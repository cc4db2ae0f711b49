//! Who goes first when room is wanted.

/// By what a sequence is chosen to be pruned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PrunePolicy {
    /// The one that was neither extended nor touched for longest.
    #[default]
    Idle,
    /// The one with the lowest score; of those the longest idle.
    Score,
    /// The one whose end frees most tokens; of those the longest idle.
    Longest,
}

names!(PrunePolicy {
    Idle => "idle",
    Score => "score",
    Longest => "longest",
});

/// What is known of one that might go.
#[derive(Debug, Clone, Copy)]
pub(super) struct PruneCandidate {
    /// When it was last in use, by a clock that counts uses.
    pub(super) used: u64,
    pub(super) score: f64,
    /// Tokens that nobody else has.
    pub(super) own_tokens: u64,
}

impl PrunePolicy {
    /// Whether one goes before another: of all those whose end frees nothing now go last.
    pub(super) fn goes_before(self, one: &PruneCandidate, other: &PruneCandidate) -> bool {
        let frees_nothing = |candidate: &PruneCandidate| candidate.own_tokens == 0;
        if frees_nothing(one) != frees_nothing(other) {
            return frees_nothing(other);
        }
        let by_policy = match self {
            Self::Idle => std::cmp::Ordering::Equal,
            Self::Score => one.score.total_cmp(&other.score),
            Self::Longest => other.own_tokens.cmp(&one.own_tokens),
        };
        by_policy.then(one.used.cmp(&other.used)).is_lt()
    }
}
