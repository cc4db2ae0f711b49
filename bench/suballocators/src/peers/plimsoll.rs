use plimsoll::pool::{End, NodeId, SubAllocator};

use super::Peer;

/// This package's. Told nothing of how long a buffer will live, as its peers are not.
pub struct Plimsoll(SubAllocator);

impl Peer for Plimsoll {
    const NAME: &'static str = "plimsoll";
    type Handle = NodeId;

    fn new(size_bytes: u64, _live: u32) -> Self {
        Self(SubAllocator::new(size_bytes))
    }

    fn allocate(&mut self, bytes: u64) -> Option<NodeId> {
        self.0.allocate(bytes, 1, End::Low).map(|block| block.node)
    }

    fn free(&mut self, node: NodeId) {
        self.0.free(node).expect("every handle is freed once");
    }
}
