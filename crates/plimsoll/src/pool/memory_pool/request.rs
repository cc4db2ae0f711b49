//! A request for a buffer, step by step: what a pool does before it refuses.
//!
//! ```text
//!   Take ----> Release ----> Reclaim ----> Defragment, once ----> Take
//!    |  ^         |              |                                  :
//!    |  '---------+--------------'  something went back             v
//!    v                                                           Refused
//!  Granted
//! ```

use std::mem;

use super::{BufferOptions, DefragmentOptions, MemoryPool, PoolBuffer, slabs::surely_bytes};
use crate::{
    budget::MemoryBudget,
    error::{Error, Result},
    units::format_bytes,
};

/// What a request wants next.
#[derive(Debug)]
#[must_use]
pub enum Step {
    /// [`BufferRequest::take`], which may wait for the device.
    Take,
    /// [`BufferRequest::release`], which may wait for the device, and for whoever releases memory already.
    Release,
    /// To have others release that many bytes, and to wait for what they have on its way back: then
    /// [`BufferRequest::reclaimed`] with whether any came back.
    Reclaim {
        /// Bytes of the buffer.
        missing_bytes: u64,
    },
    /// To [move buffers together](MemoryPool::defragment): then [`BufferRequest::defragmented`].
    Defragment {
        /// [A hole that is large enough](DefragmentOptions::enough_bytes).
        enough_bytes: u64,
    },
    /// The end: the buffer.
    Granted(PoolBuffer),
    /// The end: why there is none.
    Refused(Error),
}

/// A request for a buffer that no slab held has a place for: see [`MemoryPool::request`].
#[derive(Debug)]
pub struct BufferRequest {
    pool: MemoryPool,
    bytes: u64,
    options: BufferOptions,
    stage: Stage,
    /// Bytes that had gone back to the device before the last try.
    freed_bytes: u64,
    defragmented: bool,
}

/// How far a request has come; with the refusal of the slab that was wanted.
#[derive(Debug)]
enum Stage {
    Take,
    Release(Error),
    Reclaim(Error),
    Defragment,
    Settled(Result<PoolBuffer>),
    Over,
}

impl MemoryPool {
    /// A request for a buffer whose steps the caller makes: for one who has to go on with something else while it waits, or
    /// may give up. Dropped before its end, it takes nothing. Others [let it run](Self::allocate_growing).
    ///
    /// ```
    /// use std::sync::Arc;
    /// use plimsoll::{device::{DeviceContext, HostBackend}, pool::{BufferOptions, MemoryPool, PoolOptions, Step}};
    ///
    /// let backend = Arc::new(HostBackend::new(DeviceContext::default()));
    /// let pool = MemoryPool::create(backend, PoolOptions::default())?;
    /// let mut request = pool.request(1000, &BufferOptions::default())?;
    /// assert!(matches!(request.step(), Step::Take));
    /// request.take();
    /// assert!(matches!(request.step(), Step::Granted(_)));
    /// # Ok::<(), plimsoll::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] as [`allocate`](Self::allocate).
    pub fn request(&self, bytes: u64, options: &BufferOptions) -> Result<BufferRequest> {
        self.0.check(bytes, options)?;
        Ok(BufferRequest {
            pool: self.clone(),
            bytes,
            options: options.clone(),
            stage: Stage::Take,
            freed_bytes: 0,
            defragmented: false,
        })
    }

    /// Hands out a buffer, and does what it can before it refuses: a fitting block, a cached slab, a new slab, cached
    /// slabs of other sizes released, `reclaim`, defragmentation.
    ///
    /// `reclaim` is told how many bytes are missing, and says whether it has released memory; it is asked again until
    /// it has not, and once more when buffers were moved.
    ///
    /// # Errors
    ///
    /// As [`allocate`](Self::allocate), and what the device or the budget said of the slab that was wanted.
    pub fn allocate_growing(
        &self,
        bytes: u64,
        options: &BufferOptions,
        reclaim: &mut dyn FnMut(u64) -> bool,
    ) -> Result<PoolBuffer> {
        match self.allocate(bytes, options) {
            Err(Error::InsufficientMemory { .. }) => {}
            settled => return settled,
        }
        let mut request = self.request(bytes, options)?;
        loop {
            match request.step() {
                Step::Take => request.take(),
                Step::Release => _ = request.release(),
                Step::Reclaim { missing_bytes } => request.reclaimed(reclaim(missing_bytes)),
                Step::Defragment { enough_bytes } => {
                    let enough_bytes = Some(enough_bytes);
                    let options = DefragmentOptions { enough_bytes, ..DefragmentOptions::default() };
                    self.defragment(&options, &mut |_| true)?;
                    request.defragmented();
                }
                Step::Granted(buffer) => return Ok(buffer),
                Step::Refused(error) => return Err(error),
            }
        }
    }
}

impl BufferRequest {
    /// What it wants next; the same until that was done. It waits for nothing.
    pub fn step(&mut self) -> Step {
        match mem::replace(&mut self.stage, Stage::Over) {
            Stage::Take => match self.place() {
                Ok(None) => {
                    self.stage = Stage::Take;
                    Step::Take
                }
                Ok(Some(buffer)) => Step::Granted(buffer),
                Err(error) => Step::Refused(error),
            },
            Stage::Release(no_slab) => {
                self.stage = Stage::Release(no_slab);
                Step::Release
            }
            Stage::Reclaim(no_slab) => {
                self.stage = Stage::Reclaim(no_slab);
                Step::Reclaim { missing_bytes: self.bytes }
            }
            Stage::Defragment => {
                self.stage = Stage::Defragment;
                Step::Defragment { enough_bytes: self.surely_bytes() }
            }
            Stage::Settled(Ok(buffer)) => Step::Granted(buffer),
            Stage::Settled(Err(error)) => Step::Refused(error),
            Stage::Over => Step::Refused(Error::Released { what: "the request" }),
        }
    }

    /// Takes a place in a slab that is held, or in a new one. It may wait for the device.
    ///
    /// This and what follows does nothing where [`step`](Self::step) wants something else.
    pub fn take(&mut self) {
        if !matches!(self.stage, Stage::Take) {
            return;
        }
        self.freed_bytes = self.pool.freed_bytes();
        self.stage = match self.place_or_grow() {
            Err(no_slab @ Error::InsufficientMemory { .. }) => {
                if self.may_ever_fit() {
                    self.pool.0.state().counters.retry_count += 1;
                    Stage::Release(no_slab)
                } else {
                    Stage::Settled(Err(self.refusal(no_slab)))
                }
            }
            settled => Stage::Settled(settled),
        };
    }

    /// Releases the pool's own empty slabs for a larger one, as far as nobody has asked for them, and waits for what is on
    /// its way back. Returns the bytes that it released itself.
    #[allow(clippy::must_use_candidate)] // Called for its effect; the count is a courtesy.
    pub fn release(&mut self) -> u64 {
        let no_slab = match mem::replace(&mut self.stage, Stage::Over) {
            Stage::Release(no_slab) => no_slab,
            other => {
                self.stage = other;
                return 0;
            }
        };
        let bytes = self.pool.trim_spare(missing_bytes(&no_slab));
        // By now, what others have released meanwhile is there, too.
        let came_back = self.pool.freed_bytes() > self.freed_bytes;
        self.stage = if came_back { Stage::Take } else { Stage::Reclaim(no_slab) };
        bytes
    }

    /// Others were asked, and have released memory or not.
    pub fn reclaimed(&mut self, came_back: bool) {
        self.stage = match mem::replace(&mut self.stage, Stage::Over) {
            Stage::Reclaim(_) if came_back => Stage::Take,
            Stage::Reclaim(no_slab) if self.defragmented => Stage::Settled(Err(self.refusal(no_slab))),
            Stage::Reclaim(_) => Stage::Defragment,
            other => other,
        };
    }

    /// Buffers were moved together as far as it went.
    pub fn defragmented(&mut self) {
        if matches!(self.stage, Stage::Defragment) {
            self.defragmented = true;
            self.stage = Stage::Take;
        }
    }

    fn place(&self) -> Result<Option<PoolBuffer>> {
        let pool = &self.pool.0;
        let id = pool.live()?.place(self.bytes, &self.options);
        Ok(id.map(|id| PoolBuffer::new(pool, id, self.bytes)))
    }

    fn place_or_grow(&self) -> Result<PoolBuffer> {
        if let Some(buffer) = self.place()? {
            return Ok(buffer);
        }
        let id = self.pool.0.place_in_new_slab(self.bytes, &self.options)?;
        Ok(PoolBuffer::new(&self.pool.0, id, self.bytes))
    }

    /// Whether it could have a place if all others released all. Otherwise nothing is to go for its sake.
    fn may_ever_fit(&self) -> bool {
        let pool = &self.pool.0;
        let most = [
            pool.options.max_bytes,
            pool.options.budget.as_ref().map(MemoryBudget::usable_bytes),
            pool.backend.usage().total_bytes,
        ];
        most.into_iter().flatten().all(|most| self.bytes <= most)
    }

    /// A hole of so many bytes has a place for it, wherever the hole begins.
    fn surely_bytes(&self) -> u64 {
        surely_bytes(self.bytes, self.options.align_bytes)
    }

    /// Why there is no slab, as the refusal of a buffer: a hole of the pool would have served, too.
    fn refusal(&self, mut no_slab: Error) -> Error {
        let hole = self.pool.0.state().map.largest_free_bytes();
        if let Error::InsufficientMemory {
            label,
            requested_bytes,
            largest_free_bytes,
            binding_constraint,
            ..
        } = &mut no_slab
        {
            self.pool.0.label_of(&self.options).clone_into(label);
            *requested_bytes = self.bytes;
            *largest_free_bytes = hole.max(*largest_free_bytes);
            if hole > 0 {
                let hole = format!("; the largest hole in the pool is {}", format_bytes(hole));
                binding_constraint.push_str(&hole);
            }
        }
        no_slab
    }
}

/// How many bytes would have to be released for a slab that was refused.
fn missing_bytes(no_slab: &Error) -> u64 {
    match no_slab {
        Error::InsufficientMemory { requested_bytes, available_bytes, .. } => {
            requested_bytes.saturating_sub(*available_bytes)
        }
        _ => 0,
    }
}
