//! What happened between two blocks.

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HappeningKind {
    /// Bytes were granted.
    Grant,
    /// Bytes were released.
    Release,
    /// Bytes were asked for and refused.
    Refusal,
    /// A request began to wait for its turn.
    WaitBegin,
    /// A request waits no longer.
    WaitEnd,
    /// A load began; its bytes are those it has to read.
    LoadStart,
    /// A load came to its end; its bytes, as those of the next two, are those it has read.
    LoadEnd,
    /// A load ended with an error.
    LoadFailed,
    /// A load was ended by its consumer.
    LoadCancelled,
    /// A process that shares the ledger died, and its memory is waited for.
    Death,
    /// A command was started, whose share the writer keeps.
    CommandStart,
    /// It ended.
    CommandEnd,
}

names!(HappeningKind {
    Grant => "grant",
    Release => "release",
    Refusal => "refusal",
    WaitBegin => "wait-begin",
    WaitEnd => "wait-end",
    LoadStart => "load-start",
    LoadEnd => "load-end",
    LoadFailed => "load-failed",
    LoadCancelled => "load-cancelled",
    Death => "death",
    CommandStart => "command-start",
    CommandEnd => "command-end",
});

impl HappeningKind {
    /// Whether a block is written for it at once, when it is about so many bytes.
    #[must_use]
    pub const fn is_urgent(self, bytes: u64) -> bool {
        match self {
            Self::Grant => bytes >= URGENT_GRANT_BYTES,
            Self::Refusal
            | Self::WaitBegin
            | Self::LoadStart
            | Self::LoadFailed
            | Self::Death
            | Self::CommandStart
            | Self::CommandEnd => true,
            Self::Release | Self::WaitEnd | Self::LoadEnd | Self::LoadCancelled => false,
        }
    }

    /// Which go first where not all have room: refusals and waits say what was missing.
    pub(super) const fn rank(self) -> u8 {
        match self {
            Self::Refusal | Self::Death => 0,
            Self::WaitBegin | Self::WaitEnd | Self::CommandStart | Self::CommandEnd => 1,
            Self::LoadStart | Self::LoadFailed | Self::LoadEnd | Self::LoadCancelled => 2,
            Self::Grant | Self::Release => 3,
        }
    }
}

/// The least grant that a block is written for at once.
pub(super) const URGENT_GRANT_BYTES: u64 = 64 << 20;

/// One of the things that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happening {
    /// When, in milliseconds since 1970 by the clock of its block.
    pub time_ms: u64,
    /// What.
    pub kind: HappeningKind,
    /// Of another process, what that calls itself; empty for the writer's own.
    pub name: String,
    /// The process.
    pub pid: u32,
    /// The label; of a load, the path of its file. The last 96 bytes are kept of a path, and the first of any other.
    pub label: String,
    /// The bytes it is about.
    pub bytes: u64,
    /// Of a refusal: what there was, in bytes.
    pub available_bytes: Option<u64>,
    /// Of a refusal: the bound that left no more, in words. 240 bytes of it are kept.
    pub constraint: Option<String>,
}

impl Happening {
    /// Of a refusal: what was missing, in bytes.
    #[must_use]
    pub fn missing_bytes(&self) -> Option<u64> {
        self.available_bytes.map(|available| self.bytes.saturating_sub(available))
    }
}
