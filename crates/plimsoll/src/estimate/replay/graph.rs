//! A graph of tensors, as far as an allocator sees it: sizes, who reads whom, and in which order.

use crate::estimate::llama_version::LlamaCppVersion;

/// A tensor, by its place in the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TensorId(pub(super) usize);

/// One tensor of the graph.
// Flags that ggml has, each by itself.
#[allow(clippy::struct_excessive_bools)]
#[derive(Debug, Clone)]
pub(super) struct GraphTensor {
    pub(super) bytes: u64,
    pub(super) dims: [u64; 4],
    /// Bytes of one element: tensors of other elements have another layout.
    pub(super) element_bytes: u64,
    /// Its elements follow each other without gaps.
    pub(super) is_contiguous: bool,
    /// Where those that it reads stand among the graph's.
    sources: Sources,
    /// The tensor that owns its memory, for a view.
    pub(super) view_of: Option<TensorId>,
    /// Its operation may write over what it reads.
    pub(super) works_in_place: bool,
    /// Its memory is not the graph's: weights, caches.
    pub(super) is_external: bool,
    /// It is read after the graph has run.
    pub(super) is_output: bool,
    is_visited: bool,
    /// Since when there is such a tensor.
    pub(super) since: LlamaCppVersion,
}

/// A run of the list of all sources: a list for each tensor would cost more than all else.
#[derive(Debug, Clone, Copy, Default)]
struct Sources {
    start: usize,
    end: usize,
}

/// Tensors with the order in which they are computed: those of all versions, for most are the same.
#[derive(Debug)]
pub(super) struct Graph {
    /// Since when there is what comes next.
    pub(super) since: LlamaCppVersion,
    tensors: Vec<GraphTensor>,
    sources: Vec<TensorId>,
    /// What is computed, in order.
    pub(super) order: Vec<TensorId>,
    /// What is not computed, in the order in which it is first read.
    pub(super) leaves: Vec<TensorId>,
    /// Where each layer begins and ends.
    pub(super) layers: Vec<LayerEnds>,
}

/// The tensors of one layer.
#[derive(Debug, Clone, Copy)]
pub(super) struct LayerEnds {
    /// How many tensors there were before it.
    pub(super) first: usize,
    /// What it gives to the next.
    pub(super) output: TensorId,
}

impl Graph {
    pub(super) const fn new() -> Self {
        Self {
            since: LlamaCppVersion::FIRST,
            tensors: Vec::new(),
            sources: Vec::new(),
            order: Vec::new(),
            leaves: Vec::new(),
            layers: Vec::new(),
        }
    }

    pub(super) fn tensor(&self, id: TensorId) -> Option<&GraphTensor> {
        self.tensors.get(id.0)
    }

    /// What a tensor reads.
    pub(super) fn sources(&self, tensor: &GraphTensor) -> &[TensorId] {
        self.sources.get(tensor.sources.start..tensor.sources.end).unwrap_or_default()
    }

    /// Notes what a tensor reads.
    fn reads(&mut self, sources: &[TensorId]) -> Sources {
        let start = self.sources.len();
        self.sources.extend_from_slice(sources);
        Sources { start, end: self.sources.len() }
    }

    /// How many tensors there are.
    pub(super) fn len(&self) -> usize {
        self.tensors.len()
    }

    /// Its dimensions; zeros for one of another graph.
    pub(super) fn dims(&self, id: TensorId) -> [u64; 4] {
        self.tensor(id).map(|tensor| tensor.dims).unwrap_or_default()
    }

    fn push(&mut self, mut tensor: GraphTensor) -> TensorId {
        tensor.since = self.since;
        self.tensors.push(tensor);
        TensorId(self.tensors.len() - 1)
    }

    fn leaf(dims: [u64; 4], element_bytes: u64) -> GraphTensor {
        GraphTensor {
            bytes: bytes_of(dims, element_bytes),
            dims,
            element_bytes,
            is_contiguous: true,
            sources: Sources::default(),
            view_of: None,
            works_in_place: false,
            is_external: false,
            is_output: false,
            is_visited: false,
            since: LlamaCppVersion::FIRST,
        }
    }

    /// A tensor whose memory is not the graph's.
    pub(super) fn external(&mut self) -> TensorId {
        let leaf = GraphTensor { bytes: 0, is_external: true, ..Self::leaf([1; 4], 4) };
        self.push(leaf)
    }

    /// A tensor that is written before the graph runs.
    pub(super) fn input(&mut self, elements: u64, element_bytes: u64) -> TensorId {
        let leaf = Self::leaf([elements, 1, 1, 1], element_bytes);
        self.push(leaf)
    }

    /// The result of an operation, in `F32`.
    pub(super) fn computed(&mut self, dims: [u64; 4], sources: &[TensorId]) -> TensorId {
        self.computed_of(dims, 4, sources)
    }

    /// The same, in elements of so many bytes.
    pub(super) fn computed_of(
        &mut self,
        dims: [u64; 4],
        element_bytes: u64,
        sources: &[TensorId],
    ) -> TensorId {
        let tensor = GraphTensor { sources: self.reads(sources), ..Self::leaf(dims, element_bytes) };
        self.push(tensor)
    }

    /// The same, of one that may write over what it reads.
    pub(super) fn in_place(&mut self, dims: [u64; 4], sources: &[TensorId]) -> TensorId {
        let id = self.computed(dims, sources);
        if let Some(tensor) = self.tensors.get_mut(id.0) {
            tensor.works_in_place = true;
        }
        id
    }

    /// Another shape of what `of` holds, or of a part of it.
    pub(super) fn view(&mut self, of: TensorId, dims: [u64; 4], is_contiguous: bool) -> TensorId {
        let (owner, is_external, element_bytes) = self.tensor(of).map_or((of, false, 4), |tensor| {
            (tensor.view_of.unwrap_or(of), tensor.is_external, tensor.element_bytes)
        });
        let tensor = GraphTensor {
            bytes: 0,
            is_contiguous,
            sources: self.reads(&[of]),
            view_of: Some(owner),
            is_external,
            ..Self::leaf(dims, element_bytes)
        };
        self.push(tensor)
    }

    /// Writes what it reads into an external tensor, at once.
    pub(super) fn store(&mut self, sources: &[TensorId]) {
        let cache = self.external();
        let stored = self.over(cache, sources);
        self.expand(stored);
    }

    /// Writes what it reads over a part of `target`.
    pub(super) fn over(&mut self, target: TensorId, sources: &[TensorId]) -> TensorId {
        let written = self.view(target, self.dims(target), true);
        let Sources { start, .. } = self.reads(sources);
        let Sources { end, .. } = self.reads(&[target]);
        if let Some(tensor) = self.tensors.get_mut(written.0) {
            tensor.sources = Sources { start, end };
        }
        written
    }

    /// What is read after the graph has run keeps its memory.
    pub(super) fn keep(&mut self, id: TensorId) {
        if let Some(tensor) = self.tensors.get_mut(id.0) {
            tensor.is_output = true;
        }
    }

    /// Puts all that `id` needs, and it, at the end of the order (`ggml_build_forward_expand`).
    pub(super) fn expand(&mut self, id: TensorId) {
        let Some(tensor) = self.tensors.get_mut(id.0).filter(|tensor| !tensor.is_visited) else { return };
        tensor.is_visited = true;
        let Sources { start, end } = tensor.sources;
        for place in start..end {
            if let Some(source) = self.sources.get(place) {
                self.expand(*source);
            }
        }
        if start == end { self.leaves.push(id) } else { self.order.push(id) }
    }
}

/// What saturates is refused as too large.
fn bytes_of(dims: [u64; 4], element_bytes: u64) -> u64 {
    dims.into_iter().fold(element_bytes, u64::saturating_mul)
}
