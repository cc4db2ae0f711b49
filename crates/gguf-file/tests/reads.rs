//! How the parser reads: large pieces, never past the header, through any source.

mod common;

use std::io;

use common::{Builder, Watched, array, parse, real_files, string};
use gguf_file::{Error, GgufFile, Options, ReadAt, open_file};

fn vocabulary(tokens: usize) -> Builder {
    let elements: Vec<u8> = (0..tokens).flat_map(|index| string(format!("token {index}"))).collect();
    let scores: Vec<u8> = (0..tokens).flat_map(|index| (index as f32).to_le_bytes()).collect();
    Builder::new()
        .text("general.architecture", "llama")
        .entry("tokens", 9, array(8, tokens as u64, elements))
        .entry("scores", 9, array(6, tokens as u64, scores))
        .text("last", "the end")
}

#[test]
fn not_one_byte_past_the_header_is_read() {
    let with_tensors = (0..300).fold(vocabulary(5000), |file, index| {
        file.tensor(format!("blk.{index}.weight"), &[256, 2], 12, index * 288)
    });
    for file in [with_tensors.data(300 * 288), vocabulary(5000).data(64), Builder::new().data(1000)] {
        let source = Watched::new(file.build());
        GgufFile::parse(&source, &Options::default()).unwrap();
        assert_eq!(source.end(), file.header().len() as u64);
    }
}

#[test]
fn every_byte_of_the_header_is_read_once_and_in_few_pieces() {
    let source = Watched::new(vocabulary(100_000).build());
    let file = GgufFile::parse(&source, &Options::default()).unwrap();
    let reads = source.reads();
    assert!(reads.windows(2).all(|pair| pair[0].end == pair[1].start), "one after another: {reads:?}");
    assert_eq!((reads[0].start, reads[reads.len() - 1].end), (0, file.header_bytes()));
    assert!(reads.len() < 100, "{} reads", reads.len());
}

#[test]
fn real_vocabularies_take_few_reads_and_none_past_the_header() {
    for path in real_files("good") {
        let source = Watched::new(open_file(&path).unwrap());
        let file = GgufFile::parse(&source, &Options::default()).unwrap();
        assert_eq!(source.end(), file.header_bytes(), "{}", path.display());
        assert!(source.reads().len() < 100, "{} reads of {}", source.reads().len(), path.display());
    }
}

#[test]
fn all_sources_give_the_same() {
    let bytes = vocabulary(10).build();
    let options = Options::default();
    let expected = format!("{:?}", GgufFile::from_bytes(&bytes, &options).unwrap());
    let boxed: Box<dyn ReadAt> = Box::new(bytes.clone());
    let shared = std::sync::Arc::new(bytes.clone());
    for file in [
        GgufFile::parse(&bytes, &options),
        GgufFile::parse(&bytes[..], &options),
        GgufFile::parse(&boxed, &options),
        GgufFile::parse(&shared, &options),
        GgufFile::parse(&&&bytes, &options),
    ] {
        assert_eq!(format!("{:?}", file.unwrap()), expected);
    }
}

/// Announces more than it has, as a file that was cut after its size was asked.
struct Shrunk(Vec<u8>, u64);

impl ReadAt for Shrunk {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buf, offset)
    }

    fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.1)
    }
}

#[test]
fn a_file_that_shrinks_while_it_is_read_is_an_io_error() {
    let good = vocabulary(1000).build();
    assert!(parse(&good).is_ok());
    let size = good.len() as u64;
    for kept in [0, 10, 24, 500, good.len() - 1] {
        let source = Shrunk(good[..kept].to_vec(), size);
        let error = GgufFile::parse(&source, &Options::default()).unwrap_err();
        assert_eq!(error.rule(), "io");
        let Error::Io { offset: Some(offset), source } = error else { panic!("{error}") };
        assert!(offset <= kept as u64);
        assert_eq!(source.kind(), io::ErrorKind::UnexpectedEof);
    }
}

#[test]
fn a_source_of_any_size_is_no_trouble() {
    let good = Builder::new().tensor("t", &[8], 0, 0).data(32).build();
    let file = GgufFile::parse(&Shrunk(good, u64::MAX), &Options::default()).unwrap();
    assert_eq!(file.file_bytes(), u64::MAX);
}

/// Fails at one place.
struct Failing(Vec<u8>, u64);

impl ReadAt for Failing {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        if (offset..offset + buf.len() as u64).contains(&self.1) {
            return Err(io::Error::from_raw_os_error(5));
        }
        self.0.read_at(buf, offset)
    }

    fn size_bytes(&self) -> io::Result<u64> {
        self.0.size_bytes()
    }
}

#[test]
fn a_failing_read_is_an_io_error_with_its_place_and_cause() {
    let source = Failing(vocabulary(1000).build(), 9000);
    let Err(Error::Io { offset: Some(offset), source }) = GgufFile::parse(&source, &Options::default())
    else {
        panic!("the read fails")
    };
    assert!(offset <= 9000);
    assert_eq!(source.raw_os_error(), Some(5));
}
