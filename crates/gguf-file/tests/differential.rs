//! The same files, read by another parser.

#![allow(clippy::expect_used, reason = "a test may panic; its helpers fail with it")]

mod common;

use std::{fs, io::Cursor};

use common::{Random, parse, real_files, rich_file};
use gguf_file::GgufFile;
use gguf_rs_lib::reader::GGUFFileReader as Peer;

type PeerFile<'a> = Peer<Cursor<&'a [u8]>>;

/// Where both accept, both find the same. Returns whether each accepts.
fn compare(bytes: &[u8]) -> (bool, bool) {
    let ours = parse(bytes);
    let theirs = Peer::new(Cursor::new(bytes));
    if let (Ok(ours), Ok(theirs)) = (&ours, &theirs) {
        same_content(ours, theirs);
    }
    (ours.is_ok(), theirs.is_ok())
}

fn same_content(ours: &GgufFile, theirs: &PeerFile<'_>) {
    assert_eq!(ours.version(), theirs.header().version);
    assert_eq!(ours.metadata().len() as u64, theirs.header().metadata_kv_count);
    for (key, value) in ours.metadata() {
        let theirs = theirs.metadata().get(key).expect("a key that one finds the other finds");
        assert_eq!(value.value_type().id(), theirs.value_type() as u32, "{key}");
        assert!(theirs.as_u64().is_none_or(|number| value.as_u64() == Some(number)), "{key}");
        assert_eq!(value.as_str(), theirs.as_str(), "{key}");
        assert_eq!(value.as_bool(), theirs.as_bool(), "{key}");
    }
    let theirs_infos = theirs.tensor_infos();
    assert_eq!(ours.tensor_count(), theirs_infos.len());
    if ours.tensor_count() > 0 {
        assert_eq!(ours.data_offset_bytes(), theirs.tensor_data_offset());
        assert_eq!(ours.alignment_bytes(), theirs.tensor_alignment());
    }
    for (ours, theirs) in ours.tensors().zip(theirs_infos) {
        assert_eq!(ours.name(), theirs.name());
        assert_eq!(ours.offset_bytes(), theirs.data_offset());
        assert_eq!(ours.element_count(), theirs.element_count());
        assert_eq!(ours.size_bytes(), theirs.expected_data_size());
    }
}

#[test]
fn good_files_are_the_same_to_both() {
    assert_eq!(compare(&rich_file().build()), (true, true));
    for path in real_files("good") {
        let bytes = fs::read(&path).unwrap();
        assert_eq!(compare(&bytes), (true, true), "{}", path.display());
    }
}

#[test]
fn damaged_files_are_the_same_to_both_where_both_accept_them() {
    let good = rich_file().build();
    let mut random = Random(0x2545_F491_4F6C_DD1D);
    let mut both = 0;
    for _ in 0..20_000 {
        let mut file = good.clone();
        for _ in 0..=random.below(2) {
            let place = random.below(file.len());
            if let Some(byte) = file.get_mut(place) {
                *byte = random.below(256) as u8;
            }
        }
        both += usize::from(compare(&file) == (true, true));
    }
    assert!(both > 1000, "both accept {both} files");
}
