//! Reads a selection unit by unit, on whatever thread calls it.

use std::{ops::Range, path::Path, sync::Arc};

use zerocopy::FromBytes;

use super::{
    destination::Destination,
    load_note::LoadNote,
    model::ModelFile,
    output::Output,
    selection::{Chunk, Cursor, PlannedChunk, Selection, UnitPlan},
    spare::Spare,
};
use crate::{
    error::{Error, Result},
    pool::{StagingBuffer, StagingPool},
    units::MIB,
};

/// Stored bytes fetched by one read when they are to be converted.
const WINDOW_BYTES: u64 = MIB;

/// One read's worth of chunks. The buffer goes back to its pool when the unit is dropped.
#[derive(Debug)]
#[non_exhaustive]
pub struct Unit {
    /// The chunks, in the order of the selection.
    pub chunks: Vec<Chunk>,
    /// Their data; `None` where a destination has taken it.
    pub buffer: Option<StagingBuffer>,
}

/// Reads tensors one unit after the other, converted on the way if asked.
///
/// It holds one buffer of stored bytes while it converts, and one for each unit that is not dropped.
pub struct Reader {
    model: Arc<ModelFile>,
    selection: Selection,
    cursor: Cursor,
    /// What could not be read, so that it may be tried again: a unit, or a chunk on its way to the destination.
    retry_unit: Option<UnitPlan>,
    retry_chunk: Option<PlannedChunk>,
    pool: StagingPool,
    spare: Spare,
    window: Option<ReadWindow>,
    destination: Option<Box<dyn Destination>>,
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.spare.close();
    }
}

/// Stored bytes fetched ahead of their conversion.
struct ReadWindow {
    buffer: StagingBuffer,
    file: Range<u64>,
}

impl Reader {
    /// A reader that delivers units in buffers of `pool`.
    #[must_use]
    pub fn new(model: Arc<ModelFile>, selection: Selection, pool: StagingPool) -> Self {
        Self {
            model,
            selection,
            cursor: Cursor::new(),
            retry_unit: None,
            retry_chunk: None,
            pool,
            spare: Spare::new(),
            window: None,
            destination: None,
        }
    }

    /// A reader that fills `destination`: tensor after tensor, without padding. Its units carry no buffer, only
    /// what was filled.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] when the destination is smaller than the data; nothing is read or written then.
    pub fn into_destination(
        model: Arc<ModelFile>,
        selection: Selection,
        pool: StagingPool,
        destination: Box<dyn Destination>,
    ) -> Result<Self> {
        let needed = selection.data_bytes();
        let capacity = destination.capacity_bytes();
        if capacity < needed {
            let expected = format!("at least {needed} bytes long");
            return Err(Error::invalid_argument("into", expected, format!("{capacity} bytes")));
        }
        let mut reader = Self::new(model, selection, pool);
        reader.destination = Some(destination);
        Ok(reader)
    }

    /// The selection being read.
    #[must_use]
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// Where buffers of units come back to.
    pub(super) fn spare(&self) -> Spare {
        self.spare.clone()
    }

    pub(super) fn has_destination(&self) -> bool {
        self.destination.is_some()
    }

    /// Records that the load of all of the selection begins.
    pub(super) fn note_load(&self) -> LoadNote {
        let label = self.path().to_string_lossy().into_owned();
        LoadNote::start(self.pool.options().budget.as_ref(), label, self.selection.stored_bytes())
    }

    pub(super) fn path(&self) -> &Path {
        self.model.path()
    }

    /// Reads the next unit; `None` at the end.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the file cannot be read or was changed; [`Error::InsufficientMemory`] when the pool has
    /// no buffer to give. The next call tries the same unit again.
    pub fn next_unit(&mut self) -> Result<Option<Unit>> {
        if self.destination.is_some() {
            return self.fill_destination();
        }
        let Some(plan) = self.retry_unit.take().or_else(|| self.cursor.next_unit(&self.selection)) else {
            self.window = None;
            return Ok(None);
        };
        match self.read_unit(&plan) {
            Ok(buffer) => {
                let chunks = plan.chunks.into_iter().map(|planned| planned.chunk).collect();
                Ok(Some(Unit { chunks, buffer: Some(buffer) }))
            }
            Err(error) => {
                self.retry_unit = Some(plan);
                Err(error)
            }
        }
    }

    fn read_unit(&mut self, plan: &UnitPlan) -> Result<StagingBuffer> {
        let mut buffer = self.spare.get(&self.pool, self.selection.unit_bytes())?;
        if self.selection.output() == Output::Raw {
            let out = buffer.get_mut(..plan.data_bytes as usize).ok_or_else(broken_plan)?;
            self.model.read(out, plan.span.start, self.tensor_name(plan))?;
        } else {
            self.convert_unit(plan, &mut buffer)?;
        }
        Ok(buffer)
    }

    fn convert_unit(&mut self, plan: &UnitPlan, buffer: &mut [u8]) -> Result<()> {
        let Some(last) = plan.chunks.last() else { return Ok(()) };
        self.fetch(&plan.span, last)?;
        for planned in &plan.chunks {
            let data = planned.chunk.data.start as usize..planned.chunk.data.end as usize;
            let out = buffer.get_mut(data).ok_or_else(broken_plan)?;
            self.convert(planned, out)?;
        }
        Ok(())
    }

    fn fill_destination(&mut self) -> Result<Option<Unit>> {
        let next = self.retry_chunk.take().or_else(|| self.cursor.next_chunk(&self.selection));
        let Some(planned) = next else {
            self.window = None;
            return self
                .destination
                .as_mut()
                .map_or(Ok(()), |destination| destination.finish())
                .map(|()| None);
        };
        // Taken out while it is filled, for the window is this reader's too.
        let Some(mut destination) = self.destination.take() else { return Ok(None) };
        let filled = self.fill(&planned, destination.as_mut());
        self.destination = Some(destination);
        if let Err(error) = filled {
            self.retry_chunk = Some(planned);
            return Err(error);
        }
        Ok(Some(Unit { chunks: vec![planned.chunk], buffer: None }))
    }

    fn fill(&mut self, planned: &PlannedChunk, destination: &mut dyn Destination) -> Result<()> {
        let is_raw = self.selection.output() == Output::Raw;
        if !is_raw {
            self.fetch(&planned.file, planned)?; // Before a window is lent: this is what may be refused.
        }
        let data = &planned.chunk.data;
        let out = destination.window(data.start, (data.end - data.start) as usize)?;
        if is_raw {
            self.model.read(out, planned.file.start, self.name_of(planned))?;
        } else {
            self.convert(planned, out)?;
        }
        destination.filled()
    }

    /// Makes sure the window holds `span`, whose last chunk is `last`; when it must read, it reads on through the
    /// same tensor, up to a full window.
    fn fetch(&mut self, span: &Range<u64>, last: &PlannedChunk) -> Result<()> {
        let held = |file: &Range<u64>| file.start <= span.start && span.end <= file.end;
        if self.window.as_ref().is_some_and(|window| held(&window.file)) {
            return Ok(());
        }
        let ahead = last.tensor_end_bytes.min(span.start + WINDOW_BYTES);
        let file = span.start..span.end.max(ahead);
        let mut buffer = match self.window.take() {
            Some(window) if window.buffer.capacity_bytes() >= file.end - file.start => window.buffer,
            _ => self.pool.get((file.end - file.start).max(WINDOW_BYTES))?,
        };
        let into = buffer.get_mut(..(file.end - file.start) as usize).ok_or_else(broken_plan)?;
        self.model.read(into, file.start, self.name_of(last))?;
        self.window = Some(ReadWindow { buffer, file });
        Ok(())
    }

    fn convert(&self, planned: &PlannedChunk, out: &mut [u8]) -> Result<()> {
        let stored = self.window.as_ref().and_then(|window| {
            let start = planned.file.start.checked_sub(window.file.start)? as usize;
            let end = planned.file.end.checked_sub(window.file.start)? as usize;
            window.buffer.get(start..end)
        });
        let (Some(stored), Some(format)) = (stored, self.selection.format(planned.part)) else {
            return Err(broken_plan());
        };
        let misaligned =
            || Error::internal("a chunk was planned at an address that its elements cannot have");
        let outcome = match self.selection.output() {
            Output::Raw => return Err(broken_plan()),
            Output::F32 => gguf_dequant::to_f32(
                format,
                stored,
                FromBytes::mut_from_bytes(out).map_err(|_| misaligned())?,
            ),
            Output::F16 => gguf_dequant::to_f16(
                format,
                stored,
                FromBytes::mut_from_bytes(out).map_err(|_| misaligned())?,
            ),
            Output::Bf16 => gguf_dequant::to_bf16(
                format,
                stored,
                FromBytes::mut_from_bytes(out).map_err(|_| misaligned())?,
            ),
        };
        outcome.map_err(|_| broken_plan())
    }

    fn tensor_name(&self, plan: &UnitPlan) -> &str {
        plan.chunks.first().map_or("", |planned| self.name_of(planned))
    }

    fn name_of(&self, planned: &PlannedChunk) -> &str {
        self.model.layout().tensor_at(planned.chunk.tensor).map_or("", |tensor| tensor.name())
    }
}

/// A plan that does not fit its own buffers would be a bug of this room; even then nothing is read or written
/// out of place.
fn broken_plan() -> Error {
    Error::internal("a chunk was planned that does not lie within its unit")
}
