//! Reads a selection unit by unit, on whatever thread calls it.

use std::sync::Arc;

use super::{
    destination::Destination,
    io_mode::IoMode,
    model::ModelFile,
    room::room,
    selection::Selection,
    work::{Unit, Work, Worker},
};
use crate::{
    error::{Error, Result},
    pool::StagingPool,
    units::format_bytes,
};

/// Reads tensors one unit after the other, converted on the way if asked.
///
/// It holds one buffer of stored bytes while it converts, and one for each unit that is not dropped.
pub struct Reader {
    work: Arc<Work>,
    worker: Worker,
}

impl Reader {
    /// A reader that delivers units in buffers of `pool`.
    #[must_use]
    pub fn new(model: Arc<ModelFile>, selection: Selection, pool: StagingPool) -> Self {
        Self::of(model, selection, pool, None)
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
        Ok(Self::of(model, selection, pool, Some(destination)))
    }

    fn of(
        model: Arc<ModelFile>,
        selection: Selection,
        pool: StagingPool,
        destination: Option<Box<dyn Destination>>,
    ) -> Self {
        let refusal = too_large_for_direct(&model, &selection);
        let work = Arc::new(Work::new(model, selection, pool, destination, refusal));
        Self { worker: Worker::new(Arc::clone(&work)), work }
    }

    /// The selection being read.
    #[must_use]
    pub fn selection(&self) -> &Selection {
        &self.work.selection
    }

    /// Reads the next unit; `None` at the end. Whatever [`StreamOptions::threads`](super::StreamOptions::threads) says, it is
    /// read by the caller.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the file cannot be read or was changed; [`Error::InsufficientMemory`] when the pool has
    /// no buffer to give; [`Error::InvalidTensor`] where values are to be finite and are not. The next call tries the same unit
    /// again.
    pub fn next_unit(&mut self) -> Result<Option<Unit>> {
        if self.work.is_exhausted() {
            self.worker.rest();
            return self.work.finish().map(|()| None);
        }
        self.worker.prepare()?;
        let Some(mut job) = self.work.take() else { return Ok(None) };
        let read = self.worker.run(&mut job).and_then(|mut unit| {
            self.worker.settle(&job, &mut unit)?;
            Ok(Some(unit))
        });
        if read.is_err() {
            self.work.retry(job);
        }
        read
    }

    /// What its threads share.
    pub(super) fn into_work(self) -> Arc<Work> {
        self.work
    }
}

/// Why a model is not read past the page cache although that was asked for: one that does not fit in memory loses the cache's
/// help and gains nothing (measured elsewhere: 1.84 times as slow).
fn too_large_for_direct(model: &ModelFile, selection: &Selection) -> Option<String> {
    if selection.options().io != IoMode::Direct {
        return None;
    }
    let (size_bytes, room_bytes) = (model.size_bytes(), room()?.bytes);
    (size_bytes > room_bytes).then(|| {
        let (size, room) = (format_bytes(size_bytes), format_bytes(room_bytes));
        format!("the model's {size} are more than the {room} that the machine can give now")
    })
}
