//! Where bytes come from: positioned reads.

use std::{fs::File, io, sync::Arc};

/// A source of bytes that can be read at any position, without a cursor of its own.
///
/// The parser needs nothing else, so a slice, a file, a range request over HTTP and a fuzzer's input look
/// alike to it. Implemented for byte slices, `Vec<u8>`, [`File`], and for references, `Box` and `Arc` of any
/// source.
///
/// ```
/// use gguf_file::ReadAt;
///
/// let mut word = [0; 2];
/// [10u8, 11, 12, 13].read_exact_at(&mut word, 1)?;
/// assert_eq!(word, [11, 12]);
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait ReadAt {
    /// Reads up to `buf.len()` bytes that start at byte `offset`, and returns how many were read.
    ///
    /// As with [`io::Read::read`], fewer bytes than asked for may come; `0` for a non-empty `buf` means that
    /// nothing lies at or after `offset`.
    ///
    /// # Errors
    ///
    /// Whatever the source reports. [`io::ErrorKind::Interrupted`] means "try again".
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// The size of the whole source in bytes.
    ///
    /// # Errors
    ///
    /// Whatever the source reports.
    fn size_bytes(&self) -> io::Result<u64>;

    /// Fills `buf` from byte `offset` on: short reads are continued, interrupted ones repeated.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::UnexpectedEof`] if the source ends first; otherwise the first error that is not an
    /// interruption.
    fn read_exact_at(&self, mut buf: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !buf.is_empty() {
            let count = match self.read_at(buf, offset) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            buf = buf.get_mut(count..).ok_or(io::ErrorKind::InvalidData)?;
            offset = offset.checked_add(count as u64).ok_or(io::ErrorKind::InvalidInput)?;
        }
        Ok(())
    }
}

impl ReadAt for [u8] {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|start| self.get(start..)).unwrap_or_default();
        io::Read::read(&mut &*rest, buf)
    }

    fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }
}

impl<const N: usize> ReadAt for [u8; N] {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.as_slice().read_at(buf, offset)
    }

    fn size_bytes(&self) -> io::Result<u64> {
        Ok(N as u64)
    }
}

impl ReadAt for Vec<u8> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.as_slice().read_at(buf, offset)
    }

    fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }
}

impl ReadAt for File {
    #[cfg(unix)]
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, buf, offset)
    }

    #[cfg(windows)]
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::windows::fs::FileExt::seek_read(self, buf, offset)
    }

    fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

macro_rules! forward_to_target {
    ($($pointer:ty),+) => {$(
        impl<T: ReadAt + ?Sized> ReadAt for $pointer {
            fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
                (**self).read_at(buf, offset)
            }

            fn size_bytes(&self) -> io::Result<u64> {
                (**self).size_bytes()
            }

            fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
                (**self).read_exact_at(buf, offset)
            }
        }
    )+};
}

forward_to_target!(&T, Box<T>, Arc<T>);

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Gives one byte per read, and is interrupted before each.
    struct Hesitant<'a> {
        bytes: &'a [u8],
        interrupted: Cell<bool>,
    }

    impl ReadAt for Hesitant<'_> {
        fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
            self.interrupted.set(!self.interrupted.get());
            if self.interrupted.get() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            self.bytes.read_at(&mut buf[..1], offset)
        }

        fn size_bytes(&self) -> io::Result<u64> {
            self.bytes.size_bytes()
        }
    }

    #[test]
    fn short_and_interrupted_reads_are_continued() {
        let source = Hesitant { bytes: b"abcdef", interrupted: Cell::new(false) };
        let mut word = [0; 4];
        source.read_exact_at(&mut word, 1).unwrap();
        assert_eq!(&word, b"bcde");
    }

    #[test]
    fn reading_past_the_end_is_an_unexpected_end() {
        for offset in [4, 6, u64::MAX] {
            let error = b"abcdef".read_exact_at(&mut [0; 4], offset).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "offset {offset}");
        }
    }
}
