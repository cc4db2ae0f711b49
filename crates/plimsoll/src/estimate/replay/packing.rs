//! How many bytes the tensors of a graph take when each is placed as ggml's allocator places it: in the hole that it fits best,
//! or over what it reads, and its memory given back after the last reader.
//!
//! Source: `ggml_gallocr_alloc_graph_impl` and `ggml_dyn_tallocr_alloc` in ggml's `ggml-alloc.c`.

use super::graph::{Graph, GraphTensor, LayerEnds, TensorId};
use crate::estimate::llama_version::LlamaCppVersion;

/// What a tensor's place is a multiple of, in bytes (`TENSOR_ALIGNMENT` of the CPU back end).
const ALIGNMENT: u64 = 32;

/// What a graph's tensors take.
pub(super) struct Packed {
    /// The most bytes at the same time, holes between them included.
    pub(super) peak_bytes: u64,
    /// How memory looked at the end of each layer.
    pub(super) moments: Vec<Moment>,
}

/// How memory looks at the end of a layer: its holes, and what lies where, by the places of the layer's tensors among each other.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Moment {
    holes: Vec<(u64, u64)>,
    /// For each tensor: whether it is the layer's own, which it is of those or of all, and where it lies.
    live: Vec<(bool, usize, u64)>,
}

/// Places every tensor of a graph that there is in that version.
pub(super) fn pack(graph: &Graph, version: LlamaCppVersion) -> Packed {
    let mut moments = Vec::with_capacity(graph.layers.len());
    let mut packing = Packing::new(graph.len());
    let tensor_of = |id: &TensorId| graph.tensor(*id).filter(|tensor| tensor.since <= version);
    for leaf in &graph.leaves {
        if tensor_of(leaf).is_some() {
            packing.place(graph, *leaf);
        }
    }
    for id in &graph.order {
        let Some(tensor) = tensor_of(id) else { continue };
        if let Some(owner) = tensor.view_of {
            packing.uses(owner).views += 1;
        }
        for source in graph.sources(tensor) {
            packing.uses(*source).readers += 1;
        }
    }
    for id in &graph.order {
        let Some(tensor) = tensor_of(id) else { continue };
        packing.place(graph, *id);
        for source in graph.sources(tensor) {
            packing.read(graph, *source);
        }
        if let Some(layer) = graph.layers.get(moments.len()).filter(|layer| layer.output == *id) {
            moments.push(packing.moment(layer));
        }
    }
    Packed { peak_bytes: packing.arena.peak_bytes, moments }
}

/// Who still needs a tensor, and where it lies.
#[derive(Debug, Clone, Copy, Default)]
struct Uses {
    readers: u32,
    views: u32,
    offset: Option<u64>,
}

struct Packing {
    uses: Vec<Uses>,
    arena: Arena,
    /// What lies in memory, in the order in which it came.
    live: Vec<TensorId>,
    /// For a tensor of another graph, which there is none of.
    nobody: Uses,
}

impl Packing {
    fn new(tensors: usize) -> Self {
        Self {
            uses: vec![Uses::default(); tensors],
            arena: Arena::new(),
            live: Vec::new(),
            nobody: Uses::default(),
        }
    }

    fn uses(&mut self, id: TensorId) -> &mut Uses {
        self.uses.get_mut(id.0).unwrap_or(&mut self.nobody)
    }

    fn place(&mut self, graph: &Graph, id: TensorId) {
        let Some(tensor) = graph.tensor(id) else { return };
        if tensor.is_external || tensor.view_of.is_some() || self.uses(id).offset.is_some() {
            return;
        }
        let offset = self.over_a_source(graph, tensor).unwrap_or_else(|| self.arena.take(tensor.bytes));
        self.uses(id).offset = Some(offset);
        self.live.push(id);
    }

    /// How memory looks at the end of a layer.
    fn moment(&mut self, layer: &LayerEnds) -> Moment {
        let Self { uses, arena, live, .. } = self;
        live.retain(|id| uses.get(id.0).is_some_and(|uses| uses.offset.is_some()));
        let place = |id: &TensorId| {
            let offset = uses.get(id.0).and_then(|uses| uses.offset).unwrap_or(u64::MAX);
            let own = id.0.checked_sub(layer.first).filter(|_| *id <= layer.output);
            (own.is_some(), own.unwrap_or(id.0), offset)
        };
        Moment { holes: arena.holes.clone(), live: live.iter().map(place).collect() }
    }

    /// The place of a source that nobody else needs, for an operation that may write over it.
    fn over_a_source(&mut self, graph: &Graph, tensor: &GraphTensor) -> Option<u64> {
        if !tensor.works_in_place {
            return None;
        }
        graph.sources(tensor).iter().find_map(|id| {
            let source = graph.tensor(*id)?;
            let same_layout = source.dims == tensor.dims
                && source.element_bytes == tensor.element_bytes
                && source.is_contiguous == tensor.is_contiguous;
            let uses = self.uses(*id);
            let is_free = uses.readers == 1 && uses.views == 0 && !source.is_output;
            // A view has no place of its own.
            if same_layout && is_free { uses.offset.take() } else { None }
        })
    }

    /// One reader less.
    fn read(&mut self, graph: &Graph, id: TensorId) {
        let uses = self.uses(id);
        uses.readers = uses.readers.saturating_sub(1);
        if uses.readers > 0 || uses.views > 0 {
            return;
        }
        let Some(tensor) = graph.tensor(id) else { return };
        let owner = tensor.view_of.unwrap_or(id);
        let uses = self.uses(owner);
        if tensor.view_of.is_some() {
            uses.views = uses.views.saturating_sub(1);
        }
        let is_needed = uses.readers > 0 || uses.views > 0;
        let Some(tensor) = graph.tensor(owner).filter(|owner| !is_needed && !owner.is_output) else { return };
        if let Some(offset) = self.uses(owner).offset.take() {
            self.arena.release(offset, tensor.bytes);
        }
    }
}

/// Memory without an end, whose holes are kept in order.
struct Arena {
    /// Offset and size. The last has no end.
    holes: Vec<(u64, u64)>,
    peak_bytes: u64,
}

impl Arena {
    fn new() -> Self {
        Self { holes: vec![(0, u64::MAX)], peak_bytes: 0 }
    }

    /// Takes the smallest hole that is large enough, the last of several; the end where none is.
    fn take(&mut self, bytes: u64) -> u64 {
        let bytes = aligned(bytes);
        let last = self.holes.len().saturating_sub(1);
        let fitting = self.holes.iter().take(last).enumerate().filter(|(_, hole)| hole.1 >= bytes);
        let position = fitting
            .min_by_key(|(position, hole)| (hole.1, last - position))
            .map_or(last, |(position, _)| position);
        let Some(hole) = self.holes.get_mut(position) else { return 0 };
        let offset = hole.0;
        *hole = (offset.saturating_add(bytes), hole.1.saturating_sub(bytes));
        if hole.1 == 0 && position < last {
            self.holes.remove(position);
        }
        self.peak_bytes = self.peak_bytes.max(offset.saturating_add(bytes));
        offset
    }

    fn release(&mut self, offset: u64, bytes: u64) {
        let bytes = aligned(bytes);
        let position = self.holes.partition_point(|hole| hole.0 < offset);
        self.holes.insert(position, (offset, bytes));
        self.join(position);
        if let Some(before) = position.checked_sub(1) {
            self.join(before);
        }
    }

    /// Joins a hole with the next, where nothing lies between them.
    fn join(&mut self, position: usize) {
        let (Some(hole), Some(next)) = (self.holes.get(position), self.holes.get(position + 1)) else {
            return;
        };
        if hole.0.saturating_add(hole.1) != next.0 {
            return;
        }
        let joined = (hole.0, hole.1.saturating_add(next.1));
        self.holes.remove(position + 1);
        if let Some(hole) = self.holes.get_mut(position) {
            *hole = joined;
        }
    }
}

fn aligned(bytes: u64) -> u64 {
    bytes.checked_next_multiple_of(ALIGNMENT).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tensor_takes_the_smallest_hole_that_is_large_enough() {
        let mut arena = Arena::new();
        let offsets: Vec<u64> = [96, 32, 64, 32].into_iter().map(|bytes| arena.take(bytes)).collect();
        assert_eq!(offsets, [0, 96, 128, 192]);
        arena.release(0, 96);
        arena.release(128, 64);
        assert_eq!(arena.take(50), 128);
        assert_eq!(arena.take(65), 0);
        assert_eq!(arena.peak_bytes, 224);
    }

    #[test]
    fn holes_side_by_side_are_one() {
        let mut arena = Arena::new();
        let [first, second, third] = [32, 32, 32].map(|bytes| arena.take(bytes));
        arena.release(first, 32);
        arena.release(third, 32);
        arena.release(second, 32);
        assert_eq!(arena.holes, [(0, u64::MAX)]);
    }

    #[test]
    fn an_operation_writes_over_what_nobody_else_reads() {
        let mut graph = Graph::new();
        let input = graph.input(64, 4);
        let first = graph.computed([64, 1, 1, 1], &[input]);
        let second = graph.in_place([64, 1, 1, 1], &[first]);
        let both = graph.computed([64, 1, 1, 1], &[second, second]);
        graph.keep(both);
        graph.expand(both);
        // The input's place is free when the result is placed.
        assert_eq!(pack(&graph, LlamaCppVersion::FIRST).peak_bytes, 2 * 256);
    }
}
