//! Reading the header in large pieces, yet not one byte past its end.

use crate::{Error, Limits, ReadAt};

/// Bytes fetched at a time: of a source that announces more than it has, no more than this is taken in vain.
const STEP_BYTES: usize = 1 << 20;

/// Collects the header in memory, piece by piece, and walks over it.
///
/// Its one idea is `owed_bytes`: how many bytes, at the least, the header must still hold from the cursor on.
/// A count of entries raises it by the count times the smallest entry, a length by that length; what the
/// cursor passes lowers it. So a count or length that cannot be true is refused where it stands, before
/// anything is allocated for it; whatever is owed may be read at once, in one piece; and what lies after the
/// header is never touched.
///
/// ```text
///  0            cursor         header.len()         cursor + owed_bytes        end of header      file_bytes
///  |--- walked ----|--- fetched ----|--- may be fetched ---|--- not known yet ---|--- tensor data ---|
/// ```
pub(super) struct HeaderReader<'s> {
    source: &'s dyn ReadAt,
    file_bytes: u64,
    limit_bytes: u64,
    header: Vec<u8>,
    cursor: usize,
    owed_bytes: usize,
}

impl<'s> HeaderReader<'s> {
    pub(super) fn new(source: &'s dyn ReadAt, limits: &Limits) -> Result<Self, Error> {
        let file_bytes = source.size_bytes().map_err(|source| Error::Io { offset: Some(0), source })?;
        // Positions in memory are `usize`, allocations at most `isize::MAX`.
        let limit_bytes = u64::from(limits.header_bytes).min(isize::MAX as u64);
        Ok(Self { source, file_bytes, limit_bytes, header: Vec::new(), cursor: 0, owed_bytes: 0 })
    }

    pub(super) const fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// The first bytes of the source, `most` at the most, whatever was announced.
    pub(super) fn beginning(&self, most: usize) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; self.file_bytes.min(most as u64) as usize];
        self.source.read_exact_at(&mut bytes, 0).map_err(|source| Error::Io { offset: Some(0), source })?;
        Ok(bytes)
    }

    /// Where in the file the next byte stands.
    pub(super) const fn offset(&self) -> u64 {
        self.cursor as u64
    }

    /// Announces that the header goes on with `needed_bytes`, of which `counted_bytes` were announced before.
    pub(super) fn claim(
        &mut self,
        reading: &'static str,
        needed_bytes: u64,
        counted_bytes: u64,
    ) -> Result<(), Error> {
        let available_bytes = self.available_bytes() + counted_bytes;
        if needed_bytes > available_bytes {
            return Err(Error::Truncated { reading, offset: self.offset(), needed_bytes, available_bytes });
        }
        self.owe(needed_bytes - counted_bytes)
    }

    /// Announces `count` entries of at least `minimum_bytes` each. The count stands at `offset`.
    pub(super) fn claim_entries(
        &mut self,
        counted: &'static str,
        offset: u64,
        count: u64,
        minimum_bytes: u64,
    ) -> Result<(), Error> {
        let available_bytes = self.available_bytes();
        match count.checked_mul(minimum_bytes) {
            Some(needed_bytes) if needed_bytes <= available_bytes => self.owe(needed_bytes),
            _ => Err(Error::CountExceedsFile { counted, offset, count, minimum_bytes, available_bytes }),
        }
    }

    fn available_bytes(&self) -> u64 {
        self.file_bytes - self.cursor as u64 - self.owed_bytes as u64
    }

    fn owe(&mut self, bytes: u64) -> Result<(), Error> {
        let needed_bytes = self.cursor as u64 + self.owed_bytes as u64 + bytes;
        if needed_bytes > self.limit_bytes {
            let limit_bytes = self.limit_bytes;
            return Err(Error::HeaderTooLarge { offset: self.offset(), needed_bytes, limit_bytes });
        }
        self.owed_bytes += bytes as usize;
        Ok(())
    }

    /// Walks over `count` bytes that were announced, and returns them.
    pub(super) fn take(&mut self, count: usize) -> Result<&[u8], Error> {
        let start = self.cursor;
        self.skip(count);
        self.fetch_walked()?;
        Ok(self.header.get(start..self.cursor).unwrap_or_default())
    }

    /// Walks over the next `N` bytes, which were announced, and returns them.
    #[inline]
    pub(super) fn word<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let start = self.cursor;
        self.skip(N);
        self.fetch_walked()?;
        Ok(self.header.get(start..).and_then(|rest| rest.first_chunk().copied()).unwrap_or([0; N]))
    }

    pub(super) fn u32(&mut self) -> Result<u32, Error> {
        self.word().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Error> {
        self.word().map(u64::from_le_bytes)
    }

    /// Walks over `count` bytes that were announced, without fetching them yet.
    #[inline]
    pub(super) const fn skip(&mut self, count: usize) {
        self.cursor += count;
        self.owed_bytes -= count;
    }

    /// Walks over strings, `count` of which were announced, as long as they are fetched already, no longer
    /// than `limit_bytes` and within what the file can hold. Returns how many those are.
    ///
    /// Vocabularies hold strings by the hundred thousand; this spares all but a few of them the way over
    /// [`claim`] and [`take`], which see to whatever this stops at.
    ///
    /// [`claim`]: Self::claim
    /// [`take`]: Self::take
    pub(super) fn skip_fetched_strings(&mut self, count: usize, limit_bytes: u64) -> usize {
        let fetched = self.header.get(self.cursor..).unwrap_or_default();
        let mut room = self.file_bytes.min(self.limit_bytes) - self.offset() - self.owed_bytes as u64;
        let mut rest = fetched;
        let mut walked = 0;
        while walked < count {
            let Some((length, text)) = rest.split_first_chunk() else { break };
            let bytes = u64::from_le_bytes(*length);
            if bytes > limit_bytes || bytes > room {
                break;
            }
            let Some(behind) = text.get(bytes as usize..) else { break };
            rest = behind;
            room -= bytes;
            walked += 1;
        }
        self.cursor += fetched.len() - rest.len();
        self.owed_bytes -= walked * size_of::<u64>();
        walked
    }

    /// What was walked over so far.
    pub(super) fn header(&mut self) -> Result<&[u8], Error> {
        self.fetch_walked()?;
        Ok(&self.header)
    }

    /// The whole header, once all that was announced has been walked over.
    pub(super) fn finish(mut self) -> Result<Box<[u8]>, Error> {
        self.fetch_walked()?;
        Ok(self.header.into_boxed_slice())
    }

    #[inline]
    fn fetch_walked(&mut self) -> Result<(), Error> {
        if self.cursor <= self.header.len() { Ok(()) } else { self.fetch_owed() }
    }

    #[cold]
    fn fetch_owed(&mut self) -> Result<(), Error> {
        let end = self.cursor + self.owed_bytes;
        self.reserve(end)?;
        while self.header.len() < end {
            let start = self.header.len();
            self.header.resize(end.min(start + STEP_BYTES), 0);
            let piece = self.header.get_mut(start..).unwrap_or_default();
            self.source
                .read_exact_at(piece, start as u64)
                .map_err(|source| Error::Io { offset: Some(start as u64), source })?;
        }
        Ok(())
    }

    /// Makes room up to `end` with some to spare, so that a header fetched in many pieces is not moved for
    /// each, but not the double: a header may be large.
    fn reserve(&mut self, end: usize) -> Result<(), Error> {
        if end <= self.header.capacity() {
            return Ok(());
        }
        let spare = end / 8;
        let most = usize::try_from(self.file_bytes.min(self.limit_bytes)).unwrap_or(end);
        let capacity = (end + spare).min(most).max(end);
        self.header
            .try_reserve_exact(capacity - self.header.len())
            .map_err(|_| Error::OutOfMemory { bytes: capacity as u64 })
    }
}
