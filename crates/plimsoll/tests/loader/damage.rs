//! Good files with a byte changed, or cut off: whatever opens is read to its end, in a few megabytes.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use plimsoll::{
    Error, MemoryBudget,
    loader::{ModelFile, OpenOptions, Output, Reader, Selection, StreamOptions},
    pool::{StagingPool, StagingPoolOptions},
    units::MIB,
};

use crate::{
    SAMPLE,
    common::{TensorSpec, gguf},
};

/// A unit, and a window of stored bytes beside it.
const STAGING_BYTES: u64 = 4 * MIB;

/// Positions, the same on every run (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16) as usize % bound
    }
}

/// The sample, a file of a few types, and real files, which lie outside the repository.
fn good_files() -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/gguf/good");
    let mut paths = vec![PathBuf::from(SAMPLE)];
    match fs::read_dir(&folder) {
        Ok(entries) => paths.extend(entries.map(|entry| entry.unwrap().path())),
        Err(_) => println!("skipped: {} does not exist", folder.display()),
    }
    let several = [
        TensorSpec::floats("f32", 100),
        TensorSpec::patterned("f16", 64, 1, 128),
        TensorSpec::patterned("q8_0", 96, 8, 102),
        TensorSpec::patterned("q4_k", 512, 12, 288),
        TensorSpec::patterned("iq1_s", 256, 19, 50),
    ];
    let files = paths.into_iter().map(|path| (path.clone(), fs::read(path).unwrap()));
    files.chain([(PathBuf::from("of five types"), gguf(&several, 0))]).collect()
}

/// Opens the bytes and reads every tensor as `f32`; says how many tensors came.
fn read_whole(bytes: &[u8]) -> Result<usize, Error> {
    let model = Arc::new(ModelFile::from_bytes(bytes.to_vec(), &OpenOptions::default())?);
    let options = StreamOptions { output: Output::F32, ..StreamOptions::default() };
    let selection = Selection::new(&model, &options)?;
    let expected = selection.data_bytes();
    let budget = MemoryBudget::new(STAGING_BYTES, 0)?;
    let pool = StagingPool::new(StagingPoolOptions { budget: Some(budget), ..StagingPoolOptions::default() });
    let mut reader = Reader::new(Arc::clone(&model), selection, pool);
    let mut read_bytes = 0;
    while let Some(unit) = reader.next_unit()? {
        read_bytes += unit.chunks.iter().map(|chunk| chunk.data.end - chunk.data.start).sum::<u64>();
    }
    assert_eq!(read_bytes, expected, "all of it came");
    Ok(model.layout().tensor_count())
}

/// Refused by name, or read. Whatever else comes, a lack of memory too, is not what a damaged file may do.
fn refused_or_read(bytes: &[u8], what: &str) -> bool {
    match read_whole(bytes) {
        Ok(_) => true,
        Err(Error::InvalidGguf { .. } | Error::UnsupportedType { .. }) => false,
        Err(error) => panic!("{what}: {error}"),
    }
}

#[test]
fn good_files_are_read_to_their_end_in_a_few_megabytes() {
    for (path, bytes) in good_files() {
        let read = read_whole(&bytes);
        // A test file of llama.cpp's own has tensors of whole numbers, which do not convert.
        let is_fine = matches!(read, Ok(_) | Err(Error::UnsupportedType { .. }));
        assert!(is_fine, "{}: {read:?}", path.display());
    }
}

#[test]
fn files_with_a_byte_changed_are_refused_or_read_to_their_end() {
    let mut read = 0;
    for (path, mut bytes) in good_files() {
        let mut random = Random(0xD1B5_4A32_D192_ED03);
        for round in 0..(30_000_000 / bytes.len()).clamp(16, 2000) {
            // Most changes hit the first kibibytes, where counts, types and shapes are.
            let reach = if round % 4 == 0 { bytes.len() } else { bytes.len().min(4096) };
            let (place, mask) = (random.below(reach), 1 + random.below(255) as u8);
            bytes[place] ^= mask;
            let what = format!("{} with byte {place} changed by {mask}", path.display());
            read += usize::from(refused_or_read(&bytes, &what));
            bytes[place] ^= mask;
        }
    }
    assert!(read > 100, "{read} of them were read");
}

#[test]
fn files_that_are_cut_are_refused_or_read_to_their_end() {
    for (path, bytes) in good_files() {
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        for _ in 0..(10_000_000 / bytes.len()).clamp(16, 500) {
            let cut = random.below(bytes.len());
            refused_or_read(&bytes[..cut], &format!("{} cut at {cut}", path.display()));
        }
    }
}
