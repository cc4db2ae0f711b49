//! What the threads of one stream share, and what each does: read a unit, check it, convert it.

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use zerocopy::{FromBytes, IntoBytes, KnownLayout};

use super::{
    check::expect_finite,
    destination::Destination,
    digest::{Digests, TensorDigest},
    intake::Intake,
    load_note::LoadNote,
    model::ModelFile,
    output::Output,
    plan::{Cursor, PlannedChunk, UnitPlan},
    selection::{Chunk, Selection},
    spare::Spare,
};
use crate::{
    error::{Error, Result},
    pool::{StagingBuffer, StagingPool},
    sync::lock,
};

/// One read's worth of chunks. The buffer goes back to its pool when the unit is dropped.
#[derive(Debug)]
#[non_exhaustive]
pub struct Unit {
    /// The chunks, in the order of the selection.
    pub chunks: Vec<Chunk>,
    /// Their data; `None` where a destination has taken it.
    pub buffer: Option<StagingBuffer>,
    /// The digests of the tensors that end with this unit, where they were asked for.
    pub digests: Vec<TensorDigest>,
}

/// A unit to be read, and its place in the order of delivery.
#[derive(Debug)]
pub(super) struct UnitJob {
    pub(super) place: u64,
    plan: UnitPlan,
    /// Whether its data waits in a unit for the destination, which has one window at a time.
    is_staged: bool,
}

/// What all workers of a stream share.
pub(super) struct Work {
    model: Arc<ModelFile>,
    pub(super) selection: Selection,
    pub(super) intake: Intake,
    pool: StagingPool,
    pub(super) spare: Spare,
    order: Mutex<Order>,
    digests: Option<Mutex<Digests>>,
    destination: Option<Mutex<Box<dyn Destination>>>,
    /// Whether several threads fill the destination at once.
    fills_apart: bool,
}

/// Which unit comes next.
struct Order {
    cursor: Cursor,
    next_place: u64,
    /// What could not be read, so that it may be tried again.
    retry: Option<UnitJob>,
}

impl Drop for Work {
    fn drop(&mut self) {
        self.spare.close();
    }
}

impl Work {
    pub fn new(
        model: Arc<ModelFile>,
        selection: Selection,
        pool: StagingPool,
        mut destination: Option<Box<dyn Destination>>,
        refusal: Option<String>,
    ) -> Self {
        let digests = selection.options().digest.then(|| Mutex::new(Digests::default()));
        let apart =
            |destination: &mut Box<dyn Destination>| matches!(destination.window_apart(0, 0), Ok(Some(_)));
        Self {
            fills_apart: selection.threads() > 1 && destination.as_mut().is_some_and(apart),
            intake: Intake::new(Arc::clone(&model), &selection, refusal),
            model,
            selection,
            pool,
            spare: Spare::new(),
            order: Mutex::new(Order { cursor: Cursor::new(), next_place: 0, retry: None }),
            digests,
            destination: destination.map(Mutex::new),
        }
    }

    pub fn has_destination(&self) -> bool {
        self.destination.is_some()
    }

    pub fn path(&self) -> &Path {
        self.model.path()
    }

    /// Records that the load of all of the selection begins.
    pub fn note_load(&self) -> LoadNote {
        let label = self.path().to_string_lossy().into_owned();
        LoadNote::start(self.pool.options().budget.as_ref(), label, self.selection.stored_bytes())
    }

    /// Whether no unit is left to be taken.
    pub fn is_exhausted(&self) -> bool {
        let mut order = lock(&self.order);
        order.retry.is_none() && !order.cursor.has_more(&self.selection)
    }

    /// The next unit to be read.
    pub fn take(&self) -> Option<UnitJob> {
        let mut order = lock(&self.order);
        if let Some(job) = order.retry.take() {
            return Some(job);
        }
        let plan = match self.destination {
            None => order.cursor.next_unit(&self.selection),
            Some(_) => order.cursor.next_chunk(&self.selection),
        };
        let plan = plan?;
        let place = order.next_place;
        order.next_place += 1;
        Some(UnitJob { place, plan, is_staged: false })
    }

    /// Gives back a unit that could not be read.
    pub fn retry(&self, job: UnitJob) {
        lock(&self.order).retry = Some(job);
    }

    /// Nothing more will be written to the destination.
    pub fn finish(&self) -> Result<()> {
        self.destination.as_ref().map_or(Ok(()), |destination| lock(destination).finish())
    }

    fn name_of(&self, planned: &PlannedChunk) -> &str {
        self.model.layout().name_at(planned.chunk.tensor)
    }
}

/// One thread's share: it holds the buffers of the unit that it is at.
pub(super) struct Worker {
    work: Arc<Work>,
    /// For stored bytes that are to be converted, or looked at, before they go on.
    stored: Option<StagingBuffer>,
    /// For the data of the next unit.
    unit: Option<StagingBuffer>,
}

impl Worker {
    pub const fn new(work: Arc<Work>) -> Self {
        Self { work, stored: None, unit: None }
    }

    /// Whether no other worker reads for the same stream.
    fn is_alone(&self) -> bool {
        self.work.selection.threads() == 1
    }

    /// Takes the buffers that the next unit needs, before it is anybody's.
    ///
    /// # Errors
    ///
    /// [`Error::InsufficientMemory`] when the pool has none to give.
    pub fn prepare(&mut self) -> Result<()> {
        let work = &self.work;
        let slack = work.intake.slack_bytes();
        if self.unit.is_none() && self.needs_unit() {
            self.unit = Some(work.spare.get(&work.pool, work.selection.unit_bytes() + slack)?);
        }
        if self.stored.is_none() && self.goes_through_stored() {
            self.stored = Some(work.pool.get(work.selection.span_bytes() + slack)?);
        }
        Ok(())
    }

    /// Whether the buffers for one more unit, beside `other_units`, leave room in the budget for a stream that comes later: for
    /// as many units as there are others. A stream's first unit is its due.
    pub fn leaves_room(&self, other_units: usize) -> bool {
        let Work { selection, intake, pool, spare, .. } = &*self.work;
        let slack = intake.slack_bytes();
        let unit = if self.needs_unit() { selection.unit_bytes() + slack } else { 0 };
        let stored = if self.goes_through_stored() { selection.span_bytes() + slack } else { 0 };
        let lacking = if self.unit.is_none() && spare.is_empty() { unit } else { 0 }
            + if self.stored.is_none() { stored } else { 0 };
        other_units == 0
            || lacking == 0
            || pool.has_room(lacking.saturating_add((unit + stored).saturating_mul(other_units as u64)))
    }

    /// Lets go of the buffers.
    pub fn rest(&mut self) {
        (self.stored, self.unit) = (None, None);
    }

    /// A destination that several threads fill, and that has one window at a time, is filled from units.
    fn needs_unit(&self) -> bool {
        !self.work.has_destination() || (!self.is_alone() && !self.work.fills_apart)
    }

    /// Raw bytes are read to where they go, unless that is a place where they cannot be read to, or be looked at.
    fn goes_through_stored(&self) -> bool {
        let options = self.work.selection.options();
        let is_plain = options.output == Output::Raw && self.work.intake.slack_bytes() == 0;
        let is_looked_at = options.digest || options.check_tensors;
        options.output != Output::Raw || (self.work.has_destination() && (is_looked_at || !is_plain))
    }

    /// Reads a unit. What has to be done in order is left to [`settle`](Self::settle).
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the file cannot be read or was changed; [`Error::InvalidTensor`] where values are to be finite and
    /// are not; those of the destination.
    pub fn run(&mut self, job: &mut UnitJob) -> Result<Unit> {
        let work = Arc::clone(&self.work);
        let (mut stored, mut buffer) = (self.stored.take(), self.unit.take());
        let outcome = match &work.destination {
            None => self.fill_unit(job, &mut stored, &mut buffer),
            Some(destination) => self.fill_destination(job, destination, &mut stored, &mut buffer),
        };
        self.stored = stored;
        if outcome.is_err() || work.has_destination() {
            self.unit = buffer.take();
        }
        outcome?;
        let chunks = job.plan.chunks.iter().map(|planned| planned.chunk.clone()).collect();
        Ok(Unit { chunks, buffer, digests: Vec::new() })
    }

    fn fill_unit(
        &self,
        job: &mut UnitJob,
        stored: &mut Option<StagingBuffer>,
        buffer: &mut Option<StagingBuffer>,
    ) -> Result<()> {
        let work = &self.work;
        let buffer = buffer.as_deref_mut().ok_or_else(broken_plan)?;
        if work.selection.output() != Output::Raw {
            let stored = stored.as_deref_mut().ok_or_else(broken_plan)?;
            let stored = self.fetch(&job.plan, stored)?;
            for planned in &job.plan.chunks {
                let data = planned.chunk.data.start as usize..planned.chunk.data.end as usize;
                self.convert(planned, stored_of(&job.plan, planned, stored)?, buffer.get_mut(data))?;
            }
            return Ok(());
        }
        self.fetch(&job.plan, buffer)?;
        let lead = work.intake.lead_bytes(&job.plan) as u64;
        for planned in &mut job.plan.chunks {
            let place = planned.file.start - job.plan.span.start + lead;
            planned.chunk.data = place..place + (planned.file.end - planned.file.start);
        }
        Ok(())
    }

    fn fill_destination(
        &self,
        job: &mut UnitJob,
        destination: &Mutex<Box<dyn Destination>>,
        stored: &mut Option<StagingBuffer>,
        buffer: &mut Option<StagingBuffer>,
    ) -> Result<()> {
        let UnitJob { plan, is_staged, .. } = job;
        let planned = plan.chunks.first().ok_or_else(broken_plan)?;
        let data = &planned.chunk.data;
        let len = (data.end - data.start) as usize;
        // Before a window is lent: this is what may fail.
        let stored = match stored.as_deref_mut() {
            Some(stored) => Some(self.fetch(plan, stored)?),
            None => None,
        };
        let fill = |out: &mut [u8]| match stored {
            Some(stored) => self.convert(planned, stored_of(plan, planned, stored)?, Some(out)),
            None => self.work.intake.read(plan, out, self.work.name_of(planned)),
        };
        if self.is_alone() {
            let mut destination = lock(destination);
            fill(destination.window(data.start, len)?)?;
            return destination.filled();
        }
        if self.work.fills_apart {
            let window = lock(destination).window_apart(data.start, len)?;
            return fill(window.ok_or_else(broken_plan)?.bytes_mut());
        }
        *is_staged = true;
        fill(buffer.as_deref_mut().and_then(|buffer| buffer.get_mut(..len)).ok_or_else(broken_plan)?)
    }

    /// Reads what a unit spans and checks it. The bytes of the span.
    fn fetch<'a>(&self, plan: &UnitPlan, buffer: &'a mut [u8]) -> Result<&'a [u8]> {
        let first = plan.chunks.first().ok_or_else(broken_plan)?;
        self.work.intake.read(plan, buffer, self.work.name_of(first))?;
        let stored = self.span(plan, buffer)?;
        if self.work.selection.options().check_tensors {
            for planned in &plan.chunks {
                let part = self.work.selection.part(planned.part).ok_or_else(broken_plan)?;
                expect_finite(part, planned, stored_of(plan, planned, stored)?, || {
                    (self.work.path().to_owned(), self.work.name_of(planned).to_owned())
                })?;
            }
        }
        Ok(stored)
    }

    fn span<'a>(&self, plan: &UnitPlan, buffer: &'a [u8]) -> Result<&'a [u8]> {
        let lead = self.work.intake.lead_bytes(plan);
        buffer.get(lead..lead + (plan.span.end - plan.span.start) as usize).ok_or_else(broken_plan)
    }

    fn convert(&self, planned: &PlannedChunk, stored: &[u8], out: Option<&mut [u8]>) -> Result<()> {
        let out = out.filter(|_| !stored.is_empty()).ok_or_else(broken_plan)?;
        let format = self.work.selection.part(planned.part).and_then(|part| part.format);
        let outcome = match (self.work.selection.output(), format) {
            (Output::Raw, _) => {
                out.get_mut(..stored.len()).ok_or_else(broken_plan)?.copy_from_slice(stored);
                return Ok(());
            }
            (Output::F32, Some(format)) => gguf_dequant::to_f32(format, stored, elements_of(out)?),
            (Output::F16, Some(format)) => gguf_dequant::to_f16(format, stored, elements_of(out)?),
            (Output::Bf16, Some(format)) => gguf_dequant::to_bf16(format, stored, elements_of(out)?),
            (Output::F32 | Output::F16 | Output::Bf16, None) => return Err(broken_plan()),
        };
        outcome.map_err(|_| broken_plan())
    }

    /// What follows the reading of a unit, in the order of the units: its bytes go into the digests, and to a destination that
    /// has one window at a time.
    ///
    /// # Errors
    ///
    /// Those of the destination.
    pub fn settle(&self, job: &UnitJob, unit: &mut Unit) -> Result<()> {
        let work = &self.work;
        if let Some(destination) = work.destination.as_ref().filter(|_| job.is_staged) {
            let mut destination = lock(destination);
            for planned in &job.plan.chunks {
                let data = &planned.chunk.data;
                let len = (data.end - data.start) as usize;
                let bytes = self.unit.as_deref().and_then(|unit| unit.get(..len)).ok_or_else(broken_plan)?;
                destination.window(data.start, len)?.copy_from_slice(bytes);
                destination.filled()?;
            }
        }
        if let Some(digests) = &work.digests {
            let held = self.stored.as_deref().or(unit.buffer.as_deref()).ok_or_else(broken_plan)?;
            let stored = self.span(&job.plan, held)?;
            let mut digests = lock(digests);
            for planned in &job.plan.chunks {
                let bytes = stored_of(&job.plan, planned, stored)?;
                unit.digests.extend(digests.add(planned.chunk.tensor, bytes, planned.is_last));
            }
        }
        Ok(())
    }
}

/// Memory as the numbers that it is filled with.
fn elements_of<T: FromBytes + IntoBytes + KnownLayout>(out: &mut [u8]) -> Result<&mut [T]> {
    <[T]>::mut_from_bytes(out)
        .map_err(|_| Error::internal("a chunk was planned at an address that its elements cannot have"))
}

/// The bytes of a chunk among those of its unit.
fn stored_of<'a>(plan: &UnitPlan, planned: &PlannedChunk, span: &'a [u8]) -> Result<&'a [u8]> {
    let start = (planned.file.start - plan.span.start) as usize;
    span.get(start..start + (planned.file.end - planned.file.start) as usize).ok_or_else(broken_plan)
}

/// A plan that does not fit its own buffers would be a bug of this room; even then nothing is read or written
/// out of place.
fn broken_plan() -> Error {
    Error::internal("a chunk was planned that does not lie within its unit")
}
