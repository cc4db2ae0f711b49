//! What the tests build and read files with.

#![allow(dead_code, reason = "each test binary uses its share")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic; its helpers fail with it")]

use std::{
    cell::RefCell,
    io,
    ops::Range,
    path::{Path, PathBuf},
};

use gguf_file::{Error, GgufFile, Options, ReadAt, ValueType};

/// Bytes of a GGUF file, right by default and wrong wherever a test wants them so.
#[derive(Debug, Clone)]
pub struct Builder {
    pub magic: [u8; 4],
    pub version: u32,
    pub tensor_count: Option<u64>,
    pub metadata_count: Option<u64>,
    pub alignment: usize,
    pub metadata: Vec<Vec<u8>>,
    pub tensors: Vec<Vec<u8>>,
    pub data: Vec<u8>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            magic: *b"GGUF",
            version: 3,
            tensor_count: None,
            metadata_count: None,
            alignment: 32,
            metadata: Vec::new(),
            tensors: Vec::new(),
            data: Vec::new(),
        }
    }
}

impl Builder {
    pub fn new() -> Self {
        Self::default()
    }

    /// A metadata entry; `value` is what follows the type.
    pub fn entry(mut self, key: impl AsRef<[u8]>, type_id: u32, value: impl AsRef<[u8]>) -> Self {
        self.metadata.push([&string(key), &type_id.to_le_bytes()[..], value.as_ref()].concat());
        self
    }

    /// A metadata entry of any bytes.
    pub fn raw_entry(mut self, bytes: &[u8]) -> Self {
        self.metadata.push(bytes.to_vec());
        self
    }

    pub fn u32(self, key: &str, value: u32) -> Self {
        self.entry(key, ValueType::U32.id(), value.to_le_bytes())
    }

    pub fn u16(self, key: &str, value: u16) -> Self {
        self.entry(key, ValueType::U16.id(), value.to_le_bytes())
    }

    pub fn i32(self, key: &str, value: i32) -> Self {
        self.entry(key, ValueType::I32.id(), value.to_le_bytes())
    }

    pub fn text(self, key: &str, value: &str) -> Self {
        self.entry(key, ValueType::String.id(), string(value))
    }

    /// `general.alignment` in both places: the key, and the padding this builder writes.
    pub fn aligned(mut self, alignment: u32) -> Self {
        self.alignment = alignment as usize;
        self.u32("general.alignment", alignment)
    }

    pub fn tensor(mut self, name: impl AsRef<[u8]>, dims: &[u64], type_id: u32, offset: u64) -> Self {
        let mut info = string(name);
        info.extend((dims.len() as u32).to_le_bytes());
        info.extend(dims.iter().flat_map(|dimension| dimension.to_le_bytes()));
        info.extend(type_id.to_le_bytes());
        info.extend(offset.to_le_bytes());
        self.tensors.push(info);
        self
    }

    /// A tensor info of any bytes.
    pub fn raw_tensor(mut self, bytes: &[u8]) -> Self {
        self.tensors.push(bytes.to_vec());
        self
    }

    /// The data section, `bytes` long.
    pub fn data(mut self, bytes: usize) -> Self {
        self.data = vec![0xDA; bytes];
        self
    }

    pub fn header(&self) -> Vec<u8> {
        let mut bytes = self.magic.to_vec();
        bytes.extend(self.version.to_le_bytes());
        bytes.extend(self.tensor_count.unwrap_or(self.tensors.len() as u64).to_le_bytes());
        bytes.extend(self.metadata_count.unwrap_or(self.metadata.len() as u64).to_le_bytes());
        bytes.extend(self.metadata.concat());
        bytes.extend(self.tensors.concat());
        bytes
    }

    pub fn build(&self) -> Vec<u8> {
        let mut bytes = self.header();
        if !self.tensors.is_empty() {
            bytes.resize(bytes.len().next_multiple_of(self.alignment.max(1)), 0);
        }
        bytes.extend(&self.data);
        bytes
    }
}

/// A length and the bytes.
pub fn string(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    [&(bytes.len() as u64).to_le_bytes(), bytes].concat()
}

/// Element type, count and elements.
pub fn array(element_type: u32, count: u64, elements: impl AsRef<[u8]>) -> Vec<u8> {
    [&element_type.to_le_bytes()[..], &count.to_le_bytes(), elements.as_ref()].concat()
}

/// `depth` arrays, each the only element of the one around it; the innermost is empty.
pub fn nested_arrays(depth: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(12 * depth);
    for _ in 1..depth {
        bytes.extend(array(ValueType::Array.id(), 1, []));
    }
    bytes.extend(array(ValueType::U8.id(), 0, []));
    bytes
}

/// A file with something of everything.
pub fn rich_file() -> Builder {
    let strings = ["a", "", "tokens \u{2581}"].map(string).concat();
    let pairs = [array(0, 2, [1, 2]), array(8, 1, string("x"))].concat();
    Builder::new()
        .text("general.architecture", "llama")
        .u32("general.file_type", 15)
        .aligned(64)
        .u16("split.count", 0)
        .entry("flag", ValueType::Bool.id(), [1])
        .entry("strings", ValueType::Array.id(), array(8, 3, strings))
        .entry("pairs", ValueType::Array.id(), array(9, 2, pairs))
        .entry("flags", ValueType::Array.id(), array(7, 3, [0, 1, 1]))
        .entry("numbers", ValueType::Array.id(), array(10, 2, [7; 16]))
        .entry("real", ValueType::F64.id(), 1.5_f64.to_le_bytes())
        .tensor("token_embd.weight", &[256, 2], 12, 0)
        .tensor("output_norm.weight", &[7], 0, 320)
        .tensor("bias", &[1], 1, 384)
        .data(386)
}

pub fn parse(bytes: &[u8]) -> Result<GgufFile, Error> {
    GgufFile::from_bytes(bytes, &Options::default())
}

pub fn parse_header_only(bytes: &[u8]) -> Result<GgufFile, Error> {
    GgufFile::from_bytes(bytes, &Options { header_only: true, ..Options::default() })
}

pub fn parse_strict(bytes: &[u8]) -> Result<GgufFile, Error> {
    GgufFile::from_bytes(bytes, &Options { strict: true, ..Options::default() })
}

/// Where `needle` first occurs.
#[track_caller]
pub fn find(bytes: &[u8], needle: &[u8]) -> u64 {
    bytes.windows(needle.len()).position(|window| window == needle).expect("the needle occurs") as u64
}

/// Touches everything a parsed file gives out, so that nothing lazy hides a panic. Returns a number that
/// depends on it.
pub fn read_everything(file: &GgufFile) -> u64 {
    let mut sum = file.metadata().len() as u64 + file.data_bytes();
    for (key, value) in file.metadata() {
        assert_eq!(file.metadata().get(key).map(|value| value.value_type()), Some(value.value_type()));
        sum = sum.wrapping_add(weigh(value));
    }
    for tensor in file.tensors() {
        assert_eq!(file.tensor(tensor.name()).map(|tensor| tensor.index()), Some(tensor.index()));
        let Range { start, end } = tensor.file_range();
        assert!(start <= end && end <= gguf_file::MAX_EXACT);
        assert!(file.is_header_only() || tensor.size_bytes() == 0 || end <= file.file_bytes());
        sum = sum.wrapping_add(tensor.element_count() + tensor.size_bytes() + tensor.dims().len() as u64);
    }
    sum
}

fn weigh(value: gguf_file::Value<'_>) -> u64 {
    use gguf_file::Value;
    match value {
        Value::String(string) => string.to_string_lossy().len() as u64,
        Value::Array(array) => {
            let mut count = 0;
            let sum = array.iter().inspect(|_| count += 1).map(weigh).fold(0, u64::wrapping_add);
            assert_eq!(count, array.len(), "an array gives as many elements as it announces");
            sum
        }
        other => other.as_f64().map_or_else(|| other.as_i64().map_or(1, i64::cast_unsigned), f64::to_bits),
    }
}

/// Remembers each read.
pub struct Watched<T> {
    source: T,
    reads: RefCell<Vec<Range<u64>>>,
}

impl<T: ReadAt> Watched<T> {
    pub fn new(source: T) -> Self {
        Self { source, reads: RefCell::default() }
    }

    pub fn reads(&self) -> Vec<Range<u64>> {
        self.reads.borrow().clone()
    }

    /// First byte after all that was asked for.
    pub fn end(&self) -> u64 {
        self.reads().iter().map(|read| read.end).max().unwrap_or(0)
    }
}

impl<T: ReadAt> ReadAt for Watched<T> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.reads.borrow_mut().push(offset..offset + buf.len() as u64);
        self.source.read_at(buf, offset)
    }

    fn size_bytes(&self) -> io::Result<u64> {
        self.source.size_bytes()
    }
}

/// Real files, kept outside the repository: the paths in `../shared/data/gguf/NAME`, or none with a notice.
pub fn real_files(name: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/gguf").join(name);
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("skipped: {} does not exist", folder.display());
        return Vec::new();
    };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} holds files", folder.display());
    paths
}

/// A small generator of random numbers (xorshift64*), the same on every run.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16) as usize % bound
    }
}
