//! Models that are split into several files.

use std::{collections::BTreeMap, fs, path::PathBuf, sync::Arc};

use plimsoll::{
    Error,
    loader::{ModelFile, OpenOptions, Output},
    units::MIB,
};
use tempfile::TempDir;

use crate::{
    common::{TensorSpec, gguf_with},
    open, options, pool, reassemble, stream,
};

/// What a file says of the model that it is a part of.
#[derive(Clone, Copy)]
struct Says {
    number: u16,
    count: u16,
    tensors: Option<i32>,
}

fn shard(says: Says, tensors: &[TensorSpec]) -> Vec<u8> {
    let mut keys = vec![("split.no", 2, says.number.to_le_bytes().to_vec())];
    keys.push(("split.count", 2, says.count.to_le_bytes().to_vec()));
    keys.extend(says.tensors.map(|count| ("split.tensors.count", 5, count.to_le_bytes().to_vec())));
    gguf_with(&keys, tensors, 0)
}

fn name(number: usize, count: usize) -> String {
    format!("model-{number:05}-of-{count:05}.gguf")
}

fn folder_of(files: &[Vec<u8>]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (place, bytes) in files.iter().enumerate() {
        fs::write(folder.path().join(name(place + 1, files.len())), bytes).unwrap();
    }
    folder
}

fn sound() -> [Vec<TensorSpec>; 3] {
    [
        vec![TensorSpec::floats("a", 700_000), TensorSpec::floats("b", 3)],
        vec![],
        vec![TensorSpec::patterned("c", 2 << 20, 24, 2 << 20), TensorSpec::floats("d", 5)],
    ]
}

fn sound_files() -> Vec<Vec<u8>> {
    let says = |number| Says { number, count: 3, tensors: Some(4) };
    sound().iter().enumerate().map(|(number, tensors)| shard(says(number as u16), tensors)).collect()
}

#[test]
fn any_file_of_a_split_model_opens_all_of_it() {
    let folder = folder_of(&sound_files());
    for number in 1..=3 {
        let model = open(folder.path().join(name(number, 3)));
        let layout = model.layout();
        assert_eq!(
            layout.tensors().map(|tensor| tensor.name().to_owned()).collect::<Vec<_>>(),
            ["a", "b", "c", "d"]
        );
        assert_eq!(layout.tensors().map(|tensor| tensor.file_index()).collect::<Vec<_>>(), [0, 0, 2, 2]);
        assert!((0..4).all(|index| layout.tensor_at(index).unwrap().index() == index));
        assert!(layout.tensor_at(4).is_none());
        assert_eq!(layout.tensor("d").unwrap().index(), 3);
        assert_eq!(model.path().file_name().unwrap().to_str().unwrap(), name(1, 3));
        for threads in [1, 3] {
            let of = plimsoll::loader::StreamOptions { threads, ..options(Output::Raw, MIB) };
            let read: BTreeMap<usize, Vec<u8>> = reassemble(stream(&model, &of, &pool()));
            assert!(read.into_values().eq(sound().into_iter().flatten().map(|tensor| tensor.data)));
        }
        let alone = OpenOptions { shard_only: true, ..OpenOptions::default() };
        let alone = ModelFile::open(folder.path().join(name(number, 3)), &alone).unwrap();
        assert_eq!(alone.layout().tensor_count(), sound()[number - 1].len());
    }
}

/// The rule that opening the first file breaks.
fn broken(files: &[Vec<u8>]) -> (String, PathBuf) {
    let folder = folder_of(files);
    match ModelFile::open(folder.path().join(name(1, files.len())), &OpenOptions::default()) {
        Err(Error::InvalidGguf { path, source }) => {
            (source.rule().to_owned(), PathBuf::from(path.file_name().unwrap()))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn files_that_do_not_belong_together_are_refused_by_the_rule_and_the_file_that_breaks_it() {
    let says = |number, count, tensors| Says { number, count, tensors };
    let one = |name| vec![TensorSpec::floats(name, 1)];
    let rule = |files: &[Vec<u8>], expected: &str, file: usize| {
        let (rule, path) = broken(files);
        assert_eq!((rule.as_str(), path), (expected, PathBuf::from(name(file, files.len()))));
    };
    rule(&[shard(says(0, 2, None), &one("a")), shard(says(0, 2, None), &one("b"))], "split-file-number", 2);
    rule(&[shard(says(1, 2, None), &one("a")), shard(says(0, 2, None), &one("b"))], "split-file-number", 1);
    rule(&[shard(says(0, 2, None), &one("a")), shard(says(1, 3, None), &one("b"))], "split-file-count", 2);
    rule(&[shard(says(0, 2, Some(3)), &one("a")), shard(says(1, 2, None), &one("b"))], "split-total", 1);
    rule(
        &[shard(says(0, 2, None), &one("a")), shard(says(1, 2, None), &one("a"))],
        "split-repeated-tensor",
        2,
    );
    rule(&[shard(says(0, 2, None), &one("a")), b"GGUF\x03\0\0\0".to_vec()], "truncated", 2);
    // More files than a model may have, and more than there are.
    rule(&[shard(says(0, 65_535, None), &one("a"))], "split-count-limit", 1);
    rule(&[shard(says(0, 9, None), &one("a"))], "split-file-name", 1);
}

#[test]
fn a_file_that_is_missing_is_named_and_one_elsewhere_is_not_looked_for() {
    let folder = folder_of(&sound_files());
    fs::rename(folder.path().join(name(2, 3)), folder.path().join("elsewhere.gguf")).unwrap();
    let error = ModelFile::open(folder.path().join(name(3, 3)), &OpenOptions::default()).unwrap_err();
    assert!(matches!(&error, Error::Io { path, .. } if path.ends_with(name(2, 3))), "{error}");
}

#[test]
fn a_split_model_has_no_offset_and_its_bytes_are_one_file() {
    let files = sound_files();
    let folder = folder_of(&files);
    let offset = OpenOptions { offset_bytes: 0, ..OpenOptions::default() };
    let model = ModelFile::from_bytes(files[2].clone(), &offset).unwrap();
    assert_eq!(Arc::new(model).layout().tensor_count(), 2);
    let path = folder.path().join(name(1, 3));
    let mut outer = vec![0; 64];
    outer.extend(fs::read(&path).unwrap());
    fs::write(&path, outer).unwrap();
    let within = OpenOptions { offset_bytes: 64, ..OpenOptions::default() };
    assert_eq!(ModelFile::open(&path, &within).unwrap_err().code(), "ERR_INVALID_ARGUMENT");
    let alone = OpenOptions { offset_bytes: 64, shard_only: true, ..OpenOptions::default() };
    assert_eq!(ModelFile::open(&path, &alone).unwrap().layout().tensor_count(), 2);
}
