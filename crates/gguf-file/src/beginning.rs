//! Parsing a header of which only the beginning is there so far.

use std::{cell::Cell, io};

use crate::{Error, GgufFile, Options, ReadAt};

/// Stands in for a size that is not known: no count or length is beyond it that a limit would not stop.
const UNKNOWN_BYTES: u64 = u64::MAX >> 1;

/// What came of parsing the beginning of a file.
#[derive(Debug, Clone)]
pub enum Beginning {
    /// It holds the whole header.
    Whole(Box<GgufFile>),
    /// The header goes on behind it.
    Short {
        /// How many bytes of the file the header takes at the least: more than there were.
        needed_bytes: u64,
    },
}

impl GgufFile {
    /// Parses a file of which `bytes` are the beginning, as for one that is being fetched. `file_bytes` is the size of the
    /// whole file; while it is not known the header is parsed as of [`Options::header_only`], and
    /// [`file_bytes`](Self::file_bytes) is then the least that the file can have.
    ///
    /// Every rule that the beginning breaks is found in it, whatever follows. Each call parses from the start: whoever fetches
    /// a header piece by piece lets the pieces grow.
    ///
    /// ```
    /// use gguf_file::{Beginning, GgufFile, Options};
    ///
    /// let header = b"GGUF\x03\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    /// let parse = |bytes| GgufFile::parse_beginning(bytes, None, &Options::default());
    /// assert!(matches!(parse(&header[..20])?, Beginning::Short { needed_bytes: 24 }));
    /// assert!(matches!(parse(header)?, Beginning::Whole(_)));
    /// # Ok::<(), gguf_file::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The first rule that is broken, in the order of the file.
    pub fn parse_beginning(
        bytes: &[u8],
        file_bytes: Option<u64>,
        options: &Options,
    ) -> Result<Beginning, Error> {
        let source =
            Fetched { bytes, file_bytes: file_bytes.unwrap_or(UNKNOWN_BYTES), missing_end: Cell::new(None) };
        let header_only = options.header_only || file_bytes.is_none();
        match Self::parse(&source, &Options { header_only, ..options.clone() }) {
            Ok(mut file) => {
                if file_bytes.is_none() {
                    file.file_bytes = file.data_section_offset + file.data_bytes();
                }
                Ok(Beginning::Whole(Box::new(file)))
            }
            Err(error) => match source.missing_end.get() {
                Some(needed_bytes) => Ok(Beginning::Short { needed_bytes }),
                None => Err(error),
            },
        }
    }
}

/// A source whose beginning is there. The first read behind that fails, and is kept: it ends the parsing.
struct Fetched<'a> {
    bytes: &'a [u8],
    file_bytes: u64,
    missing_end: Cell<Option<u64>>,
}

impl ReadAt for Fetched<'_> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.read_exact_at(buf, offset).map(|()| buf.len())
    }

    fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.file_bytes)
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(buf.len() as u64).ok_or(io::ErrorKind::InvalidInput)?;
        if end > self.bytes.len() as u64 {
            self.missing_end.set(Some(end));
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.bytes.read_exact_at(buf, offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    /// One tensor of 32 bytes, and one entry of metadata.
    fn model() -> Vec<u8> {
        let mut bytes = b"GGUF".to_vec();
        bytes.extend(3_u32.to_le_bytes());
        bytes.extend(1_u64.to_le_bytes());
        bytes.extend(1_u64.to_le_bytes());
        bytes.extend(20_u64.to_le_bytes());
        bytes.extend(b"general.architecture");
        bytes.extend(8_u32.to_le_bytes());
        bytes.extend(5_u64.to_le_bytes());
        bytes.extend(b"llama");
        bytes.extend(1_u64.to_le_bytes());
        bytes.extend(b"t");
        bytes.extend(1_u32.to_le_bytes());
        bytes.extend(8_u64.to_le_bytes());
        bytes.extend(0_u32.to_le_bytes());
        bytes.extend(0_u64.to_le_bytes());
        bytes.resize(bytes.len().next_multiple_of(32) + 32, 0);
        bytes
    }

    #[test]
    fn every_beginning_asks_for_more_until_the_header_is_there_and_no_byte_beyond_it() {
        let model = model();
        let whole = GgufFile::from_bytes(&model, &Options::default()).unwrap();
        for file_bytes in [None, Some(model.len() as u64)] {
            for length in 0..model.len() {
                let parsed =
                    GgufFile::parse_beginning(&model[..length], file_bytes, &Options::default()).unwrap();
                match parsed {
                    Beginning::Short { needed_bytes } => {
                        assert!((length as u64) < needed_bytes && needed_bytes <= whole.header_bytes());
                    }
                    Beginning::Whole(file) => {
                        assert!(length as u64 >= whole.header_bytes());
                        assert_eq!(file.file_bytes(), model.len() as u64);
                        assert_eq!(file.is_header_only(), file_bytes.is_none());
                        assert_eq!(file.architecture(), Some("llama"));
                    }
                }
            }
        }
    }

    #[test]
    fn the_size_of_the_file_is_a_bound_of_its_tensors_where_it_is_known() {
        let model = model();
        let short = model.len() as u64 - 1;
        let parse = |options: &Options| GgufFile::parse_beginning(&model, Some(short), options);
        assert_eq!(parse(&Options::default()).unwrap_err().rule(), "tensor-past-end");
        let header_only = Options { header_only: true, ..Options::default() };
        assert!(matches!(parse(&header_only), Ok(Beginning::Whole(_))));
    }

    #[test]
    fn what_is_no_header_and_what_is_too_large_a_one_is_refused_by_its_beginning() {
        let parse = |bytes: &[u8], size, limits| {
            let options = Options { limits, ..Options::default() };
            GgufFile::parse_beginning(bytes, size, &options).map(|_| ())
        };
        let page = [b"<!doctype html>".as_slice(), &[b' '; 600]].concat();
        assert_eq!(parse(&page, None, Limits::default()).unwrap_err().rule(), "bad-magic");
        assert_eq!(parse(b"<html>", Some(6), Limits::default()).unwrap_err().rule(), "truncated");
        let limits = Limits { header_bytes: 64, ..Limits::default() };
        assert_eq!(parse(&model()[..64], None, limits).unwrap_err().rule(), "header-too-large");
    }
}
