//! The same files, read by another parser: where both accept one, both find the same in it, and where they differ about one,
//! there is a reason in the tables below.

#![allow(clippy::expect_used, clippy::panic, reason = "a test may panic; its helpers fail with it")]

mod common;
#[path = "common/generated.rs"]
mod generated;

use std::{collections::BTreeSet, fs, io::Cursor, path::Path};

use common::{Builder, Random, array, nested_arrays, parse, real_files, rich_file, string};
use gguf_file::{Error, ForkType, GgufFile, Value};
use gguf_rs_lib::{
    format::metadata::{MetadataArray, MetadataValue},
    reader::GGUFFileReader as Peer,
};
use proptest::{collection::vec, prelude::*};

type PeerFile<'a> = Peer<Cursor<&'a [u8]>>;

/// Why this crate refuses a file that the peer accepts: its rule, and what the peer itself says of the file.
struct Stricter {
    rules: &'static [&'static str],
    holds: fn(&PeerFile<'_>) -> bool,
}

const STRICTER: &[Stricter] = &[
    // ggml demands a power of two, the specification a multiple of 8.
    Stricter {
        rules: &["alignment-not-power-of-two"],
        holds: |file| !file.tensor_alignment().is_power_of_two(),
    },
    Stricter { rules: &["alignment-too-large"], holds: |file| file.tensor_alignment() > 1 << 20 },
    // ggml allows no nesting at all, this crate 4, the peer 64.
    Stricter {
        rules: &["array-too-deep"],
        holds: |file| file.metadata().iter().any(|(_, value)| depth_of(value) > 4),
    },
    Stricter {
        rules: &["tensor-name-has-nul"],
        holds: |file| file.tensor_infos().iter().any(|tensor| tensor.name().contains('\0')),
    },
    // The peer does not look at what these keys hold.
    Stricter {
        rules: &["split-count-limit", "split-number", "split-tensor-count"],
        holds: |file| file.metadata().get("split.count").is_some(),
    },
    Stricter {
        rules: &["wrong-value-type", "negative-value"],
        holds: |file| {
            let is_number = |key| file.metadata().get(key).is_none_or(|value| value.as_u64().is_some());
            let numbers = ["split.count", "split.no", "split.tensors.count", "general.file_type"];
            let architecture = file.metadata().get("general.architecture");
            !numbers.into_iter().all(is_number) || architecture.is_some_and(|value| value.as_str().is_none())
        },
    },
    // The peer knows no forks.
    Stricter {
        rules: &["fork-layout"],
        holds: |file| {
            let is_forks = |id: u32| ForkType::with_id(id).next().is_some();
            file.tensor_infos().iter().any(|tensor| is_forks(tensor.tensor_type() as u32))
        },
    },
];

/// Why the peer refuses a file that this crate accepts: what it says, and what this crate finds in the file.
struct Looser {
    says: &'static str,
    holds: fn(&GgufFile) -> bool,
}

const LOOSER: &[Looser] = &[
    Looser { says: "Unsupported GGUF version: 2", holds: |file| file.version() == 2 },
    // The specification's keys, which real files do not all keep to.
    Looser { says: "lower_snake_case", holds: |file| file.metadata().iter().any(|(key, _)| !is_plain(key)) },
    // Vocabularies hold pieces of characters.
    Looser {
        says: "Invalid UTF-8 string",
        holds: |file| !file.metadata().iter().all(|(_, value)| is_text(value)),
    },
    // ggml takes any power of two.
    Looser { says: "multiple of 8", holds: |file| file.alignment_bytes() < 8 },
    // To ggml it is one element.
    Looser {
        says: "Invalid dimension count: 0",
        holds: |file| file.tensors().any(|tensor| tensor.dims().is_empty()),
    },
    Looser {
        says: "dimension too large",
        holds: |file| {
            file.tensors().any(|tensor| tensor.dims().iter().any(|dimension| *dimension > 1_000_000_000))
        },
    },
    // What has no bytes lies upon nothing, and may stand behind the padding that is missing at the end.
    Looser { says: "overlap detected", holds: has_empty_tensor },
    Looser { says: "Unexpected end of file", holds: has_empty_tensor },
];

fn has_empty_tensor(file: &GgufFile) -> bool {
    file.tensors().any(|tensor| tensor.size_bytes() == 0)
}

fn is_plain(key: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    key.split('.').all(|part| part.split('_').all(is_word))
}

fn is_text(value: Value<'_>) -> bool {
    match value {
        Value::String(string) => string.to_str().is_ok(),
        Value::Array(array) => array.iter().all(is_text),
        _ => true,
    }
}

fn depth_of(value: &MetadataValue) -> usize {
    match value {
        MetadataValue::Array(array) => 1 + array.values.iter().map(depth_of).max().unwrap_or(0),
        _ => 0,
    }
}

/// What became of a file.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    BothAccept,
    BothRefuse,
    /// By the position in its table.
    Stricter(usize),
    Looser(usize),
}

/// Where both accept, both find the same; where they differ, a table says why.
#[track_caller]
fn compare(bytes: &[u8]) -> Verdict {
    match (parse(bytes), Peer::new(Cursor::new(bytes))) {
        (Ok(ours), Ok(theirs)) => {
            same_content(&ours, &theirs);
            Verdict::BothAccept
        }
        (Err(_), Err(_)) => Verdict::BothRefuse,
        (Err(error), Ok(theirs)) => Verdict::Stricter(why_stricter(&error, &theirs)),
        (Ok(ours), Err(error)) => Verdict::Looser(why_looser(&ours, &error.to_string())),
    }
}

#[track_caller]
fn why_stricter(error: &Error, theirs: &PeerFile<'_>) -> usize {
    let fits = |reason: &Stricter| reason.rules.contains(&error.rule()) && (reason.holds)(theirs);
    STRICTER
        .iter()
        .position(fits)
        .unwrap_or_else(|| panic!("only the peer accepts it; {}: {error}", error.rule()))
}

#[track_caller]
fn why_looser(ours: &GgufFile, message: &str) -> usize {
    let fits = |reason: &Looser| message.contains(reason.says) && (reason.holds)(ours);
    LOOSER.iter().position(fits).unwrap_or_else(|| panic!("only the peer refuses it: {message}"))
}

fn same_content(ours: &GgufFile, theirs: &PeerFile<'_>) {
    assert_eq!(ours.version(), theirs.header().version);
    assert_eq!(ours.metadata().len() as u64, theirs.header().metadata_kv_count);
    for (key, value) in ours.metadata() {
        let theirs = theirs.metadata().get(key).expect("a key that one finds the other finds");
        assert!(is_same(value, theirs), "{key}: {value:?} and {theirs:?}");
    }
    let theirs_infos = theirs.tensor_infos();
    assert_eq!(ours.tensor_count(), theirs_infos.len());
    if ours.tensor_count() > 0 {
        assert_eq!(ours.data_offset_bytes(), theirs.tensor_data_offset());
        assert_eq!(ours.alignment_bytes(), theirs.tensor_alignment());
    }
    for (ours, theirs) in ours.tensors().zip(theirs_infos) {
        assert_eq!(ours.name(), theirs.name());
        assert_eq!(ours.tensor_type().id(), theirs.tensor_type() as u32);
        assert_eq!(&*ours.dims(), theirs.shape().dims());
        assert_eq!(ours.offset_bytes(), theirs.data_offset());
        assert_eq!(ours.element_count(), theirs.element_count());
        assert_eq!(ours.size_bytes(), theirs.expected_data_size());
    }
}

fn is_same(ours: Value<'_>, theirs: &MetadataValue) -> bool {
    match (ours, theirs) {
        (Value::U8(one), MetadataValue::U8(other)) => one == *other,
        (Value::I8(one), MetadataValue::I8(other)) => one == *other,
        (Value::U16(one), MetadataValue::U16(other)) => one == *other,
        (Value::I16(one), MetadataValue::I16(other)) => one == *other,
        (Value::U32(one), MetadataValue::U32(other)) => one == *other,
        (Value::I32(one), MetadataValue::I32(other)) => one == *other,
        (Value::U64(one), MetadataValue::U64(other)) => one == *other,
        (Value::I64(one), MetadataValue::I64(other)) => one == *other,
        (Value::F32(one), MetadataValue::F32(other)) => one.to_bits() == other.to_bits(),
        (Value::F64(one), MetadataValue::F64(other)) => one.to_bits() == other.to_bits(),
        (Value::Bool(one), MetadataValue::Bool(other)) => one == *other,
        (Value::String(one), MetadataValue::String(other)) => one.as_bytes() == other.as_bytes(),
        (Value::Array(one), MetadataValue::Array(other)) => is_same_array(one, other),
        _ => false,
    }
}

fn is_same_array(ours: gguf_file::ArrayRef<'_>, theirs: &MetadataArray) -> bool {
    ours.element_type().id() == theirs.element_type as u32
        && ours.len() == theirs.values.len()
        && ours.iter().zip(&theirs.values).all(|(one, other)| is_same(one, other))
}

/// Changes a few bytes at random places.
fn damage(file: &mut [u8], random: &mut Random, changes: usize) {
    for _ in 0..changes {
        let place = random.below(file.len());
        if let Some(byte) = file.get_mut(place) {
            *byte = random.below(256) as u8;
        }
    }
}

#[test]
fn good_files_are_the_same_to_both() {
    assert_eq!(compare(&rich_file().build()), Verdict::BothAccept);
    let sample =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/models/plimsoll-sample-llama.gguf");
    for path in real_files("good").into_iter().chain([sample]) {
        let bytes = fs::read(&path).unwrap();
        assert_eq!(compare(&bytes), Verdict::BothAccept, "{}", path.display());
    }
}

#[test]
fn bad_files_are_refused_by_both() {
    for path in real_files("bad") {
        let bytes = fs::read(&path).unwrap();
        assert_eq!(compare(&bytes), Verdict::BothRefuse, "{}", path.display());
    }
}

#[test]
fn damaged_files_are_the_same_to_both_or_there_is_a_reason() {
    let good = rich_file().build();
    let mut random = Random(0x2545_F491_4F6C_DD1D);
    let mut both = 0;
    for _ in 0..20_000 {
        let mut file = good.clone();
        let changes = 1 + random.below(3);
        damage(&mut file, &mut random, changes);
        both += usize::from(compare(&file) == Verdict::BothAccept);
    }
    assert!(both > 1000, "both accept {both} files");
}

#[test]
fn every_flipped_bit_of_a_small_file_is_the_same_to_both_or_there_is_a_reason() {
    let mut file = rich_file().build();
    for bit in 0..8 * file.len() {
        file[bit / 8] ^= 1 << (bit % 8);
        compare(&file);
        file[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn damaged_real_files_are_the_same_to_both_or_there_is_a_reason() {
    for path in real_files("good") {
        let mut bytes = fs::read(&path).unwrap();
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        let rounds = (8_000_000 / bytes.len()).clamp(8, 500);
        for round in 0..rounds {
            // Every other change hits the first kibibyte, where counts and types are.
            let reach = if round % 2 == 0 { bytes.len() } else { bytes.len().min(1024) };
            let place = random.below(reach);
            let before = bytes[place];
            bytes[place] = random.below(256) as u8;
            compare(&bytes);
            bytes[place] = before;
            compare(&bytes[..random.below(bytes.len())]);
        }
    }
}

/// A file for each reason of the tables, so that none stands there in vain.
#[test]
fn every_reason_has_a_file() {
    let one = |file: Builder| file.tensor("t", &[8], 0, 0).data(32);
    let alignment = |bytes: u32| {
        let mut file = Builder::new().u32("general.alignment", bytes);
        file.alignment = bytes as usize;
        one(file)
    };
    let split = |number, count| one(Builder::new().u16("split.no", number).u16("split.count", count));
    let shape = |dims: &[u64]| Builder::new().tensor("t", dims, 0, 0).data(64);
    let files = [
        alignment(24),
        alignment(1 << 21),
        one(Builder::new().entry("k", 9, nested_arrays(5))),
        Builder::new().tensor("a\0b", &[8], 0, 0).data(32),
        split(2, 2),
        split(0, 65_535),
        one(Builder::new().u32("general.architecture", 1)),
        one(Builder::new().i32("general.file_type", -1)),
        Builder::new().tensor("t", &[128], 41, 0).data(56),
        one(Builder { version: 2, ..Builder::new() }),
        one(Builder::new().u32("Upper.Case", 1)),
        one(Builder::new().entry("k", 8, string(b"\xff"))),
        one(Builder::new().entry("k", 9, array(8, 1, string(b"\xff")))),
        alignment(4),
        shape(&[]),
        shape(&[0, 1 << 31]),
        Builder::new().tensor("a", &[16], 0, 0).tensor("e", &[0], 0, 32).data(64),
        Builder::new().tensor("a", &[33], 24, 0).tensor("e", &[0], 24, 64).data(33),
    ];
    let verdicts: BTreeSet<Verdict> = files.iter().map(|file| compare(&file.build())).collect();
    let stricter = (0..STRICTER.len()).map(Verdict::Stricter);
    let missing: Vec<_> = stricter
        .chain((0..LOOSER.len()).map(Verdict::Looser))
        .filter(|verdict| !verdicts.contains(verdict))
        .collect();
    assert!(missing.is_empty(), "no file shows {missing:?}");
}

proptest! {
    // A file found to fail belongs among the tests by name, not in a list of seeds.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn generated_files_are_the_same_to_both_or_there_is_a_reason(
        file in generated::file(),
        changes in vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4),
    ) {
        compare(&file.bytes);
        let mut bytes = file.bytes;
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        compare(&bytes);
    }
}
